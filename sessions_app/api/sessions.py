"""GET /api/sessions."""

from typing import Annotated

from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from core import pages
from core.access import Viewer
from core.api import EmbodyView
from core.openapi import operation
from core.timestamps import zulu
from core.wire import Input, Output, Text
from sessions_app.records import SessionRecord, record
from sessions_app.services import session_list


class SessionPage(Input):
    """Which sessions. `active_only` keeps those not ended and heard of within the idle timeout."""

    orchestrator_id: Text | None = None
    active_only: bool = False
    limit: Annotated[int, Field(ge=1, le=2000)] = 200
    cursor: Text | None = None


class SessionList(Output):
    """Sessions in their newest generation, started last first."""

    sessions: list[SessionRecord]
    next_cursor: str | None


class Sessions(EmbodyView):
    """Stream sessions, as edges reported them."""

    access = {"GET": Viewer}

    @operation(
        "list_sessions",
        tag="sessions",
        summary="List sessions, started last first",
        query=SessionPage,
        answers=SessionList,
        refusals=[pages.InvalidCursor],
    )
    def get(self, request: Request) -> Response:
        query = self.query(SessionPage)
        filters = {
            "list": "sessions",
            "orchestrator_id": query.orchestrator_id,
            "active_only": query.active_only,
        }
        after = pages.decode(query.cursor, filters)
        rows = session_list.fetch(
            orchestrator_id=query.orchestrator_id,
            active_only=query.active_only,
            after=(after[0], after[1]) if after else None,
            limit=query.limit + 1,
            now=timezone.now(),
        )
        shown, cursor = pages.page(
            rows, limit=query.limit, key=lambda row: [zulu(row["started_at"]), row["id"]], filters=filters
        )
        return Response({"sessions": [record(row) for row in shown], "next_cursor": cursor})
