"""Small sentences in which the tests of sessions speak."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Concat
from django.test import Client

from billing import chart
from billing.models import Account, Entry, Leg, Orchestrator
from billing.services import trial_balance
from core.money import wei_per_minute
from sessions_app.models import Segment, SessionEvent, StreamSession
from sessions_app.services import events
from sessions_app.services.engine import Incoming, Result
from sessions_app.snapshots import thaw
from tests.factories import OrchestratorFactory

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SINGLE, BATCH = "/api/sessions/events", "/api/sessions/events/batch"
REPORTER = {"X-Session-Token": "test-reporter-token"}


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def host(name: str, address: str | None = None, **facts: Any) -> Orchestrator:
    """A registered orchestrator with a public address."""
    return OrchestratorFactory.create(orchestrator_id=name, host_public_ip=address, **facts)


def incoming(session_id: str, event: str = "heartbeat", *, at: datetime = NOON, **facts: Any) -> Incoming:
    """A valid event, whose moment its reporter named."""
    return Incoming(
        **{
            "session_id": session_id,
            "event": event,
            "at": at,
            "exact": True,
            "upstream_addr": "192.0.2.1",
            "upstream_port": 8080,
            "edge_id": None,
            "orchestrator_id": None,
            "streamer_id": None,
            "event_id": None,
            **facts,
        }
    )


def report(event: Incoming, *, now: datetime | None = None, caller_ip: str = "198.51.100.7") -> Any:
    """Report one event at its own moment; the session's columns come back, or the refusal."""
    return events.report_one(event, now=now or event.at, caller_ip=caller_ip)


def report_all(*batch: Incoming, now: datetime) -> list[Result]:
    return events.report_many(batch, now=now, caller_ip="198.51.100.7")


def post(client: Client, body: Any, path: str = SINGLE, **more: Any) -> tuple[int, Any]:
    """Send JSON as an edge does; status and decoded answer come back."""
    answer = client.post(
        path,
        body if isinstance(body, bytes) else json.dumps(body).encode(),
        **{"content_type": "application/json", "headers": REPORTER, **more},
    )
    return answer.status_code, json.loads(answer.content)


@contextmanager
def undone() -> Iterator[None]:
    """A world that never was: for each example of a property test, inside one database test."""
    block = transaction.atomic()
    # Services that open transactions of their own refuse to run inside one, unless it is a test's.
    block._from_testcase = True  # type: ignore[attr-defined]
    with block:
        yield
        transaction.set_rollback(True)


def owed(orchestrator: Orchestrator) -> int:
    """The balance of an orchestrator, in wei."""
    account = Account.objects.filter(address=chart.owed(orchestrator.pk).address).first()
    return 0 if account is None else int(account.balance or 0)


def assert_books_hold() -> None:
    """The trial balance is clean, and sessions, segments and entries tell the same story."""
    assert trial_balance.check() == []
    rate = wei_per_minute(settings.SESSION_CREDIT_ETH_PER_MINUTE)
    paid = dict(
        Leg.objects.filter(account__kept=True).values_list(
            Concat("entry__key", Value(" "), "account__address"), "amount"
        )
    )
    for session in StreamSession.objects.prefetch_related("segments__entry"):
        segments = sorted(session.segments.all(), key=lambda segment: segment.segment_index)
        assert [segment.segment_index for segment in segments] == list(range(session.segment_index))
        credited = [segment for segment in segments if segment.entry_id]
        assert session.billed_ms == sum(segment.duration_ms for segment in credited)
        assert session.billed_wei == sum(segment.amount_wei for segment in credited)
        _assert_no_interval_twice(session, segments)
        for segment in credited:
            assert segment.entry is not None
            place = f"orchestrator:{segment.orchestrator_id}:owed"
            assert segment.amount_wei == segment.duration_ms * rate // 60_000
            assert segment.amount_wei == paid[f"{segment.entry.key} {place}"]
    assert Entry.objects.filter(kind="session_segment").count() == Segment.objects.exclude(entry=None).count()


def _assert_no_interval_twice(session: StreamSession, segments: list[Segment]) -> None:
    reached = session.started_at
    for segment in segments:
        assert reached <= segment.started_at < segment.ended_at <= session.last_billed_at
        # Only what is left below a millisecond may fall between two segments.
        assert segment.started_at - reached < timedelta(milliseconds=1)
        assert segment.duration_ms == (segment.ended_at - segment.started_at) // timedelta(milliseconds=1)
        reached = segment.ended_at


def rows() -> Mapping[str, list[Any]]:
    """Everything that events can write, without the row numbers."""
    return {
        "sessions": [_row(session) for session in StreamSession.objects.order_by("session_id", "generation")],
        "segments": [
            {**_row(segment, "entry_id"), "session": str(segment.session), "key": _key(segment)}
            for segment in Segment.objects.select_related("session", "entry").order_by(
                "session__session_id", "session__generation", "segment_index"
            )
        ],
        "timeline": [
            {**_row(event), "result": thaw(event.result) if event.result else None}
            for event in SessionEvent.objects.order_by("session_id", "id")
        ],
        "entries": [_row(entry, "recorded_at") for entry in Entry.objects.order_by("key")],
        "legs": list(
            Leg.objects.order_by("entry__key", "amount").values_list(
                "entry__key", "account__address", "amount", "effective_at"
            )
        ),
        "balances": list(Account.objects.order_by("address").values_list("address", "balance")),
        "hosts": list(
            Orchestrator.objects.order_by("pk").values_list("last_seen_ip", "last_session_upstream_addr")
        ),
    }


def _row(instance: Any, *left_out: str) -> dict[str, Any]:
    apart = {"id", "session_id_id", *left_out}
    columns = {field.attname for field in instance._meta.concrete_fields} - apart
    if isinstance(instance, Segment):
        columns.discard("session_id")
    return {name: getattr(instance, name) for name in columns}


def _key(segment: Segment) -> str | None:
    return segment.entry.key if segment.entry else None
