"""A load generator that is never the bottleneck: one epoll loop, keep-alive, requests made beforehand."""

import select
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Round:
    """What one round of requests measured. Latencies are in milliseconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: list[bytes] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def require_success(self) -> None:
        """A number that counts refusals would be a lie."""
        if self.failures:
            raise RuntimeError(f"{len(self.failures)} requests failed, the first with {self.failures[0]!r}")

    def percentile(self, share: float) -> float:
        """The latency that this share of requests stayed below."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


@dataclass(slots=True)
class _Line:
    """One connection, and what it is waiting for."""

    socket: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    expected: int | None = None
    is_chunked: bool = False


def drive(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Round:
    """Keep every connection busy with one request at a time. A failed request is counted and not timed."""
    done = Round()
    poll = select.epoll()
    lines: dict[int, _Line] = {}
    for _ in range(connections):
        line = _Line(socket.create_connection(("127.0.0.1", port), timeout=30))
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[line.socket.fileno()] = line
        poll.register(line.socket, select.EPOLLIN)
    began = time.perf_counter()
    deadline = began + seconds
    for line in lines.values():
        _send(line, next(requests))
    busy = len(lines)
    while busy:
        for number, _ in poll.poll(30):
            line = lines[number]
            if not _receive(line):
                continue
            now = time.perf_counter()
            if line.received[9:12] == b"200":
                done.latencies.append((now - line.sent_at) * 1000)
            else:
                done.failures.append(bytes(line.received))
            if now < deadline:
                _send(line, next(requests))
            else:
                busy -= 1
    done.seconds = time.perf_counter() - began
    for line in lines.values():
        line.socket.close()
    poll.close()
    return done


def _send(line: _Line, request: bytes) -> None:
    line.received.clear()
    line.expected = None
    line.sent_at = time.perf_counter()
    line.socket.sendall(request)


def _receive(line: _Line) -> bool:
    """Take what has arrived; True once the response is complete."""
    chunk = line.socket.recv(262_144)
    if not chunk:
        raise ConnectionError("the server closed a connection in the middle of a round")
    line.received += chunk
    if line.expected is None and not _read_head(line):
        return False
    if line.is_chunked:
        return line.received.endswith(b"0\r\n\r\n")
    return len(line.received) >= (line.expected or 0)


def _read_head(line: _Line) -> bool:
    """Find out how long the response will be; False while even that has not arrived."""
    head = line.received.find(b"\r\n\r\n")
    if head < 0:
        return False
    headers = bytes(line.received[:head]).lower()
    length = headers.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
    line.is_chunked = not length
    line.expected = head + 4 + int(length or 0)
    return True


def post(path: str, body: bytes, token: str) -> bytes:
    """The bytes of a request by an edge."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"X-Session-Token: {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def get(path: str, headers: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()


def median(numbers: list[float]) -> float:
    return statistics.median(numbers) if numbers else 0.0
