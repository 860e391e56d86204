"""Contact: when, from where and how an orchestrator was last heard of."""

from datetime import datetime, timedelta

from django.db.models import Q

from billing.models import Orchestrator
from core.db import transaction_required
from core.net import normalise_ip

REFRESH_LAG = timedelta(seconds=5)
"""How far a pure refresh of the time may lag; it saves a write on most calls."""


@transaction_required
def record_contact(*, orchestrator_pk: int, source: str, ip: str | None, now: datetime) -> bool:
    """Note that an orchestrator was heard of; False when nothing was worth writing.

    :param ip: where it was heard from, in free text; what is not an IP address is left out.
    """
    address = normalise_ip(ip) if ip else None
    news = Q(last_seen__lte=now - REFRESH_LAG) | ~Q(last_contact_source=source) | Q(last_contact_source=None)
    changes: dict[str, object] = {"last_seen": now, "last_contact_source": source}
    if address is not None:
        news |= ~Q(last_seen_ip=address) | Q(last_seen_ip=None)
        changes["last_seen_ip"] = address
    return Orchestrator.objects.filter(news, pk=orchestrator_pk).update(**changes) == 1
