"""The ledger's doorways: adjustments, and the journal."""

from typing import Annotated, Any

from django.utils import timezone
from pydantic import AfterValidator, Field, StringConstraints
from rest_framework.request import Request
from rest_framework.response import Response

from billing.models import Entry, Orchestrator
from billing.services import adjustments, journal, ledger, registry
from core import pages
from core.access import Admin, Viewer
from core.api import EmbodyView
from core.doorway import doorway
from core.openapi import operation
from core.wire import Clean, Eth, EthAmount, Identifier, Input, Output, Text


def _not_zero(wei: int) -> int:
    if wei == 0:
        raise ValueError("amount_eth must be non-zero")
    return wei


class AdjustmentRequest(Input):
    """A correction of what an orchestrator is owed. The reason is free text."""

    orchestrator_id: Identifier
    amount_eth: Annotated[EthAmount, AfterValidator(_not_zero)]
    reason: Annotated[str, StringConstraints(max_length=256), Clean] | None = None
    reference_workload_id: Annotated[str, StringConstraints(max_length=256), Clean] | None = None
    notes: Annotated[str, StringConstraints(max_length=1024), Clean] | None = None


class AdjustmentAnswer(Output):
    """The adjustment as posted. `balance_eth` is the balance after it, whatever happened since."""

    orchestrator_id: str
    balance_eth: Eth
    delta_eth: Eth
    reason: str
    reference_workload_id: str | None
    notes: str | None
    event_id: str


class JournalQuery(Input):
    """Which entries, and how many of them."""

    orchestrator_id: Text | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    cursor: Text | None = None


class JournalLine(Output):
    """One entry. `balance` is what was owed plus what was in flight, as of the entry."""

    timestamp: str
    event: str
    orchestrator_id: str
    amount: str
    balance: str
    delta: str | None = None
    reason: str | None = None
    metadata: dict[str, Any] | None = None


class JournalPage(Output):
    """Entries, newest first."""

    events: list[JournalLine]
    next_cursor: str | None


class Adjustments(EmbodyView):
    """Corrects what an orchestrator is owed. The header `Idempotency-Key` makes a retry safe for all time."""

    access = {"POST": Admin}

    @operation(
        "adjust_balance",
        tag="ledger",
        summary="Post an adjustment",
        takes=AdjustmentRequest,
        answers=AdjustmentAnswer,
        refusals=[
            adjustments.InvalidIdempotencyKey,
            registry.UnknownOrchestrator,
            adjustments.IdempotencyKeyReused,
            ledger.BalanceOutOfRange,
        ],
        example={"orchestrator_id": "orch-a", "amount_eth": "-0.0005", "reason": "double report"},
    )
    def post(self, request: Request) -> Response:
        wanted = self.body(AdjustmentRequest)
        with doorway():
            posted = adjustments.post(
                orchestrator_id=wanted.orchestrator_id,
                amount_wei=wanted.amount_eth,
                reason=wanted.reason,
                reference_workload_id=wanted.reference_workload_id,
                notes=wanted.notes,
                idempotency_key=request.META.get("HTTP_IDEMPOTENCY_KEY"),
                actor="api:admin",
                now=timezone.now(),
            )
        return Response(
            AdjustmentAnswer(
                orchestrator_id=posted.orchestrator_id,
                balance_eth=posted.balance_wei,
                delta_eth=posted.delta_wei,
                reason=posted.entry.reason,
                reference_workload_id=posted.reference_workload_id,
                notes=posted.notes,
                event_id=posted.entry.key,
            )
        )


class Events(EmbodyView):
    """Reads the journal."""

    access = {"GET": Viewer}

    @operation(
        "list_ledger_events",
        tag="ledger",
        summary="Read the journal",
        query=JournalQuery,
        answers=JournalPage,
        refusals=[pages.InvalidCursor],
    )
    def get(self, request: Request) -> Response:
        query = self.query(JournalQuery)
        filters = {"list": "journal", "orchestrator_id": query.orchestrator_id}
        after = pages.decode(query.cursor, filters)
        entries = journal.journalled().order_by("-id")
        if query.orchestrator_id is not None:
            # By number, or PostgreSQL may walk through everybody's entries until it has found enough.
            whose = Orchestrator.objects.filter(orchestrator_id=query.orchestrator_id)
            entries = entries.filter(orchestrator_id__in=list(whose.values_list("pk", flat=True)))
        if after is not None:
            entries = entries.filter(id__lt=after[0])
        rows = list(entries[: query.limit + 1])
        shown, cursor = pages.page(rows, limit=query.limit, key=_key, filters=filters)
        lines = [JournalLine(**line) for line in journal.lines(shown)]
        return Response(JournalPage(events=lines, next_cursor=cursor))


def _key(entry: Entry) -> tuple[int]:
    return (entry.pk,)
