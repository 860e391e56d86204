"""The simulator: sessions that could be real, told over HTTP, and never to real books."""

import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from threading import Event, Timer

import httpx
import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from billing.models import Entry, Orchestrator
from sessions_app.models import Segment, SessionEvent, StreamSession
from sessions_app.simulation import backfill, client
from sessions_app.simulation.chores import Chores
from sessions_app.simulation.client import Client, Stopped
from sessions_app.simulation.live import Live
from sessions_app.simulation.visits import SILENCE, SPARSE, Delivery, Fate, Visit
from sessions_app.simulation.world import SHORTEST, Pace, World, rhythm, size
from tests.servers import running_server

DEMO = {"PAYMENTS_TEST_RUN_ID": "demo", "PAYMENTS_TRUSTED_PROXY_CIDRS": "127.0.0.1/32"}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> World:
    return World(hosts=12, edges=3, seed=1)


@pytest.fixture(scope="module")
def month(world: World) -> list[Visit]:
    return list(world.visits(NOW - timedelta(days=30), until=NOW, pace=Pace()))


@pytest.fixture
def _own_signals() -> Iterator[None]:
    """The command takes signals for itself; the test process wants them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _client(
    url: str = "http://testserver",
    *,
    stop: Event | None = None,
    say: Callable[[str], None] = lambda _: None,
    transport: httpx.BaseTransport | None = None,
) -> Client:
    return Client(
        url,
        admin_token="test-admin-token",
        reporter_token="test-reporter-token",
        stop=stop or Event(),
        say=say,
        transport=transport,
    )


def _of(month: list[Visit], fate: Fate) -> Visit:
    long_enough = timedelta(minutes=20)
    return next(visit for visit in month if visit.fate is fate and visit.length > long_enough)


def _told(visit: Visit) -> list[Delivery]:
    return list(visit.deliveries(sparse_until=NOW))


# --- The world ------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_network_and_the_same_sessions(world: World, month: list[Visit]) -> None:
    again = World(hosts=12, edges=3, seed=1)

    assert again.hosts == world.hosts
    assert list(again.visits(NOW - timedelta(days=30), until=NOW, pace=Pace())) == month
    assert World(hosts=12, edges=3, seed=2).hosts != world.hosts


def test_every_day_of_the_past_has_sessions_and_the_network_grows(month: list[Visit]) -> None:
    per_day = [0] * 30
    for visit in month:
        per_day[(NOW - visit.started_at) // timedelta(days=1)] += 1

    assert min(per_day) > 20
    assert sum(per_day[:10]) > 1.5 * sum(per_day[20:])


def test_evenings_are_busier_than_nights_and_weekends_than_weekdays() -> None:
    friday = datetime(2026, 11, 20, tzinfo=UTC)

    assert rhythm(friday + timedelta(hours=19)) > 4 * rhythm(friday + timedelta(hours=7))
    assert rhythm(friday + timedelta(days=1)) > rhythm(friday)
    assert size(NOW - timedelta(days=60), NOW) == pytest.approx(1 / 3)
    assert size(NOW + timedelta(minutes=1), NOW) == 1


def test_some_hosts_are_popular_and_others_nearly_idle(world: World, month: list[Visit]) -> None:
    served = [sum(visit.host == host for visit in month) for host in world.hosts]

    assert served[0] > 4 * served[-1] > 0


def test_every_kind_of_fate_and_strangers_occur(world: World, month: list[Visit]) -> None:
    assert {visit.fate for visit in month} == set(Fate)
    assert any(visit.host == world.stranger for visit in month)


def test_speed_means_more_and_shorter_sessions_so_that_as_many_are_live_at_once(world: World) -> None:
    hour = {"since": NOW, "until": NOW + timedelta(hours=1)}
    real = list(world.visits(hour["since"], until=NOW + timedelta(hours=10), pace=Pace(1)))
    fast = list(world.visits(hour["since"], until=hour["until"], pace=Pace(10)))

    assert len(fast) == pytest.approx(len(real), rel=0.5)
    assert sum(visit.length.total_seconds() for visit in fast) < 0.3 * sum(
        visit.length.total_seconds() for visit in real
    )
    assert min(visit.length for visit in fast) >= SHORTEST
    assert all(visit.heartbeat < visit.length for visit in fast)


# --- One session ----------------------------------------------------------------------------------


def test_a_session_of_the_past_is_told_often_enough_for_all_its_time_to_count(month: list[Visit]) -> None:
    told = _told(_of(month, Fate.ENDS))

    assert [delivery.body["event"] for delivery in told[:2]] == ["start", "heartbeat"]
    assert told[-1].body["event"] == "end"
    gaps = [after.occurred_at - before.occurred_at for before, after in pairwise(told)]
    assert max(gaps) <= SPARSE < timedelta(seconds=180)


def test_the_present_is_told_as_often_as_edges_do(month: list[Visit]) -> None:
    visit = _of(month, Fate.ENDS)

    told = list(visit.deliveries(sparse_until=visit.started_at))

    assert told[1].occurred_at - told[0].occurred_at == visit.heartbeat == timedelta(seconds=15)


def test_a_session_that_falls_silent_has_no_end(month: list[Visit]) -> None:
    assert _told(_of(month, Fate.FALLS_SILENT))[-1].body["event"] == "heartbeat"


def test_a_session_that_comes_back_was_silent_too_long(month: list[Visit]) -> None:
    [before, last] = _told(_of(month, Fate.COMES_BACK))[-2:]

    assert last.occurred_at - before.occurred_at > SILENCE > timedelta(seconds=180)


def test_a_session_that_moved_ends_where_it_moved_to(month: list[Visit]) -> None:
    moved = [visit for visit in month if visit.fate is Fate.MOVES]

    assert moved
    for visit in moved:
        *_, last = visit.deliveries(sparse_until=NOW)
        assert (last.body["event"], last.body["upstream_addr"]) == ("end", visit.moves_to.ip)


def test_a_late_report_says_when_it_happened(month: list[Visit]) -> None:
    visit = _of(month, Fate.IS_LATE)

    late = [one for one in visit.deliveries(sparse_until=visit.started_at) if one.is_late]

    assert late
    assert all("occurred_at" in one.dated() and "occurred_at" not in one.body for one in late)


def test_a_repeated_report_carries_the_same_event_id(month: list[Visit]) -> None:
    [first, again] = _told(_of(month, Fate.IS_REPEATED))[-2:]

    assert first.body == again.body
    assert first.body["event_id"]


# --- Told to the server ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_past_told_in_batches_is_in_the_books(world: World) -> None:
    now = datetime.now(UTC)
    due, to_come = backfill.history(world, since=now - timedelta(days=2), now=now, pace=Pace())
    progress: list[tuple[int, int]] = []

    with running_server(env=DEMO) as server:
        programs = _client(url=server.url)
        with programs.http:
            registered = [programs.register(host).is_success for host in world.hosts]
            taken = backfill.tell(programs, due, progress=lambda done, total: progress.append((done, total)))

    assert all(registered)
    assert taken == len(due) == progress[-1][0]
    assert all(delivery.sent_at >= now for delivery in to_come)
    assert Orchestrator.objects.count() == 12
    assert StreamSession.objects.filter(generation=2).exists()
    assert StreamSession.objects.filter(orchestrator=None).exists()
    assert {"end", "reattribution", "timeout", "segment"} <= set(
        Segment.objects.values_list("trigger", flat=True)
    )
    assert Entry.objects.count() == Segment.objects.exclude(entry=None).count() > 50
    assert not SessionEvent.objects.filter(occurred_at__gt=now).exists()


def test_a_server_that_restarts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.001)
    answers = iter([None, httpx.Response(502), httpx.Response(200)])
    said: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        answer = next(answers)
        if answer is None:
            raise httpx.ConnectError("refused")
        return answer

    patient = _client(say=said.append, transport=httpx.MockTransport(serve))

    assert patient.staff("GET", "/health").status_code == 200
    assert said == ["The server does not answer; trying again until it does."]


def test_waiting_for_a_server_ends_when_we_are_told_to_stop() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    stop = Event()
    waiting = _client(stop=stop, say=lambda _: stop.set(), transport=httpx.MockTransport(serve))

    with pytest.raises(Stopped):
        waiting.staff("GET", "/health")


def test_a_chore_comes_round_at_one_pace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[datetime] = []
    nobody = _client(
        stop=Event(), say=lambda _: None, transport=httpx.MockTransport(lambda _: httpx.Response(200))
    )
    chores = Chores(world, nobody, Random(1))
    every = timedelta(milliseconds=400), lambda: done.append(datetime.now(UTC))
    monkeypatch.setattr(Chores, "due", lambda _: iter([every]))
    monkeypatch.setattr(World, "visits", lambda *_, **__: iter(()))
    live = Live(world, nobody, Pace(speed=16))

    live.add_chores(chores)
    live.run(seconds=1.05)

    # Every 100 ms at sixteen times the speed, and no faster the longer it runs.
    assert 3 <= len(done) <= 10


# --- The command ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_own_signals")
def test_the_command_feeds_a_running_server_and_stops_on_sigterm(
    settings: LazySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.TEST_RUN_ID = "demo"
    with running_server(env=DEMO) as server:
        Timer(8, signal.raise_signal, [signal.SIGTERM]).start()
        call_command("simulate", "--url", server.url, "--speed", "200", "--backfill-days", "1")

    said = capsys.readouterr().out
    assert "The past is told" in said
    assert said.rstrip().endswith("The simulator has stopped.")
    assert Orchestrator.objects.count() == 12
    assert Orchestrator.objects.filter(denylisted=True).count() == 1
    assert Entry.objects.filter(kind="adjustment").exists()
    assert StreamSession.objects.filter(updated_at__gte=datetime.now(UTC) - timedelta(seconds=8)).exists()
    assert not Entry.objects.exclude(metadata__test_run_id="demo").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_own_signals")
def test_books_that_hold_something_are_left_alone(world: World) -> None:
    with running_server() as server:
        httpx.post(
            f"{server.url}/api/orchestrators/register",
            json={"orchestrator_id": "orch-a", "address": world.hosts[0].address},
        ).raise_for_status()

        with pytest.raises(CommandError, match="are not empty"):
            call_command("simulate", "--url", server.url, "--seconds", "1")

    assert Orchestrator.objects.count() == 1
    assert not StreamSession.objects.exists()


@pytest.mark.usefixtures("_own_signals")
@pytest.mark.parametrize("option", ["--speed=0", "--orchestrators=0", "--edges=0", "--backfill-days=35"])
def test_options_without_sense_are_refused(option: str) -> None:
    with pytest.raises(CommandError):
        call_command("simulate", option)
