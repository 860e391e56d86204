"""Routes of sessions, activity leases and the registry's records, mounted under /api/."""

from django.urls import path

from sessions_app.api import events, orchestrators

urlpatterns = [
    path("orchestrators", orchestrators.Orchestrators.as_view(), name="orchestrators"),
    path("orchestrators/me", orchestrators.Me.as_view(), name="orchestrator-me"),
    path("orchestrators/<str:orchestrator_id>", orchestrators.OneOrchestrator.as_view(), name="orchestrator"),
    path("sessions/events", events.SessionEvents.as_view(), name="session-events"),
    path("sessions/events/batch", events.SessionEventBatches.as_view(), name="session-event-batches"),
]
