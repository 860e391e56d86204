"""The chart of accounts: where value can lie, and how each place behaves.

A `Place` is an account's address with its rules; the row in the database is made on first use.
"""

from dataclasses import dataclass

from billing.models import Asset


@dataclass(frozen=True, slots=True)
class Place:
    """An account of the chart.

    A kept place stores its running balance and is locked while it changes. A contra place belongs to the
    platform, is never locked, and its balance is the sum of its legs. `floor` is the lowest balance that
    PostgreSQL allows, or None.
    """

    address: str
    asset: Asset
    kept: bool
    floor: int | None = None
    orchestrator_id: int | None = None


def owed(orchestrator_pk: int) -> Place:
    """What we owe an orchestrator. May go below zero, but only by the kinds that `ledger` allows to."""
    return Place(
        f"orchestrator:{orchestrator_pk}:owed", Asset.ETH, kept=True, orchestrator_id=orchestrator_pk
    )


def in_flight(orchestrator_pk: int) -> Place:
    """What is on its way to an orchestrator, and neither owed nor paid yet."""
    return Place(
        f"orchestrator:{orchestrator_pk}:in_flight",
        Asset.ETH,
        kept=True,
        floor=0,
        orchestrator_id=orchestrator_pk,
    )


def platform(name: str, asset: Asset = Asset.ETH) -> Place:
    """The platform's side: `compute` for what hosting cost, `adjustments` for corrections."""
    return Place(f"platform:{name}", asset, kept=False)
