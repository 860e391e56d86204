"""The invented network: its hosts and edges, and when sessions begin. No clock, no HTTP, seeded chance."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from random import Random

from sessions_app.simulation.visits import Edge, Fate, Host, Visit

SESSIONS_PER_HOST_AND_DAY = 40
MEAN_LENGTH = timedelta(minutes=38)
SHORTEST = timedelta(seconds=12)
GROWTH = timedelta(days=30)
"""The network was a third of its size this long ago."""

_CAPABILITIES = ("live-video-to-video", "text-to-image", "transcoding", "llm")
_FATES: dict[Fate, float] = {
    Fate.ENDS: 70,
    Fate.FALLS_SILENT: 9,
    Fate.COMES_BACK: 4,
    Fate.MOVES: 5,
    Fate.IS_LATE: 7,
    Fate.IS_REPEATED: 5,
}
_STRANGER_SHARE = 0.03


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast sessions live: `speed` times as many begin, each as many times shorter.

    The moments on the wire stay true, so as many sessions are live at once, and as much is earned in an hour.
    """

    speed: float = 1.0

    def length(self, of: timedelta) -> timedelta:
        return max(of / self.speed, SHORTEST)

    def heartbeat(self, length: timedelta) -> timedelta:
        """What edges use, or less for sessions that would be over before their first one."""
        return max(min(timedelta(seconds=15), length / 5), timedelta(seconds=2))


class World:
    """A network of hosts of unequal fame. The same seed gives the same network and the same sessions."""

    def __init__(self, *, hosts: int, edges: int, seed: int) -> None:
        self.seed = seed
        self.hosts = [_host(number, seed) for number in range(1, hosts + 1)]
        self.edges = [Edge(f"edge-{name}", f"192.0.2.{10 + place}") for place, name in _edge_names(edges)]
        self.stranger = Host("", "", "", "192.0.2.200", "", "")
        # A few hosts serve most sessions, as in any network; the last one is nearly idle.
        self._fame = [1 / (rank + 1.5) for rank in range(hosts)]

    def visits(self, since: datetime, *, until: datetime, pace: Pace) -> Iterator[Visit]:
        """The sessions that begin in a span of time, in the order in which they do."""
        return takewhile(lambda visit: visit.started_at < until, self._visits(since, until, pace))

    def _visits(self, since: datetime, present: datetime, pace: Pace) -> Iterator[Visit]:
        chance = Random(f"{self.seed} {since.isoformat()}")  # noqa: S311
        busiest = len(self.hosts) * SESSIONS_PER_HOST_AND_DAY * pace.speed / timedelta(days=1).total_seconds()
        moment = since
        while True:
            moment += timedelta(seconds=chance.expovariate(busiest))
            if chance.random() < rhythm(moment) * size(moment, present):
                yield self._visit(chance, moment, pace)

    def _visit(self, chance: Random, moment: datetime, pace: Pace) -> Visit:
        # Most are short and a few are very long.
        length = pace.length(MEAN_LENGTH * chance.lognormvariate(-0.4, 0.9))
        [host, other] = chance.choices(self.hosts, self._fame, k=2)
        if chance.random() < _STRANGER_SHARE:
            host = self.stranger
        [fate] = chance.choices(list(_FATES), list(_FATES.values()))
        number = chance.getrandbits(48)
        return Visit(
            session_id=f"stream-{number:012x}",
            host=host,
            moves_to=other,
            edge=chance.choice(self.edges),
            port=chance.randrange(8000, 8032),
            streamer_id=f"viewer-{chance.randrange(400):03d}" if chance.random() < 0.7 else None,
            started_at=moment,
            length=length,
            heartbeat=pace.heartbeat(length),
            fate=fate,
        )


def rhythm(moment: datetime) -> float:
    """How busy an hour is, 0 to 1: quiet before dawn, full in the evening, more at weekends."""
    hour = moment.hour + moment.minute / 60
    day = 0.55 + 0.45 * math.cos((hour - 19) / 24 * 2 * math.pi)
    return day if moment.weekday() >= 5 else day * 0.8


def size(moment: datetime, present: datetime) -> float:
    """How large the network was, as a share of its present size."""
    age = max(present - moment, timedelta())
    return max(1 - age / GROWTH * 2 / 3, 1 / 3)


def _host(number: int, seed: int) -> Host:
    digest = hashlib.sha256(f"{seed} {number}".encode()).hexdigest()
    name = f"gpu-{number:02d}"
    # One of them is reached over IPv6 only.
    ip = f"203.0.113.{number % 250 + 1}" if number != 3 else "2001:db8::3"
    return Host(
        orchestrator_id=f"orch-{name}",
        name=name,
        address=f"0x{digest[:40]}",
        ip=ip,
        email=f"operator{number}@example.org",
        capability=_CAPABILITIES[number % len(_CAPABILITIES)],
    )


def _edge_names(count: int) -> Sequence[tuple[int, str]]:
    places = ("fra", "iad", "sin", "gru", "syd")
    return [(n, places[n] if n < len(places) else f"{n}") for n in range(count)]
