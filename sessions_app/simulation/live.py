"""The present: whatever is due is told as it happens, until somebody says stop."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sessions_app.simulation.chores import Chores
from sessions_app.simulation.client import Client
from sessions_app.simulation.visits import Delivery
from sessions_app.simulation.world import Pace, World

FORESIGHT = timedelta(minutes=10)
"""How far ahead sessions are thought of."""


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    number: int
    do: Callable[[], None] = field(compare=False)


class Live:
    """A clock with a list of what is due."""

    def __init__(self, world: World, client: Client, pace: Pace) -> None:
        self.world, self.client, self.pace = world, client, pace
        self.told: Counter[str] = Counter()
        self._agenda: list[_Due] = []
        self._number = 0

    def add(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._plan(delivery.sent_at, lambda delivery=delivery: self._tell(delivery))  # type: ignore[misc]

    def add_chores(self, chores: Chores) -> None:
        for pause, chore in chores.due():
            self._repeat(pause / self.pace.speed**0.5, chore)

    def run(self, *, seconds: float | None = None) -> None:
        """Do what is due, when it is, until told to stop, or for so many seconds."""
        start = datetime.now(UTC)
        self._imagine(start)
        self._repeat(timedelta(seconds=30), self._sum_up)
        while not self.client.stop.is_set():
            now = datetime.now(UTC)
            if seconds is not None and now - start > timedelta(seconds=seconds):
                return
            if self._agenda[0].at > now:
                self.client.stop.wait(min((self._agenda[0].at - now).total_seconds(), 0.5))
                continue
            heapq.heappop(self._agenda).do()

    def _imagine(self, since: datetime) -> None:
        """Plan the sessions of the next minutes, and to do so again at their end."""
        until = since + FORESIGHT
        for visit in self.world.visits(since, until=until, pace=self.pace):
            self.add(visit.deliveries(sparse_until=since))
        self._plan(until, lambda: self._imagine(until))

    def _tell(self, delivery: Delivery) -> None:
        taken = self.client.report(delivery)
        self.told[delivery.body["event"] if taken else "refused"] += 1

    def _repeat(self, pause: timedelta, do: Callable[[], None]) -> None:
        def again() -> None:
            do()
            self._repeat(pause, do)

        self._plan(datetime.now(UTC) + pause, again)

    def _plan(self, at: datetime, do: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._agenda, _Due(at, self._number, do))

    def _sum_up(self) -> None:
        counts = ", ".join(f"{count} {event}" for event, count in sorted(self.told.items()))
        self.client.say(f"Told since the last time: {counts or 'nothing'}.")
        self.told.clear()
