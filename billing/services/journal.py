"""The journal: the ledger as one line per entry about one orchestrator's balance.

What staff read at `/api/ledger/events`, and what is exported to the journal file. The balance of an
orchestrator is what it is owed plus what is in flight to it, so moving value between the two writes no line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from billing.kinds import JOURNALLED, MEANINGS, Line
from billing.models import Entry, Kind
from core.money import eth_from_wei
from core.timestamps import offset

# One look into the index on (account, entry) for each entry and account, however old the entry is: at a
# million legs the 400 looks of a page of 200 take 2 ms (ADR 1). An account changes only under its lock,
# so its legs are in the order of their entries, and the newest leg up to an entry holds the balance as
# of that entry.
BALANCES = """
SELECT line.entry_id,
       sum(newest.balance_after),
       sum(CASE WHEN newest.entry_id = line.entry_id THEN newest.amount ELSE 0 END)
FROM unnest(%s::bigint[], %s::bigint[]) AS line (entry_id, orchestrator_id)
JOIN billing_account AS account
  ON account.orchestrator_id = line.orchestrator_id AND account.kept AND account.asset = 'ETH'
CROSS JOIN LATERAL (
    SELECT leg.entry_id, leg.amount, leg.balance_after
    FROM billing_leg AS leg
    WHERE leg.account_id = account.id AND leg.entry_id <= line.entry_id
    ORDER BY leg.entry_id DESC
    LIMIT 1
) AS newest
GROUP BY line.entry_id
"""

# jsonb forgets the order in which keys were written; readers are used to this one.
_METADATA_ORDER = {
    name: position
    for position, name in enumerate(
        (
            *("session_id", "event", "trigger", "segment_index", "segment_start", "segment_end"),
            *("duration_ms", "proof_hash", "upstream_addr", "upstream_port", "edge_id", "credit_unit"),
            *("streamer_id", "generation", "reference_workload_id", "notes"),
            *("reversal", "test", "test_run_id"),
        )
    )
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What an entry did to its orchestrator's balance, in wei: the change, and the balance after."""

    delta: int
    balance: int


def effects(entries: Iterable[Entry]) -> dict[int, Effect]:
    """The effect of each entry by its id, in one statement. Entries about nobody have none."""
    about = [(entry.pk, entry.orchestrator_id) for entry in entries if entry.orchestrator_id is not None]
    if not about:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(BALANCES, [list(column) for column in zip(*about, strict=True)])
        return {pk: Effect(int(delta), int(balance)) for pk, balance, delta in cursor.fetchall()}


def journalled() -> QuerySet[Entry]:
    """The entries that make a line, with what `lines` needs of them."""
    return Entry.objects.filter(kind__in=JOURNALLED, orchestrator__isnull=False).select_related(
        "orchestrator"
    )


def lines(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The journal lines of `journalled` entries, in the order given, keys in the contract's order."""
    entries = list(entries)
    by_entry = effects(entries)
    return [_line(entry, by_entry[entry.pk]) for entry in entries]


def _line(entry: Entry, effect: Effect) -> dict[str, Any]:
    kind = MEANINGS[Kind(entry.kind)].line
    assert kind is not None, f"{entry}: the journal is silent about {entry.kind}"
    assert entry.orchestrator is not None, f"{entry}: an entry about nobody makes no line"
    line: dict[str, Any] = {
        "timestamp": offset(entry.recorded_at),
        "event": kind.value,
        "orchestrator_id": entry.orchestrator.orchestrator_id,
        "amount": eth_from_wei(effect.balance if kind is Line.SET_BALANCE else effect.delta),
        "balance": eth_from_wei(effect.balance),
        "delta": eth_from_wei(effect.delta),
    }
    if entry.reason:
        line["reason"] = entry.reason
    if entry.metadata:
        line["metadata"] = dict(sorted(entry.metadata.items(), key=_position))
    return line


def _position(item: tuple[str, Any]) -> tuple[int, str]:
    return _METADATA_ORDER.get(item[0], len(_METADATA_ORDER)), item[0]
