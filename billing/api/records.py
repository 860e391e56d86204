"""The orchestrator record: what is known about one orchestrator, as the wire has it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from billing.models import Orchestrator
from billing.services import balances, liveness
from billing.services.liveness import IDLE, Activity
from core.net import client_ip, normalise_ip
from core.wire import Eth, OffsetTime, Output

REDACTED = frozenset(
    {"host_public_ip", "last_seen_ip", "health_url", "last_session_upstream_addr", "last_session_edge_id"}
)
"""What only managers see, once their addresses are configured."""


class OrchestratorRecord(Output):
    """One orchestrator. Money in ETH; what is computed from time is as of the answer."""

    orchestrator_id: str
    address: str
    balance_eth: Eth
    credit_unit: str
    eligible_for_payments: bool
    is_top_100: bool
    denylisted: bool
    cooldown_expires_at: OffsetTime | None
    cooldown_active: bool
    first_seen: OffsetTime
    last_seen: OffsetTime
    registration_count: int
    contact_email: str | None
    capability: str | None
    host_public_ip: str | None
    host_name: str | None
    last_seen_ip: str | None
    last_missed_all_services: OffsetTime | None
    last_healthy_at: OffsetTime | None
    last_cooldown_started_at: OffsetTime | None
    last_cooldown_cleared_at: OffsetTime | None
    health_url: str | None
    health_timeout: float | None
    monitored_services: list[str] | None
    min_service_uptime: float | None
    last_contact_source: str | None
    last_session_upstream_addr: str | None
    last_session_seen_at: OffsetTime | None
    last_session_edge_id: str | None
    desired_pin: Any
    last_ops_upgrade: Any
    active: bool
    active_reason: str | None
    in_use: bool
    active_sessions: int
    active_activity_leases: int
    address_verified: bool


_STORED = frozenset(OrchestratorRecord.model_fields) & {
    field.name for field in Orchestrator._meta.concrete_fields
}

_ADDRESSES = ("host_public_ip", "last_seen_ip", "last_session_upstream_addr")


def build(
    orchestrators: Sequence[Orchestrator],
    *,
    activity: Mapping[int, Activity],
    now: datetime,
    redacted: bool = False,
) -> list[OrchestratorRecord]:
    """The records of these orchestrators, in one statement more than it took to load them.

    :param activity: by primary key; who is idle may be left out.
    """
    owed = balances.of_orchestrators(orchestrator.pk for orchestrator in orchestrators)
    return [
        _record(
            orchestrator,
            balance_wei=owed.get(orchestrator.pk, 0),
            activity=activity.get(orchestrator.pk, IDLE),
            now=now,
            redacted=redacted,
        )
        for orchestrator in orchestrators
    ]


def is_redacted_for(meta: Mapping[str, str]) -> bool:
    """Whether this caller sees records without the addresses in them."""
    managers = {normalise_ip(address) for address in settings.MANAGER_IP_ALLOWLIST}
    return bool(managers) and client_ip(meta) not in managers


def _record(
    orchestrator: Orchestrator, *, balance_wei: int, activity: Activity, now: datetime, redacted: bool
) -> OrchestratorRecord:
    orchestrator = liveness.with_last_session(orchestrator, activity)
    active, reason = liveness.status(orchestrator, activity, now=now)
    stored = {name: getattr(orchestrator, name) for name in _STORED}
    # PostgreSQL spells a few IPv6 forms in its own way.
    addresses = {name: normalise_ip(stored[name]) for name in _ADDRESSES if stored[name]}
    in_cooldown = orchestrator.in_cooldown(now=now)
    computed = {
        "balance_eth": balance_wei,
        "credit_unit": settings.CREDIT_UNIT,
        "eligible_for_payments": orchestrator.is_eligible(now=now),
        # A cooldown that has run out is over, whether or not a payment cycle has noticed.
        "cooldown_expires_at": orchestrator.cooldown_expires_at if in_cooldown else None,
        "cooldown_active": in_cooldown,
        "active": active,
        "active_reason": reason,
        "in_use": bool(activity.sessions or activity.leases),
        "active_sessions": activity.sessions,
        "active_activity_leases": activity.leases,
    }
    hidden = dict.fromkeys(REDACTED) if redacted else {}
    return OrchestratorRecord.model_construct(**{**stored, **addresses, **computed, **hidden})
