"""Silence ends a session, and answers are forgotten when nobody can ask for them any more."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sessions_app.models import Segment, SessionEvent, StreamSession
from sessions_app.services import reaper
from sessions_app.tasks import close_silent_sessions, forget_event_results
from tests.sessions_app.edges import NOON, after, assert_books_hold, host, incoming, owed, report, report_all

pytestmark = pytest.mark.django_db
MINUTE = 600_000_000_000_000


def test_silence_ends_a_session_where_it_was_last_heard_of() -> None:
    orchestrator = host("orch-a", "192.0.2.1")
    report(incoming("s1", "start", edge_id="edge-a"))
    report(incoming("s1", at=after(60), edge_id="edge-b"))

    assert reaper.close_silent_sessions(now=after(240.000001)) == 1

    session = StreamSession.objects.get()
    assert (session.ended_at, session.last_seen_at, session.last_event) == (after(60), after(60), "heartbeat")
    assert (session.updated_at, session.last_credited_wei) == (after(240.000001), MINUTE)
    segment = Segment.objects.get()
    assert (segment.trigger, segment.duration_ms, segment.edge_id) == ("timeout", 60_000, "edge-b")
    assert segment.entry is not None
    assert (segment.entry.metadata["event"], segment.entry.metadata["trigger"]) == ("timeout", "timeout")
    assert segment.entry.metadata["edge_id"] == "edge-b"
    assert list(SessionEvent.objects.order_by("id").values_list("event", flat=True)) == ["start", "timeout"]
    assert owed(orchestrator) == MINUTE
    assert_books_hold()


def test_a_gap_of_exactly_the_maximum_is_not_silence() -> None:
    report(incoming("s1", "start"))

    assert reaper.close_silent_sessions(now=after(180)) == 0


def test_a_session_whose_late_events_just_arrived_is_not_silent() -> None:
    report(incoming("s1", "start"), now=after(500))

    assert reaper.close_silent_sessions(now=after(600)) == 0
    assert reaper.close_silent_sessions(now=after(680.5)) == 1


def test_a_session_heard_of_by_a_fast_heartbeat_is_not_silent() -> None:
    host("orch-a", "192.0.2.1")
    report(incoming("s1", "start"))
    report(incoming("s1", at=after(150)))

    assert reaper.close_silent_sessions(now=after(300)) == 0


def test_without_a_maximum_gap_nobody_is_silent() -> None:
    report(incoming("s1", "start"))

    with override_settings(SESSION_MAX_GAP_SECONDS=0):
        assert reaper.close_silent_sessions(now=after(1_000_000)) == 0


def test_ended_sessions_are_left_alone() -> None:
    report(incoming("s1", "end"))

    assert reaper.close_silent_sessions(now=after(1_000_000)) == 0


def test_more_sessions_than_one_transaction_takes_are_all_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "CHUNK", 3)
    report_all(*[incoming(f"s{number}", "start") for number in range(7)], now=NOON)

    assert reaper.close_silent_sessions(now=after(200)) == 7
    assert not StreamSession.objects.open().exists()


def test_the_number_of_statements_does_not_grow_with_the_number_of_sessions() -> None:
    host("orch-a", "192.0.2.1")
    counts = []
    for size in (1, 2, 200):
        words = (("start", 0), ("heartbeat", 60))
        for word, seconds in words:
            events = [incoming(f"{size}-{number}", word, at=after(seconds)) for number in range(size)]
            report_all(*events, now=after(seconds))
        with CaptureQueriesContext(connection) as captured:
            reaper.close_silent_sessions(now=after(1_000))
        counts.append(len(captured))

    # The first credit of a host also makes its accounts.
    assert counts[0] > counts[1] == counts[2]


def test_the_task_reads_the_clock() -> None:
    began = timezone.now() - timedelta(minutes=10)
    report(incoming("s1", "start", at=began))

    close_silent_sessions()

    assert StreamSession.objects.get().ended_at == began


def test_answers_are_kept_35_days_and_the_timeline_for_good() -> None:
    host("orch-a", "192.0.2.1")
    report(incoming("s1", "start", event_id="e1"))
    report(incoming("s1", at=after(15), event_id="e2"))
    kept = reaper.forget_event_results(now=NOON + timedelta(days=35))

    forgotten = reaper.forget_event_results(now=NOON + timedelta(days=35, minutes=1))

    assert (kept, forgotten) == (0, 2)
    row = SessionEvent.objects.get()
    assert (row.event, row.event_id, row.result) == ("start", None, None)


def test_a_heartbeat_that_began_a_session_stays_in_its_timeline() -> None:
    host("orch-a", "192.0.2.1")
    report(incoming("s1", event_id="e1"))
    report(incoming("s1", at=after(15), event_id="e2"))

    reaper.forget_event_results(now=NOON + timedelta(days=35, minutes=1))

    row = SessionEvent.objects.get()
    assert (row.event, row.occurred_at, row.event_id, row.result) == ("heartbeat", NOON, None, None)


def test_answers_are_forgotten_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "CHUNK", 2)
    report_all(*[incoming(f"s{number}", "start", event_id="e1") for number in range(5)], now=NOON)
    SessionEvent.objects.update(received_at=NOON - timedelta(days=365))

    forget_event_results()

    assert not SessionEvent.objects.exclude(event_id=None).exists()
