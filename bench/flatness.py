"""Events per second while the books grow: a session more must not make the others slower."""

from bench import books, load, programs, traffic
from bench.heartbeats import CONNECTIONS
from bench.report import Table


def measure(url: str, token: str, *, sizes: tuple[int, ...], rounds: int, seconds: float) -> Table:
    """Grow the books step by step, and measure our server against the SQL alone at each size."""
    speeds: dict[int, list[float]] = {}
    raw: dict[int, list[float]] = {}
    with programs.ours(url) as server:
        load.drive(server.port, traffic.heartbeats(token), connections=CONNECTIONS, seconds=1)
        for size in sizes:
            books.grow(size)
            speeds[size], raw[size] = [], []
            for _ in range(rounds):
                books.rearm()
                done = load.drive(
                    server.port, traffic.heartbeats(token), connections=CONNECTIONS, seconds=seconds
                )
                done.require_success()
                speeds[size].append(done.per_second)
                books.rearm()
                raw[size].append(programs.pgbench(url, clients=CONNECTIONS, seconds=seconds).per_second)
    first, first_raw = load.median(speeds[sizes[0]]), load.median(raw[sizes[0]])
    return Table(
        "Events per second by stored sessions",
        ("stored sessions", "events/s", "of the first", "the SQL alone", "of the first"),
        [
            (
                f"{size:,}",
                f"{load.median(speeds[size]):,.0f}",
                f"{load.median(speeds[size]) / first:.2f}",
                f"{load.median(raw[size]):,.0f}",
                f"{load.median(raw[size]) / first_raw:.2f}",
            )
            for size in sizes
        ],
    )
