"""Stream sessions, the events and segments of their lives, and activity leases."""

from sessions_app.models.leases import ActivityLease
from sessions_app.models.sessions import Segment, SessionEvent, StreamSession, Trigger

__all__ = ["ActivityLease", "Segment", "SessionEvent", "StreamSession", "Trigger"]
