"""One invented session: everything its edge will say about it, and when each word arrives."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from core.timestamps import zulu

SPARSE = timedelta(seconds=170)
"""Between two heartbeats of the past: just close enough for all the time to count."""

SILENCE = timedelta(minutes=4)
"""Longer than any gap that is still the same session."""


class Fate(Enum):
    """What happens to a session. Most end as they should."""

    ENDS = auto()
    FALLS_SILENT = auto()
    COMES_BACK = auto()
    MOVES = auto()
    IS_LATE = auto()
    IS_REPEATED = auto()


@dataclass(frozen=True, slots=True)
class Host:
    """A GPU host. One without an id is nobody's: it never registered."""

    orchestrator_id: str
    name: str
    address: str
    ip: str
    email: str
    capability: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A server between viewers and hosts, which reports the sessions it relays."""

    edge_id: str
    ip: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One report on its way: when the thing happened, when the server hears of it, and in which words."""

    sent_at: datetime
    occurred_at: datetime
    edge: Edge
    body: dict[str, Any]

    @property
    def is_late(self) -> bool:
        return self.sent_at > self.occurred_at

    def dated(self) -> dict[str, Any]:
        """The report with its moment in it, for whatever is not told as it happens."""
        return {**self.body, "occurred_at": zulu(self.occurred_at)}


@dataclass(frozen=True, slots=True)
class Visit:
    """A session from its start to its end."""

    session_id: str
    host: Host
    moves_to: Host
    edge: Edge
    port: int
    streamer_id: str | None
    started_at: datetime
    length: timedelta
    heartbeat: timedelta
    fate: Fate

    @property
    def ends_at(self) -> datetime:
        return self.started_at + self.length

    def deliveries(self, *, sparse_until: datetime) -> Iterator[Delivery]:
        """Its reports in order.

        :param sparse_until: heartbeats before this moment are told no more often than they must be.
        """
        yield self._delivery("start", self.started_at)
        moment = self._next(self.started_at, sparse_until)
        while moment < self.ends_at:
            yield from self._heartbeat(moment)
            moment = self._next(moment, sparse_until)
        yield from self._last_words()

    def _next(self, moment: datetime, sparse_until: datetime) -> datetime:
        return min(moment + SPARSE, max(sparse_until, moment + self.heartbeat))

    def _heartbeat(self, moment: datetime) -> Iterator[Delivery]:
        half = self.started_at + self.length / 2
        delivery = self._delivery("heartbeat", moment)
        if self.fate is Fate.IS_LATE and half < moment < self._back_online():
            # The edge lost its line for a while, and tells what happened once it is back.
            delivery = replace(delivery, sent_at=self._back_online())
        yield delivery

    def _back_online(self) -> datetime:
        return self.started_at + self.length / 2 + min(self.length / 4, timedelta(seconds=90))

    def _last_words(self) -> Iterator[Delivery]:
        match self.fate:
            case Fate.FALLS_SILENT:
                return
            case Fate.COMES_BACK:
                # Silence has ended it by then, so this begins a second generation, which also falls silent.
                yield self._delivery("heartbeat", self.ends_at + SILENCE)
            case Fate.IS_REPEATED:
                # The answer was lost on its way, so the edge asks again.
                yield from [self._delivery("end", self.ends_at)] * 2
            case _:
                yield self._delivery("end", self.ends_at)

    def _delivery(self, event: str, moment: datetime) -> Delivery:
        has_moved = self.fate is Fate.MOVES and moment > self.started_at + self.length / 2
        body: dict[str, Any] = {
            "session_id": self.session_id,
            "event": event,
            "upstream_addr": self.moves_to.ip if has_moved else self.host.ip,
            "upstream_port": self.port,
            "edge_id": self.edge.edge_id,
        }
        if self.streamer_id:
            body["streamer_id"] = self.streamer_id
        if event != "heartbeat":
            body["event_id"] = f"{self.session_id}-{event}"
        return Delivery(moment, moment, self.edge, body)
