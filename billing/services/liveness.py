"""Liveness: is an orchestrator up and in use, and how do we know?"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from billing.models import Orchestrator
from billing.services import health_reports

RECENT_CONTACT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class LastSession:
    """The open session that an orchestrator was last heard through.

    `heard_at` is when its last event reached us, `seen_at` when that event happened. `upstream_addr` is None
    when the address tells nothing about this orchestrator, because it is another one's `host_public_ip`.
    """

    heard_at: datetime
    seen_at: datetime
    upstream_addr: str | None
    edge_id: str | None


@dataclass(frozen=True, slots=True)
class Activity:
    """What apps above the registry know about an orchestrator: its live sessions and activity leases."""

    sessions: int = 0
    leases: int = 0
    last_session: LastSession | None = None


IDLE = Activity()


def with_last_session(orchestrator: Orchestrator, activity: Activity) -> Orchestrator:
    """Let the orchestrator show what its open session has learned since.

    Heartbeats of a session write the session's row only, so readers bring the two together. The instance
    is changed and not meant to be saved.
    """
    if activity.last_session is not None:
        take_over(orchestrator, activity.last_session)
    return orchestrator


def take_over(orchestrator: Orchestrator, last: LastSession) -> None:
    """Bring what is known of an orchestrator up to what one of its sessions has told; nothing gets older."""
    if last.heard_at > orchestrator.last_seen:
        orchestrator.last_seen = last.heard_at
        orchestrator.last_contact_source = "session"
        orchestrator.last_seen_ip = last.upstream_addr or orchestrator.last_seen_ip
    if orchestrator.last_session_seen_at is None or last.seen_at > orchestrator.last_session_seen_at:
        orchestrator.last_session_seen_at = last.seen_at
        orchestrator.last_session_upstream_addr = (
            last.upstream_addr or orchestrator.last_session_upstream_addr
        )
        orchestrator.last_session_edge_id = last.edge_id or orchestrator.last_session_edge_id


def status(orchestrator: Orchestrator, activity: Activity, *, now: datetime) -> tuple[bool, str | None]:
    """Whether an orchestrator is active, and the first reason that applies.

    A fresh forwarder report has the last word, so its reason may stand beside False.
    """
    if activity.sessions:
        return True, "session"
    if activity.leases:
        return True, "activity_lease"
    if health_reports.is_fresh(orchestrator, now=now):
        return health_reports.shows_a_service_up(orchestrator.forwarder_data or {}), "forwarder_health"
    window = timedelta(seconds=max(settings.FORWARDER_HEALTH_TTL_SECONDS, RECENT_CONTACT_SECONDS))
    if now - orchestrator.last_seen <= window:
        return True, "recent_contact"
    return False, None
