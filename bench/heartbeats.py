"""The single-event path against the same SQL without a program around it, and against the reference."""

from dataclasses import dataclass, field

from bench import books, load, programs, traffic
from bench.report import Table

CONNECTIONS = 16


@dataclass(slots=True)
class _Rounds:
    per_second: list[float] = field(default_factory=list)
    half: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)

    def add(self, done: load.Round) -> None:
        done.require_success()
        self.per_second.append(done.per_second)
        self.half.append(done.percentile(0.5))
        self.slowest.append(done.percentile(0.99))

    def row(self, name: str, against: "_Rounds") -> tuple[str, ...]:
        ratios = [mine / theirs for mine, theirs in zip(self.per_second, against.per_second, strict=True)]
        return (
            name,
            f"{load.median(self.per_second):,.0f}",
            f"{load.median(self.half):.1f}" if self.half else "",
            f"{load.median(self.slowest):.1f}" if self.slowest else "",
            f"{load.median(ratios):.2f}",
        )


def measure(url: str, token: str, *, rounds: int, seconds: float) -> Table:
    """Alternate between the three, so that whatever else the machine does meets all of them."""
    us, they, raw = _Rounds(), _Rounds(), _Rounds()
    with programs.ours(url) as our, programs.reference(url) as their:
        for server in (our, their):
            _drive(server, token, seconds=1)  # Connections, prepared statements, warm caches.
        for _ in range(rounds):
            us.add(_drive(our, token, seconds=seconds))
            they.add(_drive(their, token, seconds=seconds))
            books.rearm()
            raw.per_second.append(programs.pgbench(url, clients=CONNECTIONS, seconds=seconds).per_second)
    return Table(
        f"Single events, {CONNECTIONS} connections, {programs.WORKERS} processes",
        ("", "events/s", "p50 ms", "p99 ms", "of the reference"),
        [
            us.row("this server", they),
            they.row("FastAPI + asyncpg", they),
            raw.row("the SQL alone (pgbench)", they),
        ],
    )


def _drive(server: programs.Server, token: str, *, seconds: float) -> load.Round:
    books.rearm()
    return load.drive(server.port, traffic.heartbeats(token), connections=CONNECTIONS, seconds=seconds)
