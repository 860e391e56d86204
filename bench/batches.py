"""The batch endpoint against one set-based statement for the same rows."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg

from bench import books, load, programs, traffic
from bench.report import Table
from sessions_app.services.heartbeats import APPLY, MANY, RETURN

SIZE = 500
CONNECTIONS = 4
_GAP, _SEGMENT = timedelta(seconds=180), timedelta(seconds=2400)


def measure(url: str, token: str, *, rounds: int, seconds: float) -> Table:
    """Alternate between the endpoint and the statement, one connection each and several."""
    ours: list[float] = []
    raw: list[float] = []
    latency: list[float] = []
    with books.crowd(20 * SIZE) as numbers, programs.ours(url) as server:
        for place in range(rounds + 1):
            books.rearm()
            requests = traffic.batches(token, numbers, size=SIZE)
            done = load.drive(server.port, requests, connections=CONNECTIONS, seconds=seconds)
            done.require_success()
            books.rearm()
            statement = _statement(url, numbers, seconds=seconds)
            if place:  # The first round warms up.
                ours.append(done.per_second * SIZE)
                raw.append(statement)
                latency.append(done.percentile(0.99))
    ratios = [mine / theirs for mine, theirs in zip(ours, raw, strict=True)]
    return Table(
        f"Batches of {SIZE} events",
        ("", "events/s", "p99 ms", "of the statement"),
        [
            (
                "this server",
                f"{load.median(ours):,.0f}",
                f"{load.median(latency):.0f}",
                f"{load.median(ratios):.2f}",
            ),
            ("one set-based statement", f"{load.median(raw):,.0f}", "", "1.00"),
        ],
    )


def _statement(url: str, numbers: Sequence[int], *, seconds: float) -> float:
    """Events per second of the statement alone, from as many connections as the server has."""
    deadline = time.perf_counter() + seconds
    shares = [numbers[place::CONNECTIONS] for place in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        runs = [threads.submit(_repeat, url, share, deadline) for share in shares]
        return sum(run.result() for run in runs)


def _repeat(url: str, numbers: Sequence[int], deadline: float) -> float:
    """Send one batch after the other. Their columns are made beforehand; only the moment is new."""
    columns = [_columns(numbers[start : start + SIZE]) for start in range(0, len(numbers), SIZE)]
    done, began = 0, time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        while time.perf_counter() < deadline:
            for batch in columns:
                now = datetime.now(UTC)
                parameters = [*batch, [now] * SIZE, [False] * SIZE, now, "127.0.0.1", _GAP, _SEGMENT]
                rows = cursor.execute(MANY + APPLY + RETURN, parameters, prepare=True, binary=True).fetchall()
                if len(rows) != SIZE:
                    raise RuntimeError(f"{SIZE - len(rows)} rows of a batch were not written")
                done += SIZE
    return done / (time.perf_counter() - began)


def _columns(numbers: Sequence[int]) -> list[list[object]]:
    """A batch as the statement takes it, in the order in which the server would lock its rows."""
    events = sorted((traffic.event(number) for number in numbers), key=lambda event: str(event["session_id"]))
    names = ("session_id", "orchestrator_id", "upstream_addr", "upstream_port", "edge_id", "streamer_id",
             "event_id")  # fmt: skip
    return [list(range(SIZE)), *([event.get(name) for event in events] for name in names)]
