"""What orchestrators have earned and not been paid yet."""

from collections.abc import Iterable

from django.db.models import Sum

from billing.models import Account, Asset


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
