"""The accounts of a posting: found or made, and locked in an order in which nobody waits in a circle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from billing.chart import Place
from billing.services import ledger_sql as sql


@dataclass(slots=True)
class LockedAccount:
    """An account's row while we post: `balance` runs along with the legs, None for contra."""

    id: int
    balance: int | None
    floor: int | None


def lock(places: Sequence[Place]) -> dict[Place, LockedAccount]:
    """Fetch every account, kept ones locked in id order; make those that were never used."""
    accounts = _select(places)
    missing = [place for place in places if place not in accounts]
    if missing:
        _create(missing)
        accounts = _select(places)
    return accounts


def _select(places: Sequence[Place]) -> dict[Place, LockedAccount]:
    by_address = {(place.address, place.asset.value): place for place in places}
    with connection.cursor() as cursor:
        cursor.execute(
            sql.LOCK_ACCOUNTS,
            [[place.address for place in places], [place.asset.value for place in places]],
        )
        return {
            by_address[address, asset]: LockedAccount(pk, _whole(balance), _whole(floor))
            for address, asset, pk, balance, floor in cursor.fetchall()
            if pk is not None
        }


def _create(places: Sequence[Place]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.CREATE_ACCOUNTS,
            [
                [place.address for place in places],
                [place.asset.value for place in places],
                [place.kept for place in places],
                [place.floor for place in places],
                [place.orchestrator_id for place in places],
            ],
        )


def _whole(number: Any) -> int | None:
    return None if number is None else int(number)
