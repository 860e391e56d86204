"""Forwarder health: what the forwarder in front of a host says about its services."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from billing.models import Orchestrator
from billing.services import registry
from billing.services.contact import record_contact
from core.db import transaction_required
from core.net import normalise_ip


@transaction_required
def store(*, orchestrator_id: str, source: str, data: dict[str, Any], now: datetime) -> None:
    """Replace the orchestrator's report. One that shows a service up is contact, and proof of health.

    :raises UnknownOrchestrator: nobody is registered under this id.
    """
    orchestrator = registry.find(orchestrator_id)
    ip = data.get("ip") if isinstance(data.get("ip"), str) else None
    healthy = {"last_healthy_at": now} if shows_a_service_up(data) else {}
    Orchestrator.objects.filter(pk=orchestrator.pk).update(
        forwarder_source=source,
        forwarder_reported_at=now,
        forwarder_data=data,
        forwarder_ip=normalise_ip(ip) if ip else None,
        **healthy,
    )
    if healthy:
        record_contact(orchestrator_pk=orchestrator.pk, source=source, ip=ip, now=now)


def shows_a_service_up(data: dict[str, Any]) -> bool:
    """Whether `summary.services_up` is an integer above 0."""
    summary = data.get("summary")
    services_up = summary.get("services_up") if isinstance(summary, dict) else None
    return isinstance(services_up, int) and not isinstance(services_up, bool) and services_up > 0


def is_fresh(orchestrator: Orchestrator, *, now: datetime) -> bool:
    """Whether the last report is young enough to be believed."""
    reported_at = orchestrator.forwarder_reported_at
    return reported_at is not None and now - reported_at <= timedelta(
        seconds=settings.FORWARDER_HEALTH_TTL_SECONDS
    )
