"""Whose host is it: the cascade, first hit wins, and what is learned from a hit."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client

from billing.models import Orchestrator
from sessions_app.services import reaper
from tests.sessions_app.edges import NOON, after, host, incoming, post, report, report_all

pytestmark = pytest.mark.django_db
ADDRESS, ELSEWHERE = "203.0.113.1", "203.0.113.2"


def attributed(session_id: str = "s1", seconds: float = 0, **facts: Any) -> str | None:
    """Who a new session's first event is attributed to."""
    event = incoming(session_id, "start", at=after(seconds), **{"upstream_addr": ADDRESS, **facts})
    found: str | None = report(event)["orchestrator"]
    return found


def read(orchestrator: Orchestrator) -> Orchestrator:
    return Orchestrator.objects.get(pk=orchestrator.pk)


# --- The cascade --------------------------------------------------------------------------------------

SOURCES = ["host_public_ip", "last_seen_ip", "last_session_upstream_addr", "health_ip", "forwarder_ip"]


def test_a_registered_id_counts_more_than_any_address() -> None:
    host("orch-a", ADDRESS)
    host("orch-b")

    assert attributed(orchestrator_id="orch-b") == "orch-b"


def test_an_id_that_nobody_registered_does_not_count() -> None:
    host("orch-a", ADDRESS)

    assert attributed(orchestrator_id="orch-b") == "orch-a"


@pytest.mark.parametrize("source", SOURCES)
def test_each_address_of_a_host_is_known(source: str) -> None:
    host("orch-a", **{source if source != "host_public_ip" else "address": ADDRESS})

    assert attributed() == "orch-a"


@pytest.mark.parametrize(("stronger", "weaker"), list(pairwise(SOURCES)))
def test_a_source_is_asked_of_everybody_before_the_next(stronger: str, weaker: str) -> None:
    host("orch-a")
    host("orch-b")
    Orchestrator.objects.filter(orchestrator_id="orch-a").update(**{weaker: ADDRESS})
    Orchestrator.objects.filter(orchestrator_id="orch-b").update(**{stronger: ADDRESS})

    assert attributed() == "orch-b"


@pytest.mark.parametrize("source", SOURCES[1:])
def test_within_a_source_the_earliest_registered_wins(source: str) -> None:
    host("orch-b", **{source: ADDRESS})
    host("orch-a", **{source: ADDRESS})

    assert attributed() == "orch-b"


