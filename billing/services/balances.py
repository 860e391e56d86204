"""What orchestrators have earned and not been paid yet."""

from collections.abc import Iterable

from django.db.models import Sum

from billing.models import Account, Asset, Leg
from core.caching import in_proportion


def of_orchestrators(orchestrator_pks: Iterable[int]) -> dict[int, int]:
    """Owed plus in flight in wei, by orchestrator, in one statement; who never earned is left out."""
    rows = (
        Account.objects.filter(orchestrator__in=list(orchestrator_pks), asset=Asset.ETH, kept=True)
        .order_by()
        .values_list("orchestrator_id")
        .annotate(Sum("balance"))
    )
    return {pk: balance for pk, balance in rows if pk is not None}


def of_orchestrator(orchestrator_pk: int) -> int:
    """Owed plus in flight in wei."""
    return of_orchestrators([orchestrator_pk]).get(orchestrator_pk, 0)


def of_account(account: Account) -> int:
    """What lies on an account, in its asset's smallest unit.

    A contra account stores no balance; the sum of its legs is for people to read, and may be as old as
    `core.caching.in_proportion` says.
    """
    if account.balance is not None:
        return int(account.balance)
    return in_proportion(f"contra:{account.pk}", lambda: _sum_of_legs(account))


def _sum_of_legs(account: Account) -> int:
    return int(Leg.objects.filter(account=account).order_by().aggregate(total=Sum("amount"))["total"] or 0)
