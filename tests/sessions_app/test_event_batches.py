"""POST /api/sessions/events/batch: many reports at once, each answered as if it had come alone."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.models import SessionEvent, StreamSession
from tests.sessions_app.edges import (
    BATCH,
    NOON,
    SINGLE,
    after,
    assert_books_hold,
    host,
    incoming,
    post,
    report,
    report_all,
)

pytestmark = pytest.mark.django_db
MISSING_ADDRESS = "Session event missing upstream address"


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def event(session_id: str = "s1", word: str = "heartbeat", **facts: Any) -> dict[str, Any]:
    return {"session_id": session_id, "event": word, "upstream_addr": "192.0.2.1", **facts}


def results(client: Client, *events: Any) -> list[dict[str, Any]]:
    status, answer = post(client, {"events": list(events)}, path=BATCH)
    assert status == 200, answer
    assert [result["index"] for result in answer["results"]] == list(range(len(events)))
    found: list[dict[str, Any]] = answer["results"]
    return found


# --- The envelope -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "loc"),
    [
        ({}, "missing", ["body", "events"]),
        ({"events": None}, "list_type", ["body", "events"]),
        ({"events": {}}, "list_type", ["body", "events"]),
        ({"events": "s1"}, "list_type", ["body", "events"]),
        ({"events": []}, "too_short", ["body", "events"]),
        ([], "model_attributes_type", ["body"]),
    ],
    ids=str,
)
def test_a_broken_envelope_is_refused(client: Client, body: Any, kind: str, loc: list[str]) -> None:
    status, answer = post(client, body, path=BATCH)

    assert status == 422
    assert [(problem["type"], problem["loc"]) for problem in answer["detail"]] == [(kind, loc)]


def test_a_thousand_and_one_events_are_too_many(client: Client) -> None:
    status, answer = post(client, {"events": [event()] * 1_001}, path=BATCH)

    assert (status, answer["detail"][0]["type"]) == (422, "too_long")
    assert not StreamSession.objects.exists()


def test_a_thousand_events_are_applied(client: Client) -> None:
    assert {result["status"] for result in results(client, *[event()] * 1_000)} == {200}
    assert StreamSession.objects.get().heartbeat_count == 1_000


def test_only_the_reporter_may(client: Client) -> None:
    assert post(client, {"events": [event()]}, path=BATCH, headers={}) == (
        401,
        {"detail": "Session reporter token required"},
    )


# --- Items --------------------------------------------------------------------------------------------


def test_each_item_is_answered_as_the_single_endpoint_would(client: Client) -> None:
    host("orch-a", "192.0.2.1")
    items: list[dict[str, Any]] = [
        event("s1", "start", edge_id="edge-a"),
        {"session_id": "s2"},
        event("s3", "stop"),
        event("s4", upstream_addr="::ffff:192.0.2.1"),
        event("s5", occurred_at="2026-11-21T12:00:00Z"),
    ]

    batch = results(client, *items)

    StreamSession.objects.all().delete()
    for index, (item, result) in enumerate(zip(items, batch, strict=True)):
        status, alone = post(client, item, path=SINGLE)
        if status == 200:
            assert result == {"index": index, "status": 200, "session": alone}
        elif status == 400:
            assert result == {"index": index, "status": 400, "detail": MISSING_ADDRESS} | alone
        else:
            moved = [
                {**problem, "loc": ["body", "events", index, *problem["loc"][1:]]}
                for problem in alone["detail"]
            ]
            assert result == {"index": index, "status": 422, "detail": moved}


@pytest.mark.parametrize("item", [None, 7, "s1", [], True])
def test_an_item_that_is_no_object_is_refused_alone(client: Client, item: Any) -> None:
    bad, good = results(client, item, event())

    assert (bad["status"], good["status"]) == (422, 200)
    assert bad["detail"][0] | {"msg": ""} == {
        "type": "model_attributes_type",
        "loc": ["body", "events", 0],
        "msg": "",
    }


def test_a_batch_of_refusals_writes_nothing(client: Client) -> None:
    assert [result["status"] for result in results(client, {}, {"session_id": "s1"}, 5)] == [422, 400, 422]
    assert not StreamSession.objects.exists()


# --- Order and repetition -----------------------------------------------------------------------------


def test_events_of_one_session_apply_in_the_order_given(client: Client) -> None:
    words = ["start", "heartbeat", "end", "end", "heartbeat", "start"]

    batch = results(client, *[event("s1", word) for word in words])

    assert [(result["session"]["generation"], result["session"]["last_event"]) for result in batch] == [
        (1, "start"),
        (1, "heartbeat"),
        (1, "end"),
        (1, "end"),
        (2, "heartbeat"),
        (2, "start"),
    ]


def test_an_event_id_repeated_within_a_batch_is_applied_once(client: Client) -> None:
    first, again, other = results(
        client,
        event("s1", event_id="e1"),
        event("s1", "end", event_id="e1"),
        event("s2", event_id="e1"),
    )

    assert again["session"] == first["session"]
    assert other["session"]["session_id"] == "s2"
    assert SessionEvent.objects.filter(event_id="e1").count() == 2


def test_sessions_that_share_an_event_id_keep_their_own_answers(client: Client) -> None:
    events = [event(name, "start", event_id="e1") for name in ("s1", "s2", "s3")]
    first = results(client, *events)

    assert results(client, *events) == first
    assert results(client, *reversed(events)) == [
        {**result, "index": 2 - result["index"]} for result in reversed(first)
    ]


def test_a_batch_that_was_answered_can_be_sent_again(client: Client, clock: Any) -> None:
    host("orch-a", "192.0.2.1")
    words = enumerate(["start", "heartbeat", "end", "heartbeat"])
    events = [event("s1", word, event_id=f"e{number}") for number, word in words]
    first = results(client, *events)
    clock.shift(30)

    assert results(client, *events) == first
    assert_books_hold()


def test_plain_heartbeats_and_others_meet_in_one_batch(client: Client, clock: Any) -> None:
    host("orch-a", "192.0.2.1")
    results(client, event("s1", "start"), event("s2", "start"))
    clock.shift(60)

    beat, end = results(client, event("s1", event_id="e1"), event("s2", "end"))

    assert (beat["session"]["heartbeat_count"], beat["session"]["billed_eth"]) == (1, "0")
    assert end["session"]["last_credited_eth"] == "0.0006"
    assert_books_hold()


# --- What a batch knows about its hosts ---------------------------------------------------------------


def test_a_generation_born_in_a_batch_finds_the_host_of_the_one_before() -> None:
    host("orch-a", "192.0.2.1")

    *_, last = report_all(
        incoming("s1", "start"),
        incoming("s1", "end", upstream_addr="203.0.113.9"),
        incoming("s1", "start", upstream_addr="203.0.113.9"),
        now=NOON,
    )

    assert isinstance(last, dict)
    assert (last["generation"], last["orchestrator"]) == (2, "orch-a")


def test_a_host_that_moves_within_a_batch_leaves_its_address_to_the_stored_sessions() -> None:
    host("orch-a")
    report(incoming("old", "start", orchestrator_id="orch-a", upstream_addr="203.0.113.1"))

    _, found = report_all(
        incoming("s1", "start", orchestrator_id="orch-a", upstream_addr="203.0.113.2", at=after(1)),
        incoming("s2", "start", upstream_addr="203.0.113.1", at=after(1)),
        now=after(1),
    )

    assert isinstance(found, dict)
    assert found["orchestrator"] == "orch-a"


# --- Cost ---------------------------------------------------------------------------------------------


def mixed(number: int, generation: int) -> list[dict[str, Any]]:
    """As many events of each kind, of sessions and hosts of their own."""
    words = ["start", "heartbeat", "end", "heartbeat"]
    return [
        event(
            f"{number}-{index}",
            words[(index + generation) % 4],
            upstream_addr=f"198.18.{index // 250}.{index % 250 + 1}",
            orchestrator_id=f"orch-{index % 20}",
            event_id=f"{generation}-{index}",
        )
        for index in range(number)
    ]


def test_the_number_of_statements_does_not_grow_with_the_number_of_events(client: Client, clock: Any) -> None:
    for number in range(20):
        host(f"orch-{number}")
    # Each host has earned before, so that nobody's account has to be made.
    for word in ("start", "end"):
        results(client, *[event(f"w{each}", word, orchestrator_id=f"orch-{each}") for each in range(20)])
        clock.shift(timedelta(seconds=60))
    counts = []
    for size in (1, 25, 50, 500):
        results(client, *mixed(size, 0))
        clock.shift(timedelta(seconds=60))
        results(client, *mixed(size, 1))
        clock.shift(timedelta(seconds=60))
        with CaptureQueriesContext(connection) as captured:
            results(client, *mixed(size, 2))
        counts.append(len([query for query in captured if "SAVEPOINT" not in query["sql"]]))

    # A single event may need less: nothing to credit, nobody who moved.
    assert counts[0] <= counts[1] == counts[2] == counts[3] == 13, counts
