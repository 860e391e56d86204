"""POST /api/sessions/events and its batch: hot paths, mounted in front of Django and as documented views."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from django.http import HttpResponse
from django.utils import timezone
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, ValidationError
from pydantic_core import from_json, to_json
from rest_framework.request import Request

from core import access
from core.api import NOT_AN_OBJECT, EmbodyView, parse_json, require_json
from core.errors import DomainError, Invalid
from core.hotpath import HotPath, Meta
from core.net import client_ip
from core.openapi import operation
from core.wire import (
    Clean,
    Identifier,
    Input,
    Instant,
    Output,
    Problem,
    Text,
    blank_is_absent,
    ip_literal,
    problems,
    value_problem,
)
from sessions_app.records import SessionRecord, record
from sessions_app.services import events
from sessions_app.services.engine import Incoming, Result, UpstreamMissing

MAX_BATCH = 1_000
MAX_AGE = timedelta(days=35)
MAX_AHEAD = timedelta(seconds=5)
EVENTS = frozenset({"start", "heartbeat", "end"})


def _event_word(text: str) -> str:
    word = text.strip().lower()
    if word not in EVENTS:
        raise ValueError("invalid session event")
    return word


def _blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


_Address = Annotated[str, StringConstraints(max_length=255), Clean, ip_literal("upstream_addr")]
_Edge = Annotated[str, StringConstraints(max_length=64), Clean]
_Streamer = Annotated[str, StringConstraints(max_length=128), Clean]


class EventReport(BaseModel):
    """What an edge reports. Without `upstream_addr` the registered host's own address is used.

    `event` is `start`, `heartbeat` (default) or `end`. `event_id` makes the report idempotent within its
    session; `occurred_at` says when it happened, if not now.
    """

    session_id: Identifier
    event: Annotated[Text, AfterValidator(_event_word)] | None = None
    upstream_addr: _Address | None = None
    upstream_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    edge_id: Annotated[_Edge | None, BeforeValidator(_blank)] = None
    orchestrator_id: Identifier | None = None
    streamer_id: Annotated[_Streamer | None, BeforeValidator(blank_is_absent)] = None
    event_id: Identifier | None = None
    occurred_at: Instant | None = None


class EventBatch(Input):
    """Up to 1,000 events; those of one session are applied in the order given."""

    events: Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH)]


class DescribedEventBatch(Input):
    """Up to 1,000 events; those of one session are applied in the order given."""

    events: Annotated[list[EventReport], Field(min_length=1, max_length=MAX_BATCH)]


class EventApplied(Output):
    """A batch item that was applied."""

    index: int
    status: Literal[200]
    session: SessionRecord


class EventRefused(Output):
    """A batch item that was refused, as the single endpoint would have."""

    index: int
    status: Literal[400, 422]
    detail: str | list[dict[str, Any]]


class BatchResult(Output):
    """One result per event, in order."""

    results: list[EventApplied | EventRefused]


def report_event(meta: Meta, body: bytes) -> bytes:
    """Apply one event and return its session's record."""
    now = timezone.now()
    event = _incoming(_validated(_json_object(meta, body), "body"), now, "body")
    result = events.report_one(event, now=now, caller_ip=client_ip(meta))
    if isinstance(result, DomainError):
        raise result
    return to_json(record(result))


def report_events(meta: Meta, body: bytes) -> bytes:
    """Apply a batch and return one result per event. A bad item never affects the others."""
    now = timezone.now()
    try:
        items = EventBatch.model_validate(_json_object(meta, body)).events
    except ValidationError as error:
        raise Invalid(problems(error, "body")) from None
    accepted, refused = _sort_out(items, now)
    results = (
        events.report_many(list(accepted.values()), now=now, caller_ip=client_ip(meta)) if accepted else []
    )
    by_place: dict[int, Result] = {**refused, **dict(zip(accepted, results, strict=True))}
    return to_json({"results": [_item(place, by_place[place]) for place in range(len(items))]})


