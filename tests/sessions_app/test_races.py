"""Many reporters at once, on real connections: the credit stays exact and nobody sees a failure."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from django.db import transaction
from django.utils import timezone

from billing.models import Entry, Orchestrator
from billing.services import ledger
from core.errors import DomainError
from sessions_app.models import Segment, SessionEvent, StreamSession
from sessions_app.services import reaper
from sessions_app.services.engine import Incoming
from tests.billing.books import adjustment, at_once
from tests.servers import running_server
from tests.sessions_app.edges import (
    BATCH,
    NOON,
    REPORTER,
    SINGLE,
    after,
    assert_books_hold,
    host,
    incoming,
    owed,
    report,
    report_all,
)

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = 600_000_000_000_000  # wei, at the rate of the tests


@pytest.fixture
def served() -> Orchestrator:
    """orch-a, which serves s1 since noon."""
    orchestrator = host("orch-a", "192.0.2.1")
    report(incoming("s1", "start"))
    return orchestrator


def reporting(event: Incoming, now: datetime | None = None) -> Callable[[], Any]:
    return lambda: report(event, now=now)


def reporting_all(*batch: Incoming, now: datetime) -> Callable[[], Any]:
    return lambda: report_all(*batch, now=now)


def all_well(results: list[Any]) -> list[Any]:
    """Nothing was raised and nothing refused."""
    for result in results:
        for one in result if isinstance(result, list) else [result]:
            assert not isinstance(one, Exception), repr(one)
            assert not isinstance(one, DomainError)
    assert_books_hold()
    return results


# --- The same event twice -----------------------------------------------------------------------------


@pytest.mark.parametrize("_", range(3))
def test_the_same_end_twice_at_once_credits_once(served: Orchestrator, _: int) -> None:
    end = incoming("s1", "end", at=after(60))

    all_well(at_once(*[reporting(end)] * 6))

    assert owed(served) == MINUTE
    assert StreamSession.objects.count() == 1


@pytest.mark.parametrize("word", ["heartbeat", "end"])
def test_the_same_event_id_at_once_is_applied_once_and_answered_alike(
    served: Orchestrator, word: str
) -> None:
    event = incoming("s1", word, at=after(60), event_id="e1")

    answers = all_well(at_once(*[reporting(event)] * 6))

    assert all(answer == answers[0] for answer in answers)
    assert SessionEvent.objects.filter(event_id="e1").count() == 1
    assert owed(served) == (MINUTE if word == "end" else 0)


@pytest.mark.parametrize("event_id", [None, "e1"])
@pytest.mark.parametrize("word", ["start", "heartbeat", "end"])
def test_the_first_event_of_a_session_at_once_makes_one_session(word: str, event_id: str | None) -> None:
    host("orch-a", "192.0.2.1")

    all_well(at_once(*[reporting(incoming("s1", word, event_id=event_id))] * 6))

    session = StreamSession.objects.get()
    beats = 0 if word != "heartbeat" else 1 if event_id else 6
    assert (session.generation, session.heartbeat_count) == (1, beats)


def test_a_new_generation_at_once_is_one_generation(served: Orchestrator) -> None:
    report(incoming("s1", "end", at=after(60)))

    all_well(at_once(*[reporting(incoming("s1", "start", at=after(90)))] * 6))

    assert sorted(StreamSession.objects.values_list("generation", "is_newest")) == [(1, False), (2, True)]
    assert owed(served) == MINUTE


# --- Events against each other ------------------------------------------------------------------------


@pytest.mark.parametrize("_", range(3))
def test_an_end_against_heartbeats_of_its_moment(served: Orchestrator, _: int) -> None:
    beats = [reporting(incoming("s1", at=after(60))) for _ in range(4)]

    all_well(at_once(reporting(incoming("s1", "end", at=after(60))), *beats))

    # Whoever comes after the end begins a new generation, at the same moment: nothing more to earn.
    assert owed(served) == MINUTE
    assert sum(StreamSession.objects.values_list("heartbeat_count", flat=True)) == 4


def test_segments_due_close_once_whoever_notices(served: Orchestrator) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.SESSION_SEGMENT_SECONDS", 30)
        due = [reporting(incoming("s1", at=after(90))) for _ in range(6)]
        all_well(at_once(*due))

    assert Segment.objects.count() == 3
    assert owed(served) == MINUTE * 3 // 2


def test_a_batch_against_single_events_of_the_same_sessions() -> None:
    orchestrator = host("orch-a", "192.0.2.1")
    names = [f"s{number}" for number in range(20)]
    report_all(*[incoming(name, "start") for name in names], now=NOON)
    ends = [incoming(name, "end", at=after(60), event_id="bye") for name in names]

    all_well(at_once(reporting_all(*ends, now=after(60)), *[reporting(end) for end in ends[::4]]))

    assert owed(orchestrator) == 20 * MINUTE


@pytest.mark.parametrize("word", ["start", "heartbeat", "end"])
def test_two_batches_with_the_same_new_sessions_in_opposite_order(word: str) -> None:
    host("orch-a", "192.0.2.1")
    events = [incoming(f"s{number}", word, event_id="e1") for number in range(50)]

    first, second, *_ = all_well(
        at_once(
            reporting_all(*events, now=NOON),
            reporting_all(*reversed(events), now=NOON),
            reporting_all(*events, now=NOON),
        )
    )

    assert first == list(reversed(second))
    assert StreamSession.objects.count() == 50


@pytest.mark.parametrize("_", range(3))
def test_two_batches_with_the_same_sessions_in_opposite_order(_: int) -> None:
    hosts = [host(f"orch-{number}", f"192.0.2.{number + 1}") for number in range(5)]
    names = [f"s{number}" for number in range(50)]

    def events(word: str, seconds: float) -> list[Incoming]:
        return [
            incoming(name, word, at=after(seconds), upstream_addr=f"192.0.2.{number % 5 + 1}")
            for number, name in enumerate(names)
        ]

    report_all(*events("start", 0), now=NOON)
    # Half of each batch is plain heartbeats, half ends, so that both ways of locking meet.
    beats, ends = events("heartbeat", 60), events("end", 60)
    forth = [*beats[:25], *ends[25:]]
    back = [*reversed(beats[:25]), *reversed(ends[25:])]

    all_well(at_once(*[reporting_all(*batch, now=after(60)) for batch in (forth, back, forth, back)]))

    assert sum(owed(each) for each in hosts) == 25 * MINUTE
    counts = Counter(StreamSession.objects.values_list("heartbeat_count", flat=True))
    assert counts == {4: 25, 0: 25}


def test_a_session_pulled_between_two_hosts_is_paid_once_for_each_moment() -> None:
    hosts = [host("orch-a", "192.0.2.1"), host("orch-b", "192.0.2.2")]
    report(incoming("s1", "start"))

    for second in range(10, 61, 10):
        pulls = [incoming("s1", at=after(second), upstream_addr=f"192.0.2.{side}") for side in (1, 2, 1, 2)]
        all_well(at_once(*[reporting(pull) for pull in pulls]))
    report(incoming("s1", "end", at=after(60)))

    assert_books_hold()
    assert sum(owed(each) for each in hosts) == MINUTE


# --- The reaper ---------------------------------------------------------------------------------------


def reaping(now: datetime) -> Callable[[], int]:
    return lambda: reaper.close_silent_sessions(now=now)


def test_two_reapers_at_once_close_each_session_once() -> None:
    orchestrator = host("orch-a", "192.0.2.1")
    for word, seconds in (("start", 0), ("heartbeat", 60)):
        report_all(
            *[incoming(f"s{number}", word, at=after(seconds)) for number in range(40)], now=after(seconds)
        )

    closed = all_well(at_once(*[reaping(after(241))] * 4))

    assert sum(closed) == 40
    assert owed(orchestrator) == 40 * MINUTE


@pytest.mark.parametrize("word", ["heartbeat", "end", "start"])
def test_the_reaper_against_an_event_after_silence(served: Orchestrator, word: str) -> None:
    report(incoming("s1", at=after(60)))

    all_well(
        at_once(reaping(after(241)), reporting(incoming("s1", word, at=after(241))), reaping(after(241)))
    )

    assert owed(served) == MINUTE
    assert StreamSession.objects.filter(ended_at=after(60)).count() == 1


def test_the_reaper_against_a_late_sign_of_life(served: Orchestrator) -> None:
    """The event was on its way when the session looked silent; it must not be paid for twice either way."""
    report(incoming("s1", at=after(60)))

    all_well(at_once(reaping(after(241)), reporting(incoming("s1", at=after(100)), now=after(241))))
    report(incoming("s1", "end", at=after(120)), now=after(242))

    assert_books_hold()
    assert owed(served) in (MINUTE + MINUTE // 3, 2 * MINUTE)


# --- The ledger ---------------------------------------------------------------------------------------


def test_segments_against_adjustments_of_the_same_host(served: Orchestrator) -> None:
    def adjust(number: int) -> Callable[[], Any]:
        def work() -> None:
            with transaction.atomic():
                ledger.post_many([adjustment(served, -7, f"adjustment:{number}")])

        return work

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.SESSION_SEGMENT_SECONDS", 10)
        beats = [reporting(incoming("s1", at=after(10 * number))) for number in range(1, 5)]
        all_well(at_once(*beats, *[adjust(number) for number in range(4)]))
        report(incoming("s1", "end", at=after(60)))

    assert owed(served) == MINUTE - 28


# --- Two server processes -----------------------------------------------------------------------------


def test_two_server_processes_share_the_same_edges() -> None:
    """Every event is sent to both processes at the same time, singly and in batches, out of order."""
    hosts = [host(f"orch-{number}", f"192.0.2.{number + 1}") for number in range(4)]
    began = timezone.now().replace(microsecond=0) - timedelta(minutes=10)
    events = [
        {
            "session_id": f"s{session}",
            "event": word,
            "upstream_addr": f"192.0.2.{session % 4 + 1}",
            "occurred_at": (began + timedelta(seconds=seconds)).isoformat(),
            "event_id": f"{word}-{seconds}",
        }
        for session in range(16)
        for word, seconds in [("start", 0), *[("heartbeat", at) for at in range(15, 120, 15)], ("end", 120)]
    ]
    chance = random.Random(7)
    batches = [[event for event in events if event["session_id"] == f"s{number}"] for number in range(12)]
    singles = [[event for event in events if event["session_id"] == f"s{number}"] for number in range(12, 16)]

    with running_server() as one, running_server() as other, httpx.Client(timeout=30) as edge:

        def send_batch(url: str) -> list[int]:
            chosen = chance.sample(batches, 3)
            answer = edge.post(
                url + BATCH, json={"events": [event for each in chosen for event in each]}, headers=REPORTER
            )
            return [answer.status_code, *[each["status"] for each in answer.json()["results"]]]

        def send_singles(url: str, events: list[dict[str, str]]) -> list[int]:
            return [edge.post(url + SINGLE, json=event, headers=REPORTER).status_code for event in events]

        with ThreadPoolExecutor(8) as pool:
            sent = [pool.submit(send_batch, url) for _ in range(8) for url in (one.url, other.url)]
            sent += [pool.submit(send_singles, url, each) for each in singles for url in (one.url, other.url)]
            statuses = Counter(status for each in sent for status in each.result())
        for batch in batches:
            edge.post(one.url + BATCH, json={"events": batch}, headers=REPORTER)

    assert set(statuses) == {200}
    assert_books_hold()
    assert sum(owed(each) for each in hosts) == 16 * 2 * MINUTE
    assert Entry.objects.count() == 16
