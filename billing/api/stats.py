"""Statistics of orchestrators."""

from datetime import date
from typing import Annotated, cast

from django.conf import settings
from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from billing.authentication import OrchestratorToken
from billing.models import Orchestrator
from billing.services import stats
from billing.services.stats import Sums
from core.access import Viewer
from core.api import EmbodyView
from core.errors import DomainError
from core.money import plain
from core.openapi import operation
from core.wire import Eth, Input, Output


class OrchestratorNotFound(DomainError):
    code, status, detail = "orchestrator_not_found", 404, "Not found"


class Window(Input):
    """How many calendar days in UTC, today included."""

    days: Annotated[int, Field(ge=1, le=365)] = 30


class Day(Output):
    """What one day in UTC did to the balance. Payouts count positive."""

    date: date
    credits_eth: Eth
    payouts_eth: Eth
    session_eth: Eth
    workload_eth: Eth
    adjustments_eth: Eth
    net_delta_eth: Eth
    passive_eth: Eth


class StatsAnswer(Output):
    """The window's totals, and each of its days, oldest first."""

    orchestrator_id: str
    balance_eth: Eth
    credit_unit: str
    days: int
    total_credits_eth: Eth
    total_payouts_eth: Eth
    total_session_eth: Eth
    total_workload_eth: Eth
    total_adjustments_eth: Eth
    total_net_delta_eth: Eth
    total_passive_eth: Eth
    daily: list[Day]
    session_credit_eth_per_minute: str
    passive_credit_eth_per_minute: str
    payout_strategy: str


class Stats(EmbodyView):
    """What an orchestrator earned and was paid, for staff."""

    access = {"GET": Viewer}

    @operation(
        "read_orchestrator_stats",
        tag="ledger",
        summary="Statistics of an orchestrator",
        query=Window,
        answers=StatsAnswer,
        refusals=[OrchestratorNotFound],
    )
    def get(self, request: Request, orchestrator_id: str) -> Response:
        window = self.query(Window)
        orchestrator = Orchestrator.objects.filter(orchestrator_id=orchestrator_id).first()
        if orchestrator is None:
            raise OrchestratorNotFound
        return Response(_answer(orchestrator, window.days))


class MyStats(EmbodyView):
    """What the calling orchestrator earned and was paid."""

    access = {"GET": OrchestratorToken}

    @operation(
        "read_my_stats",
        tag="ledger",
        summary="Statistics of the caller",
        query=Window,
        answers=StatsAnswer,
    )
    def get(self, request: Request) -> Response:
        window = self.query(Window)
        return Response(_answer(cast(Orchestrator, request.user), window.days))


def _answer(orchestrator: Orchestrator, days: int) -> StatsAnswer:
    statistics = stats.for_orchestrator(orchestrator, days=days, now=timezone.now())
    return StatsAnswer(
        orchestrator_id=orchestrator.orchestrator_id,
        balance_eth=statistics.balance_wei,
        credit_unit=settings.CREDIT_UNIT,
        days=days,
        **{f"total_{name}": wei for name, wei in _columns(statistics.total).items()},
        daily=[Day(date=day, **_columns(sums)) for day, sums in statistics.daily.items()],
        session_credit_eth_per_minute=plain(settings.SESSION_CREDIT_ETH_PER_MINUTE),
        passive_credit_eth_per_minute=plain(settings.PASSIVE_CREDIT_ETH_PER_MINUTE),
        payout_strategy=settings.PAYOUT_STRATEGY,
    )


def _columns(sums: Sums) -> dict[str, int]:
    return {
        "credits_eth": sums.credits,
        "payouts_eth": sums.payouts,
        "session_eth": sums.session,
        "workload_eth": sums.workload,
        "adjustments_eth": sums.adjustments,
        "net_delta_eth": sums.net_delta,
        "passive_eth": sums.passive,
    }
