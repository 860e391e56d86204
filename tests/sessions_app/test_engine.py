"""What the engine does besides arithmetic: locks, retries, gates, the timeline it leaves behind."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import override_settings

from billing.models import Entry, Orchestrator
from sessions_app.models import Segment, SessionEvent, StreamSession
from sessions_app.services import engine, gate, lives, reaper
from sessions_app.services.crediting import ProbeNeeded
from tests.sessions_app.edges import NOON, after, assert_books_hold, host, incoming, owed, report, report_all

pytestmark = pytest.mark.django_db
MINUTE = 600_000_000_000_000


def timeline() -> list[tuple[str, int, int]]:
    """Event, generation and second of each row, in the order of writing."""
    return [
        (row.event, row.generation, int((row.occurred_at - NOON).total_seconds()))
        for row in SessionEvent.objects.order_by("id")
    ]


# --- Who may call -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_engine_needs_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="needs a transaction"):
        engine.apply([incoming("s1")], now=NOON, caller_ip=None, awake={})


@pytest.mark.django_db(transaction=True)
def test_reporting_refuses_to_be_part_of_another_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="must not hold a transaction"):
        report(incoming("s1"))


# --- The timeline -------------------------------------------------------------------------------------


def test_only_turns_of_a_life_are_kept() -> None:
    host("orch-a", "192.0.2.1")
    host("orch-b", "192.0.2.2")
    moved = {"upstream_addr": "192.0.2.2"}
    for each in (
        incoming("s1", "start"),
        incoming("s1", at=after(15)),
        incoming("s1", "start", at=after(20)),
        incoming("s1", at=after(30), **moved),
        incoming("s1", at=after(45), **moved),
        incoming("s1", "end", at=after(60), **moved),
        incoming("s1", "end", at=after(70), **moved),
        incoming("s1", "end", at=after(65), **moved),
        incoming("s1", "start", at=after(80), **moved),
        incoming("s1", at=after(300), **moved),
        incoming("s1", "end", at=after(900), **moved),
    ):
        report(each)

    assert timeline() == [
        ("start", 1, 0),
        ("heartbeat", 1, 30),
        ("end", 1, 60),
        ("start", 2, 80),
        ("timeout", 2, 80),
        ("heartbeat", 3, 300),
        ("timeout", 3, 300),
        ("end", 3, 900),
    ]


def test_a_heartbeat_after_a_move_at_the_same_moment_is_plain_in_a_batch_too() -> None:
    host("orch-a", "192.0.2.1")
    host("orch-b", "192.0.2.2")
    report(incoming("s1", "start"))
    beat = incoming("s1", at=after(60), upstream_addr="192.0.2.2")

    report_all(beat, beat, beat, now=after(60))

    assert timeline() == [("start", 1, 0), ("heartbeat", 1, 60)]


# --- Credit -------------------------------------------------------------------------------------------


def test_the_call_that_ends_a_silent_session_says_what_it_credited() -> None:
    host("orch-a", "192.0.2.1")
    report(incoming("s1", "start"))
    report(incoming("s1", at=after(60)))

    born = report(incoming("s1", "start", at=after(1_000)))

    assert (born["generation"], born["billed_wei"], born["last_credited_wei"]) == (2, 0, MINUTE)
    old = StreamSession.objects.get(generation=1)
    assert (old.ended_at, old.billed_wei, old.is_newest) == (after(60), MINUTE, False)


def test_a_session_can_live_several_lives_in_one_batch() -> None:
    orchestrator = host("orch-a", "192.0.2.1")
    lives = [
        incoming("s1", word, at=after(100 * life + second))
        for life in range(5)
        for word, second in (("start", 0), ("heartbeat", 30), ("end", 60))
    ]

    report_all(*lives, now=after(1_000))

    assert list(StreamSession.objects.order_by("generation").values_list("generation", "is_newest")) == [
        (1, False),
        (2, False),
        (3, False),
        (4, False),
        (5, True),
    ]
    assert owed(orchestrator) == 5 * MINUTE
    assert sorted(Entry.objects.values_list("key", flat=True))[-1] == "session:s1:5:0"
    assert_books_hold()


def test_amounts_beyond_a_bigint_are_kept_exactly() -> None:
    orchestrator = host("orch-a", "192.0.2.1")
    with override_settings(SESSION_CREDIT_ETH_PER_MINUTE=123_456_789_012_345_678):
        report(incoming("s1", "start"))
        ended = report(incoming("s1", "end", at=after(60), event_id="e1"))
        again = report(incoming("s1", "end", at=after(60), event_id="e1"))

    assert owed(orchestrator) == ended["billed_wei"] == 123_456_789_012_345_678 * 10**18
    assert again == ended


# --- The gate that asks hosts -------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Hosts whose name ends in `awake` say so; who was asked, call by call."""
    calls: list[list[str]] = []

    def probe(hosts: Sequence[Orchestrator]) -> dict[int, bool]:
        calls.append([each.orchestrator_id for each in hosts])
        return {each.pk: each.orchestrator_id.endswith("awake") for each in hosts}

    monkeypatch.setattr(gate, "probe_many", probe)
    return calls


