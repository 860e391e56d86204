"""Activity leases: marking that a host is in use, keeping the mark alive, taking it back.

A live session is such a mark by itself, under the id `session:<session_id>`. Its lease is read from the
session's row and never written.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Coalesce

from billing.models import Orchestrator
from billing.services.contact import record_contact
from billing.services.registry import UnknownOrchestrator
from core.db import transaction_required
from core.errors import DomainError
from core.net import normalise_ip
from sessions_app.models import ActivityLease, StreamSession

SESSION_PREFIX = "session:"
SHORTEST = timedelta(seconds=30)


class LeaseNotFound(DomainError):
    code, status, detail = "lease_not_found", 404, "Lease not found"


@transaction_required
def create(
    *,
    orchestrator_id: str,
    upstream_addr: str,
    kind: str,
    metadata: Mapping[str, Any],
    lease_seconds: int | None,
    caller_ip: str | None,
    now: datetime,
) -> ActivityLease:
    """Mark that an orchestrator is in use.

    :param lease_seconds: how long the mark is wanted for; it is cut to what the settings allow.
    :raises UnknownOrchestrator: nobody is registered under this id.
    """
    orchestrator = Orchestrator.objects.filter(orchestrator_id=orchestrator_id).first()
    if orchestrator is None:
        raise UnknownOrchestrator
    lease = ActivityLease.objects.create(
        lease_id=uuid.uuid4().hex,
        orchestrator=orchestrator,
        upstream_addr=upstream_addr,
        kind=kind,
        metadata=dict(metadata),
        issued_at=now,
        last_seen_at=now,
        last_seen_ip=caller_ip,
        expires_at=now + lifetime(lease_seconds),
    )
    _record_contact(lease, now)
    return lease


@transaction_required
def heartbeat(
    *, lease_id: str, orchestrator_id: str, lease_seconds: int | None, caller_ip: str | None, now: datetime
) -> ActivityLease:
    """Extend a live lease from now. A session's lease is returned as it is: only the session extends it.

    :raises LeaseNotFound: there is no such lease, it is another orchestrator's, or it is over.
    """
    lease = _find(lease_id)
    if lease is None or lease.orchestrator.orchestrator_id != orchestrator_id or not lease.is_live(now=now):
        raise LeaseNotFound
    if not lease_id.startswith(SESSION_PREFIX):
        lease.last_seen_at, lease.last_seen_ip = now, caller_ip
        lease.expires_at = now + lifetime(lease_seconds)
        lease.save(update_fields=["last_seen_at", "last_seen_ip", "expires_at"])
    _record_contact(lease, now)
    return lease


@transaction_required
def revoke(*, lease_id: str, now: datetime) -> None:
    """Take a lease back; repeating it changes nothing.

    A session's lease stays hidden until the session's next start or heartbeat.

    :raises LeaseNotFound: there was never such a lease.
    """
    if lease_id.startswith(SESSION_PREFIX):
        sessions = StreamSession.objects.leased().filter(session_id=lease_id.removeprefix(SESSION_PREFIX))
        found = sessions.update(lease_hidden_at=Coalesce(F("lease_hidden_at"), now))
    else:
        leases = ActivityLease.objects.filter(lease_id=lease_id)
        found = leases.update(revoked_at=Coalesce(F("revoked_at"), now))
    if not found:
        raise LeaseNotFound


def of_session(session: StreamSession) -> ActivityLease:
    """The lease that an attributed session is; it has no row of its own."""
    address = normalise_ip(session.upstream_addr) or session.upstream_addr
    return ActivityLease(
        lease_id=f"{SESSION_PREFIX}{session.session_id}",
        orchestrator=session.orchestrator,
        upstream_addr=address,
        kind="session",
        metadata={
            "session_id": session.session_id,
            "edge_id": session.edge_id,
            "streamer_id": session.streamer_id,
            "upstream_addr": address,
            "upstream_port": session.upstream_port,
        },
        issued_at=session.started_at,
        last_seen_at=session.last_seen_at,
        last_seen_ip=session.reported_ip,
        expires_at=session.last_seen_at + timedelta(seconds=settings.ACTIVITY_LEASE_SECONDS),
        revoked_at=session.ended_at or session.lease_hidden_at,
    )


def lifetime(wanted_seconds: int | None) -> timedelta:
    """How long a lease lives: as wanted, within what the settings allow, and never under 30 s."""
    seconds = settings.ACTIVITY_LEASE_SECONDS if wanted_seconds is None else wanted_seconds
    return min(
        max(timedelta(seconds=seconds), SHORTEST), timedelta(seconds=settings.ACTIVITY_LEASE_MAX_SECONDS)
    )


def _find(lease_id: str) -> ActivityLease | None:
    """A lease by id, locked if it has a row of its own, together with its orchestrator."""
    if not lease_id.startswith(SESSION_PREFIX):
        leases = ActivityLease.objects.select_related("orchestrator").select_for_update(of=["self"])
        return leases.filter(lease_id=lease_id).first()
    sessions = StreamSession.objects.leased().select_related("orchestrator")
    session = sessions.filter(session_id=lease_id.removeprefix(SESSION_PREFIX)).first()
    return of_session(session) if session else None


def _record_contact(lease: ActivityLease, now: datetime) -> None:
    record_contact(
        orchestrator_pk=lease.orchestrator_id, source="activity_lease", ip=lease.upstream_addr, now=now
    )
