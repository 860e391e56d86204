"""Guarded outbound HTTP, against real servers that misbehave."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db import transaction
from pytest_django.fixtures import Settings

from core import outbound
from tests.core.hosts import answering, serving

Resolver = Callable[[list[str]], list[str]]


@pytest.fixture(autouse=True)
def _loopback_allowed(settings: Settings) -> None:
    """The servers of these tests are on loopback; tests of the guard close it again."""
    settings.ALLOW_PRIVATE_HOSTS = True


@pytest.fixture
def guarded(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = False


@pytest.fixture
def resolves_to(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Make every name resolve to these addresses; returns the list of names that were asked."""

    def resolve_to(addresses: list[str]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            asked.append(host)
            return [(0, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(outbound, "getaddrinfo", getaddrinfo)
        return asked

    return resolve_to


def get(url: str, *, connect_seconds: float = 1, total_seconds: float = 2) -> outbound.Answer:
    return outbound.get(url, connect_seconds=connect_seconds, total_seconds=total_seconds)


def test_an_answer_comes_with_its_status_and_body() -> None:
    with serving(answering(b'{"state":"awake"}')) as host:
        answer = get(f"{host.url}/power?a=b%20c#fragment")

    assert answer == outbound.Answer(200, b'{"state":"awake"}')
    request = host.requests[0].decode()
    assert request.startswith("GET /power?a=b%20c HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{host.port}\r\n" in request


def test_an_error_status_is_an_answer_too() -> None:
    with serving(answering(b"no", status="503 Busy")) as host:
        assert get(host.url) == outbound.Answer(503, b"no")


# --- The guard ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "localhost",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
    ],
)
def test_an_inside_host_is_refused_however_it_is_spelled(host: str, guarded: None) -> None:
    with serving(answering(b"secret")) as server:
        with pytest.raises(outbound.HostNotAllowed):
            get(f"http://{host}:{server.port}/")

        assert server.requests == []


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["2606:4700::1", "::1"]])
def test_one_inside_address_among_those_of_a_name_is_enough_to_refuse_it(
    addresses: list[str], guarded: None, resolves_to: Resolver
) -> None:
    resolves_to(addresses)

    with pytest.raises(outbound.HostNotAllowed):
        get("http://host.example/")


def test_a_name_is_resolved_once_and_the_connection_goes_to_the_checked_address(
    resolves_to: Resolver,
) -> None:
    asked = resolves_to(["127.0.0.1"])

    with serving(answering(b"here")) as host:
        answer = get(f"http://host.example:{host.port}/")

    assert answer.body == b"here"
    assert asked == ["host.example"]
    assert f"Host: host.example:{host.port}\r\n".encode() in host.requests[0]


def test_the_next_address_is_tried_when_the_first_does_not_answer(resolves_to: Resolver) -> None:
    resolves_to(["127.0.0.2", "127.0.0.1"])

    with serving(answering(b"here")) as host:
        assert get(f"http://host.example:{host.port}/").body == b"here"


def test_an_ipv6_literal_is_bracketed_in_the_host_header(resolves_to: Resolver) -> None:
    asked = resolves_to(["127.0.0.1"])

    with serving(answering(b"here")) as host:
        get(f"http://[2001:db8::1]:{host.port}/")

    assert asked == ["2001:db8::1"]
    assert f"Host: [2001:db8::1]:{host.port}\r\n".encode() in host.requests[0]


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with serving(answering(b"direct")) as host:
        assert get(host.url).body == b"direct"


# --- What a host may not do -----------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "304 Not Modified", "307 Elsewhere"])
def test_a_redirect_is_a_failure_and_not_followed(status: str) -> None:
    with serving(answering(b"secret")) as inside:
        elsewhere = answering(b"", status=status, headers=f"Location: {inside.url}/\r\n")

        with serving(elsewhere) as host, pytest.raises(outbound.Redirected):
            get(host.url)

        assert inside.requests == []


