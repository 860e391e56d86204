"""Routes of sessions, activity leases and the registry's records, mounted under /api/."""

from django.urls import path

from sessions_app.api import events, leases, orchestrators, sessions

urlpatterns = [
    path("orchestrators", orchestrators.Orchestrators.as_view(), name="orchestrators"),
    path("orchestrators/me", orchestrators.Me.as_view(), name="orchestrator-me"),
    path("orchestrators/<str:orchestrator_id>", orchestrators.OneOrchestrator.as_view(), name="orchestrator"),
    path("sessions", sessions.Sessions.as_view(), name="sessions"),
    path("sessions/events", events.SessionEvents.as_view(), name="session-events"),
    path("sessions/events/batch", events.SessionEventBatches.as_view(), name="session-event-batches"),
    path("activity/leases", leases.Leases.as_view(), name="activity-leases"),
    path("activity/leases/<str:lease_id>", leases.OneLease.as_view(), name="activity-lease"),
    path(
        "activity/leases/<str:lease_id>/heartbeat",
        leases.LeaseHeartbeats.as_view(),
        name="activity-lease-heartbeat",
    ),
]
