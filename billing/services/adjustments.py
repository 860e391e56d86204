"""Adjustments: a person's own entries, with a reason and an actor."""

import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing import chart
from billing.models import Entry, Kind
from billing.services import journal, ledger, registry
from core.db import transaction_required
from core.errors import DomainError

DEFAULT_REASON = "adjustment"
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")


class InvalidIdempotencyKey(DomainError):
    code, status, detail = "invalid_idempotency_key", 400, "Invalid Idempotency-Key"


class IdempotencyKeyReused(DomainError):
    code, status = "idempotency_key_reused", 409
    detail = "Idempotency-Key already used with a different request"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A posted adjustment, and the orchestrator's balance in wei as of it."""

    entry: Entry
    orchestrator_id: str
    delta_wei: int
    balance_wei: int
    reference_workload_id: str | None
    notes: str | None


@transaction_required
def post(
    *,
    orchestrator_id: str,
    amount_wei: int,
    reason: str | None,
    reference_workload_id: str | None,
    notes: str | None,
    idempotency_key: str | None,
    actor: str,
    now: datetime,
) -> Adjustment:
    """Add `amount_wei`, which may be negative and may leave a debt, to what an orchestrator is owed.

    The same `idempotency_key` with the same request returns the first adjustment, for all time: everything
    it answers is read from its entry, which never changes.

    :raises InvalidIdempotencyKey: the key is not 1 to 255 characters of printable ASCII.
    :raises registry.UnknownOrchestrator: nobody has that id.
    :raises IdempotencyKeyReused: the key belongs to a different request.
    :raises ledger.BalanceOutOfRange: the balance would not fit 256 bits.
    """
    key = _key(idempotency_key)
    orchestrator = registry.find(orchestrator_id)
    facts = {"reference_workload_id": reference_workload_id, "notes": notes}
    reason = reason or DEFAULT_REASON
    try:
        entry = ledger.post(
            key=key,
            kind=Kind.ADJUSTMENT,
            legs={chart.platform("adjustments"): -amount_wei, chart.owed(orchestrator.pk): amount_wei},
            effective_at=now,
            reason=reason,
            metadata={name: fact for name, fact in facts.items() if fact},
            orchestrator_id=orchestrator.pk,
            actor=actor,
        )
    except ledger.IdempotencyConflict:
        raise IdempotencyKeyReused from None
    if _request(entry.reason, entry.metadata) != _request(reason, facts):
        raise IdempotencyKeyReused
    effect = journal.effects([entry])[entry.pk]
    return Adjustment(
        entry, orchestrator_id, effect.delta, effect.balance, reference_workload_id or None, notes or None
    )


def _key(idempotency_key: str | None) -> str:
    """The entry's key, which is also the `event_id`: random, or the digest of the caller's own key."""
    if idempotency_key is None:
        return f"adjustment:{uuid.uuid4().hex}"
    if not _PRINTABLE.fullmatch(idempotency_key):
        raise InvalidIdempotencyKey
    return f"adjustment:{hashlib.sha256(idempotency_key.encode()).hexdigest()[:32]}"


def _request(reason: str, facts: dict[str, Any]) -> tuple[str, str, str]:
    """What tells two requests for the same amount to the same orchestrator apart."""
    return reason, facts.get("reference_workload_id") or "", facts.get("notes") or ""
