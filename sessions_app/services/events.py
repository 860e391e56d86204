"""Reporting session events: the plain heartbeats at once, everything else through the engine."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from core.db import no_transaction, retry_on_race
from sessions_app.services import engine, gate, heartbeats
from sessions_app.services.crediting import ProbeNeeded
from sessions_app.services.engine import Incoming, Result


@no_transaction
def report_one(event: Incoming, *, now: datetime, caller_ip: str | None) -> Result:
    """Apply one event. A plain heartbeat is a single statement, which is its own transaction."""

    def once(attempt: int) -> Result:
        if event.event == "heartbeat" and attempt == 0:
            plain = heartbeats.apply({0: event}, now=now, caller_ip=caller_ip, rules=engine.rules())
            if plain:
                return plain[0]
        return _through_engine([event], now=now, caller_ip=caller_ip)[0]

    return retry_on_race(once)


@no_transaction
def report_many(events: Sequence[Incoming], *, now: datetime, caller_ip: str | None) -> list[Result]:
    """Apply events of any sessions, those of one session in the order given, in one transaction.

    The number of SQL statements does not grow with the number of events.
    """

    def once(attempt: int) -> list[Result]:
        return _through_engine(events, now=now, caller_ip=caller_ip, heartbeats_first=attempt == 0)

    return retry_on_race(once)


def _through_engine(
    events: Sequence[Incoming], *, now: datetime, caller_ip: str | None, heartbeats_first: bool = False
) -> list[Result]:
    awake: dict[int, bool] = {}
    while True:
        try:
            with transaction.atomic(durable=True):
                results: dict[int, Result] = {}
                if heartbeats_first:
                    results.update(_plain(events, now=now, caller_ip=caller_ip))
                rest = {place: event for place, event in enumerate(events) if place not in results}
                if rest:
                    answers = engine.apply(list(rest.values()), now=now, caller_ip=caller_ip, awake=awake)
                    results.update(zip(rest, answers, strict=True))
            return [results[place] for place in range(len(events))]
        except ProbeNeeded as needed:
            # Each round asks at least one host more, so this ends.
            awake.update(gate.ask(needed.orchestrator_pks))


def _plain(events: Sequence[Incoming], *, now: datetime, caller_ip: str | None) -> dict[int, Result]:
    """Heartbeats that are the only event of their session here, so that order cannot matter to them."""
    alone = Counter(event.session_id for event in events)
    candidates = {
        place: event
        for place, event in enumerate(events)
        if event.event == "heartbeat" and alone[event.session_id] == 1
    }
    applied = heartbeats.apply(candidates, now=now, caller_ip=caller_ip, rules=engine.rules())
    return dict(applied)
