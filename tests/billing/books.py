"""Small sentences in which the tests of the ledger speak."""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from billing import chart
from billing.models import Account, Asset, Entry, Kind, Orchestrator
from billing.services import ledger
from billing.services.ledger import Posting

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
COMPUTE = chart.platform("compute")


def host(name: str = "orch-a", number: int = 1) -> Orchestrator:
    """A registered orchestrator."""
    return Orchestrator.objects.create(
        orchestrator_id=name, address=f"0x{number:040x}", first_seen=NOON, last_seen=NOON
    )


def segment(orchestrator: Orchestrator, wei: int, key: str, *, at: datetime = NOON, **facts: Any) -> Posting:
    """What serving a segment earns."""
    return Posting(
        key=key,
        kind=Kind.SESSION_SEGMENT,
        legs={COMPUTE: -wei, chart.owed(orchestrator.pk): wei},
        effective_at=at,
        reason="session_time",
        orchestrator_id=orchestrator.pk,
        **facts,
    )


def adjustment(orchestrator: Orchestrator, wei: int, key: str, *, at: datetime = NOON) -> Posting:
    """A person's correction."""
    return Posting(
        key=key,
        kind=Kind.ADJUSTMENT,
        legs={chart.platform("adjustments"): -wei, chart.owed(orchestrator.pk): wei},
        effective_at=at,
        reason="adjustment",
        orchestrator_id=orchestrator.pk,
    )


def commit(*postings: Posting) -> list[Entry]:
    """Post, in a transaction of its own."""
    with transaction.atomic():
        return ledger.post_many(postings)


def balance(address: str, asset: Asset = Asset.ETH) -> int | None:
    stored: int | None = Account.objects.get(address=address, asset=asset).balance
    return stored


def owed(orchestrator: Orchestrator) -> int | None:
    return balance(chart.owed(orchestrator.pk).address)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run each piece of work in a thread of its own, on a connection of its own, all starting together.

    What a piece raised stands in its place in the answer.
    """
    start = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(number: int, work: Callable[[], Any]) -> None:
        try:
            start.wait(timeout=20)
            results[number] = work()
        except Exception as error:  # noqa: BLE001 - handed to the test, which says what it expects
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return results


def page(entries: Iterable[Entry]) -> list[tuple[str, str, int, int | None]]:
    """A ledger page: (key, account, amount, balance after), in the order it was written."""
    return [
        (entry.key, leg.account.address, leg.amount, leg.balance_after)
        for entry in entries
        for leg in entry.legs.select_related("account").order_by("id")
    ]