@pytest.mark.parametrize(
    ("stored", "reported"),
    [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:DB8:0::1"), ("::c000:201", "::192.0.2.1")],
)
def test_addresses_are_compared_in_their_canonical_spelling(
    stored: str, reported: str, client: Client
) -> None:
    host("orch-a", stored)

    _, session = post(client, {"session_id": "s1", "upstream_addr": reported})

    assert session["orchestrator_id"] == "orch-a"


def test_the_session_last_seen_from_an_address_answers_last() -> None:
    host("orch-a")
    host("orch-b")
    report(incoming("old", "start", orchestrator_id="orch-a", upstream_addr=ADDRESS))
    report(incoming("new", "start", orchestrator_id="orch-b", upstream_addr=ADDRESS, at=after(1)))
    Orchestrator.objects.update(last_seen_ip=None, last_session_upstream_addr=None)

    assert attributed(seconds=2) == "orch-b"


def test_an_unknown_address_is_stored_without_a_host() -> None:
    assert attributed() is None


# --- Without an address -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(4))
def test_the_first_of_a_hosts_own_addresses_stands_in(number: int) -> None:
    own = ["host_public_ip", "last_seen_ip", "last_session_upstream_addr", "health_ip"]
    host("orch-a")
    Orchestrator.objects.update(
        **{source: f"198.51.100.{index}" for index, source in enumerate(own) if index >= number}
    )

    session = report(incoming("s1", "start", upstream_addr=None, orchestrator_id="orch-a"))

    assert session["upstream_addr"] == f"198.51.100.{number}"


def test_what_a_forwarder_reported_does_not_stand_in() -> None:
    host("orch-a", forwarder_ip=ADDRESS)

    refusal = report(incoming("s1", "start", upstream_addr=None, orchestrator_id="orch-a"))

    assert (refusal.status, refusal.detail) == (400, "Session event missing upstream address")


# --- Learning -----------------------------------------------------------------------------------------


def test_a_hit_shows_in_the_hosts_record() -> None:
    orchestrator = host("orch-a", last_seen=NOON - timedelta(days=1))

    report(incoming("s1", "start", orchestrator_id="orch-a", upstream_addr=ADDRESS, edge_id="edge-a"))

    seen = read(orchestrator)
    assert (seen.last_seen, seen.last_contact_source, seen.last_seen_ip) == (NOON, "session", ADDRESS)
    assert (seen.last_session_upstream_addr, seen.last_session_seen_at) == (ADDRESS, NOON)
    assert seen.last_session_edge_id == "edge-a"


def test_an_edge_is_remembered_until_another_is_given() -> None:
    orchestrator = host("orch-a", ADDRESS)
    report(incoming("s1", "start", upstream_addr=ADDRESS, edge_id="edge-a"))

    report(incoming("s1", "end", upstream_addr=ADDRESS, at=after(10)))

    assert read(orchestrator).last_session_edge_id == "edge-a"


def test_an_address_that_is_another_hosts_public_one_is_not_learned() -> None:
    orchestrator = host("orch-a", last_seen_ip=ELSEWHERE)
    host("orch-b", ADDRESS)

    report(incoming("s1", "start", orchestrator_id="orch-a", upstream_addr=ADDRESS))

    seen = read(orchestrator)
    assert (seen.last_seen_ip, seen.last_session_upstream_addr) == (ELSEWHERE, None)
    assert (seen.last_contact_source, seen.last_session_seen_at) == ("session", NOON)


def test_the_address_that_stands_in_is_not_learned_either_if_it_is_another_hosts_public_one() -> None:
    orchestrator = host("orch-a", last_seen_ip=ADDRESS)
    host("orch-b", ADDRESS)

    report(incoming("s1", "start", orchestrator_id="orch-a", upstream_addr=None))

    assert read(orchestrator).last_session_upstream_addr is None


def test_an_ignored_event_teaches_nothing() -> None:
    host("orch-a", ADDRESS)
    other = host("orch-b")
    report(incoming("s1", "start", upstream_addr=ADDRESS))

    report(incoming("s1", upstream_addr=ELSEWHERE, orchestrator_id="orch-b", at=after(-1)), now=NOON)

    assert read(other).last_session_upstream_addr is None


def test_a_pure_refresh_of_time_waits_five_seconds() -> None:
    orchestrator = host("orch-a", ADDRESS)
    report(incoming("s1", "start", upstream_addr=ADDRESS, at=after(0)))
    Orchestrator.objects.update(last_seen=NOON)

    report(incoming("s1", "start", upstream_addr=ADDRESS, at=after(5)))
    lagging = read(orchestrator).last_seen
    report(incoming("s1", "start", upstream_addr=ADDRESS, at=after(5.000001)))

    assert (lagging, read(orchestrator).last_seen) == (NOON, after(5.000001))


def moves_away() -> None:
    host("orch-b", ELSEWHERE)
    report(incoming("s1", upstream_addr=ELSEWHERE, at=after(160)))


def ends_under_another_address() -> None:
    report(incoming("s1", "end", upstream_addr=ELSEWHERE, at=after(160)))


def falls_silent() -> None:
    assert reaper.close_silent_sessions(now=after(1_000)) == 1


def falls_silent_and_comes_back_elsewhere() -> None:
    report(incoming("s1", upstream_addr=ELSEWHERE, at=after(1_000)))


@pytest.mark.parametrize(
    "over", [moves_away, ends_under_another_address, falls_silent, falls_silent_and_comes_back_elsewhere]
)
def test_what_heartbeats_told_of_a_host_outlives_their_session(over: Callable[[], None]) -> None:
    orchestrator = host("orch-a", ADDRESS, last_seen=NOON - timedelta(days=1))
    report(incoming("s1", "start", upstream_addr=ADDRESS, edge_id="edge-a"))
    report(incoming("s1", upstream_addr=ADDRESS, at=after(150), edge_id="edge-b"))
    assert read(orchestrator).last_seen == NOON, "a plain heartbeat writes the session's row only"

    over()

    seen = read(orchestrator)
    assert (seen.last_seen, seen.last_session_seen_at) == (after(150), after(150))
    assert (seen.last_contact_source, seen.last_session_edge_id) == ("session", "edge-b")


def test_hosts_of_one_batch_learn_together() -> None:
    hosts = [host(f"orch-{number}") for number in range(3)]

    report_all(
        *[
            incoming(
                f"s{number}", "start", orchestrator_id=f"orch-{number}", upstream_addr=f"198.51.100.{number}"
            )
            for number in range(3)
        ],
        now=NOON,
    )

    assert [read(each).last_seen_ip for each in hosts] == [f"198.51.100.{number}" for number in range(3)]
