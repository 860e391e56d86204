"""Reading the registry: the list, one record, and an orchestrator's own.

The registry belongs to `billing`, but whether a host is in use is known here, so the doorway stands here
and calls down.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import records
from billing.api.records import OrchestratorRecord
from billing.authentication import OrchestratorToken, calling_orchestrator
from billing.models import Orchestrator
from core import pages
from core.access import Viewer
from core.api import EmbodyView
from core.errors import DomainError
from core.openapi import operation
from core.wire import Input, Output, Text
from sessions_app.services import activity


class NotFound(DomainError):
    code, status, detail = "not_found", 404, "Not found"


class OrchestratorPage(Input):
    """Which page of the registry. Without `limit` everything is shown."""

    limit: Annotated[int, Field(ge=1, le=2000)] | None = None
    cursor: Text | None = None


class OrchestratorList(Output):
    """Orchestrators in order of first registration."""

    orchestrators: list[OrchestratorRecord]
    next_cursor: str | None


class Orchestrators(EmbodyView):
    """The registry."""

    access = {"GET": Viewer}

    @operation(
        "list_orchestrators",
        tag="registry",
        summary="List orchestrators",
        query=OrchestratorPage,
        answers=OrchestratorList,
        refusals=[pages.InvalidCursor],
    )
    def get(self, request: Request) -> Response:
        query = self.query(OrchestratorPage)
        filters = {"list": "orchestrators"}
        after = pages.decode(query.cursor, filters)
        rows = Orchestrator.objects.order_by("pk")
        if after is not None:
            rows = rows.filter(pk__gt=after[0])
        if query.limit is not None:
            rows = rows[: query.limit + 1]
        shown, cursor = pages.page(list(rows), limit=query.limit, key=lambda row: [row.pk], filters=filters)
        redacted = records.is_redacted_for(request.META)
        listed = _records(shown, now=timezone.now(), redacted=redacted)
        return Response(OrchestratorList.model_construct(orchestrators=listed, next_cursor=cursor))


class OneOrchestrator(EmbodyView):
    """One record of the registry."""

    access = {"GET": Viewer}

    @operation(
        "show_orchestrator",
        tag="registry",
        summary="Show an orchestrator",
        answers=OrchestratorRecord,
        refusals=[NotFound],
    )
    def get(self, request: Request, orchestrator_id: str) -> Response:
        found = Orchestrator.objects.filter(orchestrator_id=orchestrator_id)[:1]
        shown = _records(found, now=timezone.now(), redacted=records.is_redacted_for(request.META))
        if not shown:
            raise NotFound
        return Response(shown[0])


class Me(EmbodyView):
    """The record of whoever asks, never redacted."""

    access = {"GET": OrchestratorToken}

    @operation("show_me", tag="registry", summary="Show the calling orchestrator", answers=OrchestratorRecord)
    def get(self, request: Request) -> Response:
        return Response(_records([calling_orchestrator(request)], now=timezone.now())[0])


def _records(
    orchestrators: Iterable[Orchestrator], *, now: datetime, redacted: bool = False
) -> list[OrchestratorRecord]:
    rows = list(orchestrators)
    busy = activity.for_orchestrators([row.pk for row in rows], now=now)
    return records.build(rows, activity=busy, now=now, redacted=redacted)