@override_settings(SESSION_CREDIT_GATE=frozenset({"awake"}))
def test_only_hosts_that_are_awake_are_credited(asked: list[list[str]]) -> None:
    hosts = [host("orch-awake", "192.0.2.1"), host("orch-asleep", "192.0.2.2")]
    names = ["s1", "s2"]
    for word, second in (("start", 0), ("end", 60)):
        report_all(
            *[
                incoming(name, word, at=after(second), upstream_addr=f"192.0.2.{number + 1}")
                for number, name in enumerate(names)
            ],
            now=after(second),
        )

    assert asked == [["orch-awake", "orch-asleep"]], "nobody is asked until a segment closes, and then once"
    assert [owed(each) for each in hosts] == [MINUTE, 0]
    reasons = Segment.objects.order_by("session__session_id").values_list("uncredited_reason", flat=True)
    assert list(reasons) == ["", "not_awake"]
    assert_books_hold()


@override_settings(SESSION_CREDIT_GATE=frozenset({"awake"}))
def test_hosts_are_asked_before_locks_are_taken_and_nothing_is_written_twice(asked: list[list[str]]) -> None:
    host("orch-awake", "192.0.2.1")
    report(incoming("s1", "start"))
    report(incoming("s2", "start"))

    # A plain heartbeat in the same batch is rolled back with the first attempt, and counts once.
    report_all(incoming("s1", "end", at=after(60)), incoming("s2", at=after(60)), now=after(60))

    assert asked == [["orch-awake"]]
    assert StreamSession.objects.get(session_id="s2").heartbeat_count == 1


@override_settings(SESSION_CREDIT_GATE=frozenset({"awake"}))
def test_the_reaper_asks_too(asked: list[list[str]]) -> None:
    orchestrator = host("orch-awake", "192.0.2.1")
    report(incoming("s1", "start"))
    report(incoming("s1", at=after(60)))

    assert reaper.close_silent_sessions(now=after(1_000)) == 1

    assert asked == [["orch-awake"]]
    assert owed(orchestrator) == MINUTE


@override_settings(SESSION_CREDIT_GATE=frozenset({"eligible", "awake"}))
def test_who_is_not_eligible_is_not_even_asked(asked: list[list[str]]) -> None:
    host("orch-awake", "192.0.2.1", cooldown_expires_at=NOON + timedelta(days=1))
    report(incoming("s1", "start"))

    report(incoming("s1", "end", at=after(60)))

    assert asked == []
    assert Segment.objects.get().uncredited_reason == "not_eligible"


@override_settings(SESSION_CREDIT_GATE=frozenset({"awake"}))
def test_an_engine_that_must_ask_writes_nothing() -> None:
    host("orch-a", "192.0.2.1")
    report(incoming("s1", "start"))

    with transaction.atomic(), pytest.raises(ProbeNeeded):
        engine.apply([incoming("s1", "end", at=after(60))], now=after(60), caller_ip=None, awake={})

    assert StreamSession.objects.get().ended_at is None


# --- Lost races ---------------------------------------------------------------------------------------


def test_a_lost_race_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process creates the session between our look and our write."""
    real = lives.lock
    raced: list[int] = []

    def lock(session_ids: Any) -> Any:
        found = real(session_ids)
        if not raced:
            raced.append(1)
            StreamSession.objects.bulk_create(
                [
                    StreamSession(
                        session_id="s1",
                        upstream_addr="192.0.2.1",
                        upstream_port=8080,
                        started_at=NOON,
                        last_seen_at=NOON,
                        updated_at=NOON,
                        last_billed_at=NOON,
                        last_event="start",
                    )
                ]
            )
        return found

    monkeypatch.setattr(lives, "lock", lock)

    # The rival's row belongs to the attempt that is rolled back, so that the second one is alone.
    assert report(incoming("s1"))["heartbeat_count"] == 1
    assert raced


def test_an_error_that_is_no_race_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def fail(*_: object, **__: object) -> Any:
        tries.append(1)
        raise IntegrityError("something else is wrong")

    monkeypatch.setattr(engine, "apply", fail)

    with pytest.raises(IntegrityError, match="something else"):
        report(incoming("s1"))
    assert len(tries) == 1
