"""What staff see at a glance about money and hosts. Reads only; each figure is one statement."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection
from django.db.models import Count, Q, Sum

from billing.models import Account, Asset, Kind, Orchestrator
from core.caching import in_proportion

SOURCES = ("platform:compute", "platform:adjustments")
"""The contra accounts that credits to hosts come from; what leaves them is what hosts were credited."""

ONLINE_FOR = timedelta(minutes=5)

# One covering index answers each of these: (account_id, effective_at) including kind and amount.
_CREDITED = """
SELECT (leg.effective_at AT TIME ZONE 'UTC')::date, leg.kind, -sum(leg.amount)
FROM billing_leg leg
WHERE leg.account_id = ANY(%s) AND leg.effective_at >= %s AND leg.effective_at < %s
GROUP BY 1, 2
"""
_TOP_HOSTS = """
SELECT account.orchestrator_id, host.orchestrator_id, credited.wei
FROM (
    SELECT leg.account_id, sum(leg.amount) AS wei FROM billing_account account
    JOIN billing_leg leg ON leg.account_id = account.id AND leg.effective_at >= %s
    WHERE account.kept AND account.asset = 'ETH' AND account.address LIKE 'orchestrator:%%:owed'
    GROUP BY leg.account_id ORDER BY wei DESC LIMIT %s
) credited
JOIN billing_account account ON account.id = credited.account_id
JOIN billing_orchestrator host ON host.id = account.orchestrator_id
WHERE credited.wei > 0 ORDER BY credited.wei DESC, host.id
"""


@dataclass(frozen=True, slots=True)
class Credited:
    """Wei credited per day and kind, oldest day first, no day left out."""

    days: list[date]
    by_kind: dict[str, list[int]]

    def last(self, days: int) -> int:
        """Credited within the last `days` calendar days, today included."""
        return sum(sum(values[-days:]) for values in self.by_kind.values())


@dataclass(frozen=True, slots=True)
class Host:
    """One host in a ranking."""

    pk: int
    orchestrator_id: str
    credited_wei: int


@dataclass(frozen=True, slots=True)
class Owed:
    """What hosts have earned and not been paid."""

    total_wei: int
    hosts: int
    known: int
    """How many hosts are registered at all."""
    online: int


def first_moment(*, now: datetime, days: int) -> datetime:
    """Midnight UTC that begins the window of `days` calendar days ending today."""
    return datetime.combine(now.astimezone(UTC).date() - timedelta(days=days - 1), time(), UTC)


def credited_per_day(*, now: datetime, days: int, orchestrator_pk: int | None = None) -> Credited:
    """What hosts, or one host, were credited, by the day on which it was earned."""
    start = first_moment(now=now, days=days)
    calendar = [start.date() + timedelta(days=step) for step in range(days)]
    position = {day: index for index, day in enumerate(calendar)}
    by_kind: dict[str, list[int]] = {kind.value: [0] * days for kind in Kind}
    for day, kind, wei in _sums(start, start + timedelta(days=days), orchestrator_pk):
        by_kind.setdefault(kind, [0] * days)[position[day]] = wei
    return Credited(calendar, {kind: values for kind, values in by_kind.items() if any(values)})


def _sums(start: datetime, end: datetime, orchestrator_pk: int | None) -> list[tuple[date, str, int]]:
    """Sums per day and kind. Late events may still change a day that is over, but rarely; so over all
    hosts, days before yesterday are remembered for a while, and the last two are read each time."""
    sign, accounts = _accounts(orchestrator_pk)
    if orchestrator_pk is not None:
        return _read_sums(accounts, start, end, sign)
    fresh = max(start, end - timedelta(days=2))
    key = f"credited:{start:%Y-%m-%d}:{fresh:%Y-%m-%d}"
    settled = in_proportion(key, lambda: _read_sums(accounts, start, fresh, sign))
    return settled + _read_sums(accounts, fresh, end, sign)


def _read_sums(accounts: list[int], start: datetime, end: datetime, sign: int) -> list[tuple[date, str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_CREDITED, [accounts, start, end])
        return [(day, kind, sign * int(wei)) for day, kind, wei in cursor.fetchall()]


def _accounts(orchestrator_pk: int | None) -> tuple[int, list[int]]:
    """Which accounts to sum, and which sign makes a credit positive there."""
    if orchestrator_pk is None:
        chosen = Account.objects.filter(address__in=SOURCES, asset=Asset.ETH)
        return 1, list(chosen.values_list("pk", flat=True))
    address = f"orchestrator:{orchestrator_pk}:owed"
    return -1, list(Account.objects.filter(address=address, asset=Asset.ETH).values_list("pk", flat=True))


def top_hosts(*, now: datetime, days: int, limit: int) -> list[Host]:
    """Who was credited most within the last `days` calendar days."""
    with connection.cursor() as cursor:
        cursor.execute(_TOP_HOSTS, [first_moment(now=now, days=days), limit])
        return [Host(pk, name, int(wei)) for pk, name, wei in cursor.fetchall()]


def owed(*, now: datetime) -> Owed:
    """What is owed in total, and how many hosts there are to owe it to."""
    accounts = Account.objects.filter(
        kept=True, asset=Asset.ETH, address__startswith="orchestrator:", address__endswith=":owed"
    ).aggregate(total=Sum("balance"), hosts=Count("pk", filter=Q(balance__gt=0)))
    registered = Orchestrator.objects.aggregate(
        known=Count("pk"), online=Count("pk", filter=Q(last_seen__gte=now - ONLINE_FOR))
    )
    return Owed(total_wei=int(accounts["total"] or 0), hosts=accounts["hosts"], **registered)