def test_64_kib_are_read_and_one_byte_more_is_a_failure() -> None:
    with serving(answering(b"x" * 65_536)) as host:
        assert len(get(host.url).body) == 65_536

    with serving(answering(b"x" * 65_537)) as host, pytest.raises(outbound.AnswerTooLarge):
        get(host.url)


def test_an_endless_answer_is_given_up_early() -> None:
    def stream(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    with serving(stream) as host, pytest.raises(outbound.AnswerTooLarge):
        get(host.url)


def test_a_silent_host_is_given_up_at_the_deadline() -> None:
    released = Event()

    def say_nothing(_: socket.socket, __: bytes) -> None:
        released.wait(5)

    with serving(say_nothing) as host:
        started = time.monotonic()
        with pytest.raises(outbound.TimedOut):
            get(host.url, total_seconds=0.3)
        released.set()

    assert 0.25 < time.monotonic() - started < 1.5


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_a_host_that_drips_cannot_stretch_the_deadline(head: bytes) -> None:
    """Every single byte comes in time, in the head as well as in the body; all of them do not."""

    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    with serving(drip) as host:
        started = time.monotonic()
        with pytest.raises(outbound.TimedOut):
            get(host.url, total_seconds=0.4)

    assert time.monotonic() - started < 1.5


def test_a_slow_resolver_counts_against_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = Event()
    monkeypatch.setattr(outbound, "getaddrinfo", lambda *_, **__: (released.wait(5), [])[1])

    started = time.monotonic()
    with pytest.raises(outbound.TimedOut):
        get("http://host.example/", total_seconds=0.2)
    released.set()

    assert time.monotonic() - started < 1.5


def test_connecting_has_a_shorter_limit_of_its_own() -> None:
    # A listener with a full backlog neither accepts nor refuses.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        callers = [socket.socket() for _ in range(3)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())

        started = time.monotonic()
        with pytest.raises(outbound.TimedOut):
            get(f"http://127.0.0.1:{full.getsockname()[1]}/", connect_seconds=0.2, total_seconds=5)
        for caller in callers:
            caller.close()

    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://no-such-host.invalid/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://host:99999/",
        "http://[::1/",
        "http://" + "a" * 70 + ".example/",
        "http://a..example/",
    ],
)
def test_what_cannot_be_called_is_unreachable(url: str) -> None:
    with pytest.raises(outbound.HostUnreachable):
        get(url)


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_host_that_does_not_speak_http_is_unreachable(said: bytes) -> None:
    def speak(connection: socket.socket, _: bytes) -> None:
        connection.sendall(said)

    with serving(speak) as host, pytest.raises(outbound.HostUnreachable):
        get(host.url)


def test_nothing_can_be_smuggled_into_the_request() -> None:
    with serving(answering(b"ok")) as host:
        get(f"{host.url}/a b\r\nX-Evil: 1\r\n\r\n?q=ü")

    request = host.requests[0].decode()
    assert request.startswith("GET /a%20bX-Evil:%201?q=%C3%BC HTTP/1.1\r\n")


@pytest.mark.django_db
def test_no_transaction_may_wait_for_a_foreign_host() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="must not hold a transaction"):
        get("http://host.example/")


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for `host.example`, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host.example")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("host.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "host.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure_port(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A TLS host with that certificate, which we trust."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(outbound, "_ssl_context", lambda: trusting)
    with serving(answering(b"secured")) as host:
        plain = host.server.get_request

        def secured() -> Any:
            connection, address = plain()
            return server.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        host.server.get_request = secured  # type: ignore[method-assign]
        yield host.port


def test_tls_is_checked_against_the_name_while_the_connection_is_pinned(
    secure_port: int, resolves_to: Resolver
) -> None:
    resolves_to(["127.0.0.1"])

    assert get(f"https://host.example:{secure_port}/").body == b"secured"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_certificate_for_another_name_is_refused(secure_port: int, resolves_to: Resolver) -> None:
    resolves_to(["127.0.0.1"])

    with pytest.raises(outbound.HostUnreachable):
        get(f"https://other.example:{secure_port}/")
