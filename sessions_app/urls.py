"""Routes of sessions and activity leases, mounted under /api/."""

from django.urls import re_path

from sessions_app.api import events

urlpatterns = [
    re_path(r"^sessions/events/?$", events.SessionEvents.as_view(), name="session-events"),
    re_path(r"^sessions/events/batch/?$", events.SessionEventBatches.as_view(), name="session-event-batches"),
]
