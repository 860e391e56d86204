"""The registry's audit trail: which facts each kind of record carries, and in which order."""

from datetime import datetime
from typing import Any

from billing.models import RegistryEvent
from core.db import transaction_required

KEYS: dict[str, tuple[str, ...]] = {
    "register": (
        "address",
        "first_registration",
        "registration_count",
        "is_top_100",
        "eligible_for_payments",
        "denylisted",
    ),
    "register_denied": ("address", "reason"),
    "cooldown_started": ("cooldown_expires_at",),
    "cooldown_cleared": (),
    # What staff did; the contract's readers skip events that they do not know.
    "denylisted": ("reason", "actor"),
    "denylist_cleared": ("reason", "actor"),
}
"""PostgreSQL's jsonb forgets the order of keys; whoever writes records out takes it from here."""


@transaction_required
def record(event: str, *, orchestrator_id: str, now: datetime, **details: Any) -> RegistryEvent:
    """Add a record. `details` are the facts named in `KEYS`."""
    assert set(details) == set(KEYS[event]), f"{event} carries {KEYS[event]}"
    return RegistryEvent.objects.create(
        recorded_at=now, event=event, orchestrator_id=orchestrator_id, details=details
    )
