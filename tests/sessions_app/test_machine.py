"""The life of a session, cell by cell of the contract's table, without database and clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sessions_app import machine
from sessions_app.machine import Closing, Life, Outcome, Report, Rules

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULES = Rules(segment=timedelta(seconds=2400), max_gap=timedelta(seconds=180))
PATIENT = replace(RULES, max_gap=None)
HOST, OTHER_HOST = 1, 2


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def report(event: str, seconds: float = 0, **facts: Any) -> Report:
    return Report(
        **{
            "event": event,
            "at": after(seconds),
            "orchestrator": HOST,
            "upstream_addr": "192.0.2.1",
            "upstream_port": 8080,
            **facts,
        }
    )


def live(*reports: Report, rules: Rules = PATIENT) -> Outcome:
    """What the last of these reports leads to, from the first moment of a session."""
    outcome = machine.apply(None, reports[0], rules)
    for each in reports[1:]:
        outcome = machine.apply(outcome.life, each, rules)
    return outcome


def ended(seconds: float = 60) -> Life:
    """A session that lived from noon until then."""
    return live(report("start"), report("end", seconds)).life


def lines(outcome: Outcome) -> list[tuple[int, int | None, int, str]]:
    """The closings in short: index, earner, milliseconds, trigger."""
    return [
        (closing.segment_index, closing.orchestrator, closing.duration_ms, closing.trigger)
        for closing in outcome.closings
    ]


# --- No session yet -----------------------------------------------------------------------------------


def test_a_start_creates_a_session_with_nothing_billed() -> None:
    outcome = live(report("start", edge_id="edge-a", streamer_id="cam-1"))

    assert outcome == Outcome(
        Life(
            generation=1,
            orchestrator=HOST,
            upstream_addr="192.0.2.1",
            upstream_port=8080,
            edge_id="edge-a",
            streamer_id="cam-1",
            started_at=NOON,
            last_seen_at=NOON,
            ended_at=None,
            last_event="start",
            heartbeat_count=0,
            cursor=NOON,
            segment_index=0,
        )
    )


def test_a_heartbeat_without_a_session_creates_one_and_counts() -> None:
    life = live(report("heartbeat")).life

    assert (life.started_at, life.cursor, life.heartbeat_count, life.ended_at) == (NOON, NOON, 1, None)


def test_an_end_without_a_session_creates_one_of_no_length() -> None:
    outcome = live(report("end"))

    assert (outcome.life.started_at, outcome.life.ended_at, outcome.closings) == (NOON, NOON, [])
    assert outcome.life.heartbeat_count == 0


# --- An open session ----------------------------------------------------------------------------------


def test_a_start_of_an_open_session_is_a_sign_of_life() -> None:
    life = live(report("heartbeat"), report("heartbeat", 10), report("start", 20)).life

    assert (life.generation, life.started_at, life.heartbeat_count) == (1, NOON, 2)
    assert (life.last_seen_at, life.last_event, life.cursor) == (after(20), "start", NOON)


def test_a_start_of_an_open_session_closes_the_segments_that_are_due() -> None:
    assert lines(live(report("start"), report("start", 2400))) == [(0, HOST, 2_400_000, "segment")]


def test_a_heartbeat_counts_and_leaves_the_open_segment_open() -> None:
    outcome = live(report("start"), report("heartbeat", 15))

    assert (outcome.life.heartbeat_count, outcome.life.cursor, outcome.closings) == (1, NOON, [])


def test_a_heartbeat_closes_full_segments_exactly_one_length_after_another() -> None:
    outcome = live(report("start"), report("heartbeat", 5000, edge_id="edge-b"))

    assert [(each.started_at, each.ended_at, each.trigger, each.event) for each in outcome.closings] == [
        (NOON, after(2400), "segment", "heartbeat"),
        (after(2400), after(4800), "segment", "heartbeat"),
    ]
    assert (outcome.life.cursor, outcome.life.segment_index) == (after(4800), 2)


@pytest.mark.parametrize(("seconds", "closed"), [(2399.999999, 0), (2400, 1), (4799.999999, 1), (4800, 2)])
def test_a_segment_closes_when_its_last_microsecond_has_passed(seconds: float, closed: int) -> None:
    assert len(live(report("start"), report("heartbeat", seconds)).closings) == closed


def test_an_end_closes_full_segments_and_the_rest() -> None:
    outcome = live(report("start"), report("end", 2500.0019))

    assert lines(outcome) == [(0, HOST, 2_400_000, "segment"), (1, HOST, 100_001, "end")]
    assert (outcome.life.ended_at, outcome.life.cursor) == (after(2500.0019), after(2500.0019))
    assert outcome.life.segment_index == 2


@pytest.mark.parametrize("seconds", [0, 0.000999])
def test_a_rest_below_a_millisecond_moves_the_cursor_without_using_up_an_index(seconds: float) -> None:
    outcome = live(report("start"), report("end", seconds))

    assert (outcome.closings, outcome.life.cursor, outcome.life.segment_index) == ([], after(seconds), 0)


def test_a_closing_tells_the_facts_of_the_event_that_closed_it() -> None:
    outcome = live(
        report("start", edge_id="edge-a", streamer_id="cam-1"),
        report("end", 60, upstream_addr="192.0.2.9", upstream_port=9, edge_id=None, streamer_id="cam-2"),
    )

    assert outcome.closings == [
        Closing(
            generation=1,
            segment_index=0,
            orchestrator=HOST,
            started_at=NOON,
            ended_at=after(60),
            duration_ms=60_000,
            trigger="end",
            event="end",
            upstream_addr="192.0.2.9",
            upstream_port=9,
            edge_id=None,
            streamer_id="cam-2",
        )
    ]
    assert outcome.life.edge_id == "edge-a", "the session remembers the edge that its proofs do not name"


def test_edge_and_streamer_change_only_when_they_are_sent() -> None:
    told = live(report("start", edge_id="edge-a", streamer_id="cam-1"), report("heartbeat", 1)).life
    changed = machine.apply(told, report("start", 2, edge_id="edge-b", streamer_id="cam-2"), RULES).life

    assert (told.edge_id, told.streamer_id) == ("edge-a", "cam-1")
    assert (changed.edge_id, changed.streamer_id) == ("edge-b", "cam-2")


def test_every_event_refreshes_where_the_session_is() -> None:
    life = live(report("start"), report("heartbeat", 1, upstream_addr="2001:db8::1", upstream_port=443)).life

    assert (life.upstream_addr, life.upstream_port) == ("2001:db8::1", 443)


# --- An ended session ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("event", "count"), [("start", 0), ("heartbeat", 1)])
def test_a_start_or_heartbeat_after_the_end_begins_a_new_generation(event: str, count: int) -> None:
    outcome = machine.apply(ended(), report(event, 90, orchestrator=OTHER_HOST, edge_id="edge-b"), RULES)

    life = outcome.life
    assert (life.generation, life.started_at, life.cursor, life.segment_index) == (2, after(90), after(90), 0)
    assert (life.orchestrator, life.edge_id, life.heartbeat_count) == (OTHER_HOST, "edge-b", count)
    assert (life.ended_at, outcome.closings, outcome.timed_out) == (None, [], None)


def test_a_new_generation_takes_nothing_from_the_old_one_but_its_streamer() -> None:
    old = live(
        report("start", edge_id="edge-a", streamer_id="cam-1"), report("end", 60, streamer_id="cam-1")
    ).life

    new = machine.apply(old, report("start", 90, orchestrator=None), RULES).life

    assert (new.streamer_id, new.edge_id, new.orchestrator) == ("cam-1", None, None)


def test_a_new_generation_may_name_another_streamer() -> None:
    old = live(report("start", streamer_id="cam-1"), report("end", 60)).life

    assert machine.apply(old, report("start", 90, streamer_id="cam-2"), RULES).life.streamer_id == "cam-2"


def test_an_end_after_the_end_is_a_duplicate() -> None:
    again = report("end", 90, upstream_addr="192.0.2.9", upstream_port=9, edge_id="late", streamer_id="late")

    outcome = machine.apply(ended(), again, RULES)

    refreshed = replace(ended(), last_seen_at=after(90), upstream_addr="192.0.2.9", upstream_port=9)
    assert outcome == Outcome(refreshed)


def test_a_session_that_ended_long_ago_does_not_time_out() -> None:
    outcome = machine.apply(ended(), report("end", 100_000), RULES)

    assert (outcome.life.ended_at, outcome.timed_out) == (after(60), None)


# --- Time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["start", "heartbeat", "end"])
def test_an_event_older_than_the_last_one_changes_nothing(event: str) -> None:
    life = live(report("start"), report("heartbeat", 60)).life

    assert machine.apply(life, report(event, 59.999999), RULES) == Outcome(life, applied=False)


def test_an_event_between_an_end_and_its_duplicate_changes_nothing() -> None:
    life = machine.apply(ended(60), report("end", 90), RULES).life

    assert not machine.apply(life, report("start", 75), RULES).applied


def test_events_of_the_same_moment_apply_in_the_order_they_arrive() -> None:
    outcome = live(report("start"), report("end", 60), report("heartbeat", 60), report("end", 60))

    assert (outcome.life.generation, outcome.life.ended_at, outcome.closings) == (2, after(60), [])


# --- Silence ------------------------------------------------------------------------------------------


def test_a_gap_of_exactly_the_maximum_is_not_silence() -> None:
    assert live(report("start"), report("heartbeat", 180), rules=RULES).life.generation == 1


@pytest.mark.parametrize("event", ["start", "heartbeat"])
def test_silence_ends_a_session_where_it_was_last_heard_of(event: str) -> None:
    spoken = live(report("start", edge_id="edge-a"), report("heartbeat", 100), rules=RULES).life

    outcome = machine.apply(spoken, report(event, 280.000001, edge_id="edge-b"), RULES)

    assert lines(outcome) == [(0, HOST, 100_000, "timeout")]
    closing = outcome.closings[0]
    assert (closing.event, closing.edge_id, closing.ended_at) == ("timeout", "edge-a", after(100))
    assert outcome.timed_out == replace(spoken, ended_at=after(100), cursor=after(100), segment_index=1)
    assert (outcome.life.generation, outcome.life.started_at) == (2, after(280.000001))


def test_an_end_after_silence_is_a_duplicate_of_the_end_that_silence_made() -> None:
    outcome = live(report("start"), report("heartbeat", 100), report("end", 1000), rules=RULES)

    assert lines(outcome) == [(0, HOST, 100_000, "timeout")]
    assert (outcome.life.generation, outcome.life.ended_at) == (1, after(100))
    assert (outcome.life.last_seen_at, outcome.life.cursor) == (after(1000), after(100))


def test_a_session_of_one_event_times_out_without_a_segment() -> None:
    outcome = live(report("start"), report("start", 1000), rules=RULES)

    assert (outcome.closings, outcome.life.generation) == ([], 2)
    assert outcome.timed_out is not None
    assert outcome.timed_out.ended_at == NOON


def test_without_a_maximum_gap_silence_is_served_time() -> None:
    outcome = live(report("start"), report("end", 86_400), rules=PATIENT)

    assert sum(closing.duration_ms for closing in outcome.closings) == 86_400_000


def test_the_reaper_closes_what_was_served_and_nothing_after_it() -> None:
    life = live(report("start", edge_id="edge-a"), report("heartbeat", 130)).life

    outcome = machine.time_out(life, RULES)

    assert lines(outcome) == [(0, HOST, 130_000, "timeout")]
    assert (outcome.life.ended_at, outcome.life.last_event) == (after(130), "heartbeat")


def test_a_timeout_closes_full_segments_as_full_segments() -> None:
    life = replace(live(report("start")).life, last_seen_at=after(2500))

    assert lines(machine.time_out(life, RULES)) == [
        (0, HOST, 2_400_000, "segment"),
        (1, HOST, 100_000, "timeout"),
    ]


# --- Moving to another host ---------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["start", "heartbeat"])
def test_a_move_closes_the_open_segment_for_the_one_who_served_it(event: str) -> None:
    outcome = live(report("start"), report(event, 90, orchestrator=OTHER_HOST))

    assert lines(outcome) == [(0, HOST, 90_000, "reattribution")]
    assert (outcome.life.orchestrator, outcome.life.cursor) == (OTHER_HOST, after(90))


def test_the_new_host_earns_from_the_move_on() -> None:
    outcome = live(report("start"), report("heartbeat", 90, orchestrator=OTHER_HOST), report("end", 100))

    assert outcome.life.orchestrator == OTHER_HOST, "an end never changes attribution"
    assert lines(outcome) == [(1, OTHER_HOST, 10_000, "end")]


def test_time_that_nobody_was_known_to_serve_is_earned_by_nobody() -> None:
    outcome = live(report("start", orchestrator=None), report("heartbeat", 90))

    assert lines(outcome) == [(0, None, 90_000, "reattribution")]
    assert outcome.life.orchestrator == HOST


def test_an_event_of_nobody_keeps_the_host() -> None:
    outcome = live(report("start"), report("heartbeat", 90, orchestrator=None))

    assert (outcome.life.orchestrator, outcome.closings) == (HOST, [])


def test_a_move_after_full_segments_closes_them_first() -> None:
    outcome = live(report("start"), report("heartbeat", 2400.5, orchestrator=OTHER_HOST))

    assert lines(outcome) == [(0, HOST, 2_400_000, "segment"), (1, HOST, 500, "reattribution")]


def test_a_move_at_the_moment_of_a_cut_moves_the_cursor_without_using_up_an_index() -> None:
    outcome = live(report("start"), report("heartbeat", 0.0005, orchestrator=OTHER_HOST))

    assert (outcome.closings, outcome.life.cursor) == ([], after(0.0005))
    assert outcome.life.segment_index == 0