def _sort_out(items: Sequence[Any], now: datetime) -> tuple[dict[int, Incoming], dict[int, Invalid]]:
    """The valid events and the refusals of the others, by their place in the batch."""
    accepted: dict[int, Incoming] = {}
    refused: dict[int, Invalid] = {}
    for place, item in enumerate(items):
        loc = ("body", "events", place)
        try:
            accepted[place] = _incoming(_validated(item, *loc), now, *loc)
        except Invalid as refusal:
            refused[place] = refusal
    return accepted, refused


def _item(place: int, result: Result) -> dict[str, Any]:
    if isinstance(result, Invalid):
        return {"index": place, "status": result.status, "detail": result.problems}
    if isinstance(result, DomainError):
        return {"index": place, "status": result.status, "detail": result.detail}
    return {"index": place, "status": 200, "session": record(result)}


def _json_object(meta: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    require_json(meta, body)
    try:
        data = from_json(body)
    except ValueError:
        # The fast parser knows only that it failed; the other one says where.
        data = parse_json(body)
    if not isinstance(data, dict):
        raise Invalid([NOT_AN_OBJECT])
    return data


def _validated(data: Any, *loc: str | int) -> EventReport:
    if not isinstance(data, dict):
        raise Invalid([{**NOT_AN_OBJECT, "loc": list(loc)}])
    try:
        return EventReport.model_validate(data)
    except ValidationError as error:
        raise Invalid(problems(error, *loc)) from None


def _incoming(report: EventReport, now: datetime, *loc: str | int) -> Incoming:
    """The event with its moment settled.

    :raises Invalid: `occurred_at` is more than 5 s ahead or older than 35 days.
    """
    occurred_at = report.occurred_at
    if occurred_at is not None and (problem := _time_problem(occurred_at, now, loc)):
        raise Invalid([problem])
    return Incoming(
        session_id=report.session_id,
        event=report.event or "heartbeat",
        at=now if occurred_at is None else min(occurred_at, now),
        exact=occurred_at is not None and occurred_at <= now,
        upstream_addr=report.upstream_addr,
        upstream_port=report.upstream_port or 8080,
        edge_id=report.edge_id,
        orchestrator_id=report.orchestrator_id,
        streamer_id=report.streamer_id,
        event_id=report.event_id,
    )


def _time_problem(occurred_at: datetime, now: datetime, loc: tuple[str | int, ...]) -> Problem | None:
    if occurred_at - now > MAX_AHEAD:
        return value_problem("occurred_at is in the future", *loc, "occurred_at")
    if now - occurred_at > MAX_AGE:
        return value_problem("occurred_at is too old", *loc, "occurred_at")
    return None


event_reported = HotPath(access.require_reporter, report_event)
events_reported = HotPath(access.require_reporter, report_events)

_START = {
    "session_id": "s1",
    "event": "start",
    "upstream_addr": "203.0.113.11",
    "upstream_port": 8888,
    "edge_id": "edge-a",
    "event_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
}


class SessionEvents(EmbodyView):
    """What edges report about stream sessions."""

    access: ClassVar[Mapping[str, type[Any]]] = {"POST": access.Reporter}

    @operation(
        "report_session_event",
        tag="sessions",
        summary="Report a session event",
        takes=EventReport,
        answers=SessionRecord,
        refusals=[UpstreamMissing],
        example=_START,
    )
    def post(self, request: Request) -> HttpResponse:
        """Report that a session started, is alive, or ended."""
        return event_reported.view(request)


class SessionEventBatches(EmbodyView):
    """Many reports at once."""

    access: ClassVar[Mapping[str, type[Any]]] = {"POST": access.Reporter}

    @operation(
        "report_session_events",
        tag="sessions",
        summary="Report many session events",
        takes=DescribedEventBatch,
        answers=BatchResult,
        example={"events": [_START]},
    )
    def post(self, request: Request) -> HttpResponse:
        """Report up to 1,000 events; each is answered as if it had come alone."""
        return events_reported.view(request)
