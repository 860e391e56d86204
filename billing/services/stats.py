"""What an orchestrator earned and was paid, per day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection

from billing import chart
from billing.kinds import MEANINGS, Column, Line
from billing.models import Account, Asset, Kind, Orchestrator

# Read from the covering index on (account, effective_at) alone; days are UTC's.
PER_DAY_AND_KIND = """
SELECT (effective_at AT TIME ZONE 'UTC')::date AS day, kind,
       sum(amount), coalesce(sum(amount) FILTER (WHERE amount > 0), 0)
FROM billing_leg
WHERE account_id = ANY(%s) AND effective_at >= %s AND effective_at < %s
GROUP BY day, kind
"""


@dataclass(slots=True)
class Sums:
    """Amounts in wei of some days. Payouts count positive; the rest is signed as the balance sees it."""

    credits: int = 0
    payouts: int = 0
    session: int = 0
    workload: int = 0
    passive: int = 0
    adjustments: int = 0
    net_delta: int = 0

    def add(self, kind: Kind, *, net: int, gains: int) -> None:
        """Count the entries of one kind: their net, and the sum of those that were gains."""
        meaning = MEANINGS[kind]
        self.net_delta += net
        if meaning.line is Line.CREDIT:
            self.credits += gains
        match meaning.column:
            case Column.SESSION:
                self.session += net
            case Column.WORKLOAD:
                self.workload += net
            case Column.PASSIVE:
                self.passive += net
            case Column.ADJUSTMENTS:
                self.adjustments += net
            case Column.PAYOUTS:
                self.payouts -= net


@dataclass(frozen=True, slots=True)
class Statistics:
    """`daily` has every day of the window, oldest first; `balance_wei` is as of now."""

    balance_wei: int
    total: Sums
    daily: dict[date, Sums]


def for_orchestrator(orchestrator: Orchestrator, *, days: int, now: datetime) -> Statistics:
    """The last `days` calendar days in UTC, today included, in two statements whatever they hold."""
    today = now.astimezone(UTC).date()
    first = today - timedelta(days=days - 1)
    accounts = dict(
        Account.objects.filter(
            address__in=[chart.owed(orchestrator.pk).address, chart.in_flight(orchestrator.pk).address],
            asset=Asset.ETH,
        ).values_list("pk", "balance")
    )
    daily = {first + timedelta(days=number): Sums() for number in range(days)}
    total = Sums()
    for day, kind, net, gains in _per_day_and_kind(accounts, first, today + timedelta(days=1)):
        for sums in (daily[day], total):
            sums.add(Kind(kind), net=int(net), gains=int(gains))
    return Statistics(sum(int(balance or 0) for balance in accounts.values()), total, daily)


def _per_day_and_kind(accounts: Iterable[int], first: date, until: date) -> list[tuple[date, str, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(PER_DAY_AND_KIND, [list(accounts), _midnight(first), _midnight(until)])
        return list(cursor.fetchall())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
