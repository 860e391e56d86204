"""Staff pages of sessions and activity leases."""

from sessions_app.admin import leases, orchestrators, segments, sessions

__all__ = ["leases", "orchestrators", "segments", "sessions"]
