"""The plain heartbeat's one statement does exactly what the engine would have done."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.models import Orchestrator
from sessions_app.models import SessionEvent, StreamSession
from sessions_app.records import record
from sessions_app.services import engine, heartbeats
from sessions_app.services.engine import Incoming
from sessions_app.snapshots import Snapshot
from tests.sessions_app.edges import NOON, after, host, incoming, report, rows, undone

pytestmark = pytest.mark.django_db
CALLER = "198.51.100.7"


@pytest.fixture
def served() -> Orchestrator:
    """orch-a, which serves s1 since noon and has taught us its address."""
    orchestrator = host("orch-a", "192.0.2.1")
    report(incoming("s1", "start", edge_id="edge-a"))
    return orchestrator


def beat(session_id: str = "s1", seconds: float = 15, **facts: Any) -> Incoming:
    return incoming(session_id, at=after(seconds), **facts)


def fast(event: Incoming, now: datetime | None = None) -> Snapshot | None:
    """What the one statement makes of a heartbeat; None says that it leaves it to the engine."""
    return heartbeats.apply({7: event}, now=now or event.at, caller_ip=CALLER, rules=engine.rules()).get(7)


# --- What it takes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"orchestrator_id": "orch-a"},
        {"orchestrator_id": "never-registered"},
        {"edge_id": "edge-b"},
        {"streamer_id": "cam-1"},
        {"upstream_port": 9},
        {"event_id": "e1"},
        {"exact": False},
        {"exact": False, "seconds": -3},
        {"seconds": 0},
        {"seconds": 180},
    ],
    ids=str,
)
@pytest.mark.usefixtures("served")
def test_a_plain_heartbeat_is_one_statement(facts: dict[str, Any]) -> None:
    with CaptureQueriesContext(connection) as captured:
        answer = report(beat(**facts))

    assert len(captured) == 1
    assert answer["heartbeat_count"] == 1


# --- What it leaves to the engine ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(beat("s2"), id="a session that is not there"),
        pytest.param(beat(upstream_addr="192.0.2.9"), id="another address"),
        pytest.param(beat(upstream_addr=None, orchestrator_id="orch-a"), id="no address"),
        pytest.param(beat(orchestrator_id="orch-b"), id="another host"),
        pytest.param(beat(seconds=-0.000001), id="an older event"),
        pytest.param(beat(seconds=180.000001), id="an event after silence"),
    ],
)
@pytest.mark.usefixtures("served")
def test_what_is_not_plain_is_left_alone(event: Incoming) -> None:
    host("orch-b", "192.0.2.2")
    before = rows()

    assert fast(event) is None
    assert rows() == before


@pytest.mark.usefixtures("served")
def test_a_heartbeat_that_closes_a_segment_is_left_alone() -> None:
    with override_settings(SESSION_MAX_GAP_SECONDS=0):
        assert fast(beat(seconds=2399.999999)) is not None
        assert fast(beat(seconds=2400)) is None


@pytest.mark.usefixtures("served")
def test_an_ended_session_is_left_alone() -> None:
    report(incoming("s1", "end", at=after(10)))

    assert fast(beat()) is None


@pytest.mark.usefixtures("served")
def test_a_repeated_event_id_is_left_alone() -> None:
    report(beat(event_id="e1"))

    assert fast(beat(seconds=30, event_id="e1")) is None


def test_a_host_that_others_were_in_touch_with_is_left_to_the_engine(served: Orchestrator) -> None:
    Orchestrator.objects.filter(pk=served.pk).update(last_contact_source="forwarder")

    assert fast(beat()) is None


def test_an_address_that_now_belongs_to_another_host_is_left_to_the_engine(served: Orchestrator) -> None:
    Orchestrator.objects.filter(pk=served.pk).update(host_public_ip=None)
    host("orch-b", "192.0.2.1")

    assert fast(beat()) is None
    assert fast(beat(orchestrator_id="orch-a")) is not None, "a registered name counts more than an address"


def test_an_unattributed_session_is_left_to_the_engine() -> None:
    report(incoming("s1", "start"))

    assert fast(beat()) is None


# --- The same as the engine ---------------------------------------------------------------------------

STEPS = [0, 0.000001, 5, 15.25, 59.999999, 60, 180, 180.000001]


@st.composite
def beats(draw: st.DrawFn) -> list[Incoming]:
    """Mostly plain heartbeats of two sessions, with something else now and then."""
    at, stream = NOON, []
    for number in range(draw(st.integers(2, 12))):
        at += timedelta(seconds=draw(st.sampled_from(STEPS)))
        stream.append(
            incoming(
                draw(st.sampled_from(["s1", "s2"])),
                draw(st.sampled_from(["heartbeat"] * 6 + ["start", "end"])),
                at=at - timedelta(seconds=draw(st.sampled_from([0, 0, 0, 10]))),
                exact=draw(st.booleans()),
                upstream_addr=draw(st.sampled_from(["192.0.2.1"] * 5 + ["2001:db8::2"])),
                orchestrator_id=draw(st.sampled_from([None, None, "orch-a", "orch-b", "never-registered"])),
                edge_id=draw(st.sampled_from([None, "edge-a", "edge-b"])),
                streamer_id=draw(st.sampled_from([None, "cam-1"])),
                event_id=draw(st.sampled_from([None, None, f"e{number}", "e1"])),
            )
        )
    return stream


def through_engine(event: Incoming, now: datetime) -> Any:
    with transaction.atomic():
        return engine.apply([event], now=now, caller_ip=CALLER, awake={})[0]


@given(stream=beats())
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_answers_and_rows_are_the_engines(stream: list[Incoming]) -> None:
    nows = [max(event.at for event in stream[: number + 1]) for number in range(len(stream))]
    found = []
    for apply in (report, through_engine):
        with undone(), override_settings(SESSION_SEGMENT_SECONDS=60):
            host("orch-a", "192.0.2.1", pk=1_000_001)
            host("orch-b", "2001:db8::2", pk=1_000_002)
            answers = [record(apply(event, now=now)) for event, now in zip(stream, nows, strict=True)]
            found.append((answers, rows()))

    assert found[0] == found[1]


@pytest.mark.usefixtures("served")
def test_a_repeated_event_id_is_answered_as_the_fast_statement_answered_it() -> None:
    first = report(beat(seconds=15.5, event_id="e1", streamer_id="cam-é"))

    again = report(beat(seconds=30, event_id="e1"))

    assert again == first
    assert SessionEvent.objects.filter(event_id="e1").count() == 1
    assert StreamSession.objects.get().heartbeat_count == 1


@pytest.mark.usefixtures("served")
def test_a_plain_heartbeat_leaves_no_event_behind() -> None:
    report(beat())

    assert list(SessionEvent.objects.values_list("event", flat=True)) == ["start"]


def test_hidden_leases_show_again_and_the_caller_is_noted(served: Orchestrator) -> None:
    StreamSession.objects.update(lease_hidden_at=NOON)

    report(beat(), caller_ip="203.0.113.5")

    session = StreamSession.objects.get()
    assert (session.lease_hidden_at, session.reported_ip) == (None, "203.0.113.5")
    assert session.orchestrator == served
