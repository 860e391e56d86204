"""Guarded outbound HTTP: calls to hosts that somebody else registered.

Whoever registers a host chooses where we connect. So a name is resolved once, every address it has must be
public, and the connection goes to an address that was checked. Redirects are failures, little is read, and
one deadline covers everything from resolving to the last byte. Proxies of the environment play no part.
"""

import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from socket import SOCK_STREAM, getaddrinfo
from threading import Thread
from typing import Any
from urllib.parse import quote, urlsplit

import httpcore
from django.conf import settings

from core.addresses import is_public
from core.db import no_transaction

MAX_BODY_BYTES = 64 * 1024


class OutboundFailed(Exception):
    """A call to a foreign host brought no usable answer. A subclass says why."""


class HostNotAllowed(OutboundFailed):
    """The host is, or resolves to, an address that we do not connect to."""


class HostUnreachable(OutboundFailed):
    """The name does not resolve, nobody answers, or what answers is not HTTP."""


class TimedOut(OutboundFailed):
    """The deadline passed."""


class Redirected(OutboundFailed):
    """The host pointed elsewhere, where nothing was checked."""


class AnswerTooLarge(OutboundFailed):
    """The answer is longer than 64 KiB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host said: status and body."""

    status: int
    body: bytes


@no_transaction
def get(url: str, *, connect_seconds: float, total_seconds: float) -> Answer:
    """GET an `http` or `https` URL from a host that somebody else chose.

    :raises OutboundFailed: one of its subclasses, saying why there is no answer.
    """
    deadline = Deadline(total_seconds)
    target = _parse(url)
    host = target.host.decode()
    port = target.port or (443 if target.scheme == b"https" else 80)
    addresses = checked_addresses(host, port, deadline)
    network = _PinnedNetwork(addresses, connect_seconds, deadline)
    headers = [("Host", _host_header(host, target.port)), ("Accept", "application/json")]
    try:
        with (
            httpcore.ConnectionPool(_ssl_context(), network_backend=network) as pool,
            pool.stream("GET", target, headers=headers) as response,
        ):
            if 300 <= response.status < 400:
                raise Redirected(f"status {response.status}")
            return Answer(response.status, _capped(response.iter_stream()))
    except httpcore.TimeoutException as error:
        raise TimedOut(str(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise HostUnreachable(str(error)) from error


# --- Resolving ------------------------------------------------------------------------------------


class Deadline:
    """One moment that everything has to be over by."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, above zero.

        :raises TimedOut: none are.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimedOut("deadline passed")
        return seconds


def checked_addresses(host: str, port: int, deadline: Deadline) -> list[str]:
    """Resolve a host, once, to addresses that may all be connected to.

    :raises HostNotAllowed: one of them may not.
    :raises HostUnreachable: there are none.
    """
    addresses = _resolve(host, port, deadline)
    if not settings.ALLOW_PRIVATE_HOSTS and not all(is_public(ip_address(text)) for text in addresses):
        raise HostNotAllowed(host)
    return addresses


def _resolve(host: str, port: int, deadline: Deadline) -> list[str]:
    """The addresses of a name, in the resolver's order.

    The system's resolver knows no deadline, so it runs in a thread that is left behind when it is late.
    """
    answers: SimpleQueue[list[str] | OSError | UnicodeError] = SimpleQueue()

    def look_up() -> None:
        try:
            found = getaddrinfo(host, port, type=SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    Thread(target=look_up, name="outbound-resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except Empty:
        raise TimedOut(f"resolving {host}") from None
    if isinstance(answer, Exception) or not answer:
        raise HostUnreachable(f"{host}: {answer or 'no address'}")
    return answer


# --- Connecting -----------------------------------------------------------------------------------


class _PinnedNetwork(httpcore.NetworkBackend):
    """Connects to the checked addresses, whatever name is asked for; the first that answers is taken.

    The name still reaches the `Host` header, and the certificate check of TLS.
    """

    def __init__(self, addresses: list[str], connect_seconds: float, deadline: Deadline) -> None:
        self._addresses = addresses
        self._connecting = Deadline(connect_seconds)
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.NetworkStream:
        failure: Exception = HostUnreachable(host)
        for address in self._addresses:
            try:
                seconds = min(self._connecting.left(), self._deadline.left())
                return _TimedStream(self._sockets.connect_tcp(address, port, seconds), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every step ends by the deadline, so that a dripping host cannot stretch it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@cache
def _ssl_context() -> ssl.SSLContext:
    # Reading the certificate store takes longer than most calls.
    return httpcore.default_ssl_context()


# --- Reading and writing --------------------------------------------------------------------------


def _parse(url: str) -> httpcore.URL:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host:
            raise HostUnreachable("not an http or https URL")
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        if parts.query:
            target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?")
        name = host if ":" in host else host.encode("idna").decode()
    except ValueError as error:
        raise HostUnreachable(f"malformed URL: {error}") from None
    return httpcore.URL(scheme=parts.scheme, host=name, port=port, target=target)


def _host_header(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def _capped(chunks: Iterable[bytes]) -> bytes:
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise AnswerTooLarge
    return body
