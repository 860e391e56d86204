"""The heartbeat mix: plain heartbeats of live sessions, and one in a hundred that closes a segment."""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from random import Random
from typing import Any

from bench import books
from bench.load import post

CLOSES_ONE_IN = 100


def event(session: int) -> dict[str, Any]:
    return {
        "session_id": f"stream-{session}",
        "event": "heartbeat",
        "upstream_addr": books.address_of(session),
        "upstream_port": 8000 + session % 32,
        "edge_id": f"edge-{session % 3}",
        "streamer_id": f"viewer-{session % 5000}",
    }


def heartbeats(token: str) -> Iterator[bytes]:
    """Requests of the single-event path, made beforehand so that sending one costs nothing."""
    made = {
        session: post("/api/sessions/events", json.dumps(event(session)).encode(), token)
        for session in range(1, books.LIVE + 1)
    }
    chance = Random(1)
    for number in count():
        if number % CLOSES_ONE_IN == CLOSES_ONE_IN - 1:
            yield made[books.PLAIN + number // CLOSES_ONE_IN % books.DUE + 1]
        else:
            yield made[chance.randint(1, books.PLAIN)]


def batches(token: str, numbers: Sequence[int], *, size: int) -> Iterator[bytes]:
    """Requests of the batch path: `size` heartbeats of different sessions each."""
    made = [
        post(
            "/api/sessions/events/batch",
            json.dumps({"events": [event(n) for n in group]}).encode(),
            token,
        )
        for group in (numbers[start : start + size] for start in range(0, len(numbers), size))
    ]
    for number in count():
        yield made[number % len(made)]
