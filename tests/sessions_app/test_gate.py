"""The awake half of the credit gate."""

import socket
import time
from collections.abc import Iterator
from threading import Barrier, BrokenBarrierError, Event

import pytest
from django.core.cache import cache
from django.db import transaction
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from billing.models import Orchestrator
from sessions_app.services import gate
from tests.core.hosts import Host, answering, serving
from tests.factories import OrchestratorFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _loopback_allowed(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = True


@pytest.fixture
def awake_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with serving(answering(b'{"state": " Awake "}')) as host:
        monkeypatch.setattr(gate, "POWER_PORT", host.port)
        yield host


def orchestrator(**fields: str | None) -> Orchestrator:
    return OrchestratorFactory.create(**{"host_public_ip": "127.0.0.1", **fields})


def test_a_host_that_says_so_is_awake(awake_host: Host) -> None:
    assert gate.awake(orchestrator())
    assert awake_host.requests[0].startswith(b"GET /power HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"state":"asleep"}', "200 OK"),
        (b'{"state":"awake"}', "500 No"),
        (b'{"state":"awake"}', "302 Found"),
        (b'{"state":true}', "200 OK"),
        (b'{"power":"awake"}', "200 OK"),
        (b'"awake"', "200 OK"),
        (b"awake", "200 OK"),
        (b"", "200 OK"),
        (b"\xff\xfe", "200 OK"),
        (b"[" * 50_000, "200 OK"),
        (b'{"state":"awake","pad":"' + b"x" * 65_536 + b'"}', "200 OK"),
    ],
)
def test_any_other_answer_means_not_awake(body: bytes, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering(body, status=status)) as host:
        monkeypatch.setattr(gate, "POWER_PORT", host.port)

        assert not gate.awake(orchestrator())


def test_a_host_that_nobody_can_reach_is_not_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "POWER_PORT", 1)

    assert not gate.awake(orchestrator())
    assert not gate.awake(orchestrator(host_public_ip=None))


def test_a_host_inside_our_own_network_is_not_asked(awake_host: Host, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = False

    assert not gate.awake(orchestrator())
    assert awake_host.requests == []


def test_a_silent_host_is_given_up_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    released = Event()

    def say_nothing(_: socket.socket, __: bytes) -> None:
        released.wait(5)

    with serving(say_nothing) as host:
        monkeypatch.setattr(gate, "POWER_PORT", host.port)
        started = time.monotonic()

        assert not gate.awake(orchestrator())

        assert time.monotonic() - started < 2
        released.set()


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        ({"health_url": "https://node.example:8443/h", "host_public_ip": "192.0.2.1"}, "node.example"),
        ({"health_url": "http://[2001:db8::1]/", "host_public_ip": "192.0.2.1"}, "2001:db8::1"),
        ({"health_url": "http://[broken", "host_public_ip": "192.0.2.1"}, "192.0.2.1"),
        ({"health_url": None, "host_public_ip": "192.0.2.1", "last_seen_ip": "192.0.2.2"}, "192.0.2.1"),
        ({"host_public_ip": None, "last_seen_ip": "192.0.2.2"}, "192.0.2.2"),
        ({"host_public_ip": None}, None),
    ],
)
def test_the_health_url_names_the_host_before_the_known_addresses(
    fields: dict[str, str | None], host: str | None
) -> None:
    assert gate.power_host(orchestrator(**fields)) == host


def test_an_answer_holds_for_a_while(awake_host: Host) -> None:
    host = orchestrator()

    assert gate.awake(host)
    assert gate.awake(host)
    assert len(awake_host.requests) == 1

    cache.clear()
    assert gate.awake(host)
    assert len(awake_host.requests) == 2


def test_a_refusal_holds_as_long_as_a_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering(b'{"state":"asleep"}')) as host:
        monkeypatch.setattr(gate, "POWER_PORT", host.port)
        sleeper = orchestrator()

        assert not gate.awake(sleeper)
        assert not gate.awake(sleeper)

        assert len(host.requests) == 1


def test_without_the_cache_every_call_asks_the_host(
    awake_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(cache, "get_many", unreachable)
    monkeypatch.setattr(cache, "set_many", unreachable)
    host = orchestrator()

    assert gate.awake(host)
    assert gate.awake(host)
    assert len(awake_host.requests) == 2


def test_many_hosts_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = Barrier(5)

    def answer_together(connection: socket.socket, request: bytes) -> None:
        try:
            everybody.wait(0.9)
        except BrokenBarrierError:
            return
        answering(b'{"state":"awake"}')(connection, request)

    with serving(answer_together) as host:
        monkeypatch.setattr(gate, "POWER_PORT", host.port)
        hosts = [orchestrator(host_public_ip=f"127.0.0.{number}") for number in range(1, 6)]
        # Servers listen on 127.0.0.1 only; the health URL says where each host is.
        for one in hosts:
            one.health_url = "http://127.0.0.1/"

        states = gate.probe_many(hosts)

    assert states == dict.fromkeys([one.pk for one in hosts], True)
    assert gate.probe_many([]) == {}


def test_no_transaction_may_wait_for_a_host() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="must not hold a transaction"):
        gate.awake(orchestrator())
