"""Applies events to sessions, any number at once, in a fixed number of SQL statements.

Sessions are locked in id order, their events run through the machine in memory, and everything that
changed is written together: sessions, segments, ledger entries, what was learned about hosts, and the
answers that repeated event ids get.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings

from billing.models import Orchestrator
from billing.services import ledger
from core.db import transaction_required, update_many
from core.errors import DomainError
from sessions_app import machine
from sessions_app.models import Segment, SessionEvent, StreamSession
from sessions_app.services import attribution, crediting, lives
from sessions_app.services.crediting import Settled
from sessions_app.snapshots import Snapshot, freeze, snapshot, thaw

# Pair by pair: an event id belongs to its session, and two sessions may use the same one.
STORED_ANSWERS = """
SELECT event.* FROM unnest(%s::text[], %s::text[]) AS named (session_id, event_id)
JOIN sessions_app_sessionevent AS event USING (session_id, event_id)
WHERE event.result IS NOT NULL
"""


class UpstreamMissing(DomainError):
    code, status, detail = "upstream_missing", 400, "Session event missing upstream address"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A valid event as it arrived. `at` is its moment; `exact` says that the reporter named it."""

    session_id: str
    event: str
    at: datetime
    exact: bool
    upstream_addr: str | None
    upstream_port: int
    edge_id: str | None
    orchestrator_id: str | None
    streamer_id: str | None
    event_id: str | None


Result = Snapshot | DomainError
"""What an event leads to: the session as it left it, or the refusal."""


def rules() -> machine.Rules:
    """The machine's rules, from the settings."""
    gap = settings.SESSION_MAX_GAP_SECONDS
    return machine.Rules(
        segment=timedelta(seconds=settings.SESSION_SEGMENT_SECONDS),
        max_gap=timedelta(seconds=gap) if gap else None,
    )


@transaction_required
def apply(
    events: Sequence[Incoming], *, now: datetime, caller_ip: str | None, awake: Mapping[int, bool]
) -> list[Result]:
    """Apply events in the order given and return one result for each.

    :param caller_ip: who reported them.
    :param awake: which probed hosts are awake, by primary key; needed only if the credit gate asks.
    :raises crediting.ProbeNeeded: the credit gate needs to ask a host first; nothing was written.
    :raises IntegrityError: another process created the same session, or applied the same event, meanwhile.
    """
    sessions = lives.lock({event.session_id for event in events})
    work = _Work(
        now=now,
        caller_ip=caller_ip,
        awake=awake,
        rules=rules(),
        sessions=sessions,
        answers=_stored_answers(events),
        directory=attribution.load(
            sessions=sessions.values(),
            places={(event.orchestrator_id, event.upstream_addr) for event in events},
        ),
    )
    results = [work.apply(event) for event in events]
    work.save()
    return results


@transaction_required
def time_out(sessions: Iterable[StreamSession], *, now: datetime, awake: Mapping[int, bool]) -> None:
    """End locked, open sessions where they were last heard of, and credit what they served."""
    locked = {session.session_id: session for session in sessions}
    directory = attribution.load(sessions=locked.values(), places=())
    work = _Work(now, None, awake, rules(), locked, {}, directory)
    for session in locked.values():
        work.time_out(session)
    work.save()


def _stored_answers(events: Sequence[Incoming]) -> dict[tuple[str, str], Snapshot]:
    """The answers that these event ids were given before. Read after the locks, so none is missed."""
    named = {(event.session_id, event.event_id) for event in events if event.event_id}
    if not named:
        return {}
    columns = [list(column) for column in zip(*named, strict=True)]
    return {
        (stored.session_id, str(stored.event_id)): thaw(stored.result)
        for stored in SessionEvent.objects.raw(STORED_ANSWERS, columns)
        if stored.result is not None
    }


@dataclass(slots=True)
class _Work:
    """Events being applied: what is known, and what has to be written."""

    now: datetime
    caller_ip: str | None
    awake: Mapping[int, bool]
    rules: machine.Rules
    sessions: dict[str, StreamSession]
    answers: dict[tuple[str, str], Snapshot]
    directory: attribution.Directory
    born: list[StreamSession] = field(default_factory=list)
    changed: dict[int, StreamSession] = field(default_factory=dict)
    settled: list[Settled] = field(default_factory=list)
    log: list[SessionEvent] = field(default_factory=list)
    unasked: set[int] = field(default_factory=set)

    def apply(self, event: Incoming) -> Result:
        if event.event_id and (answer := self.answers.get((event.session_id, event.event_id))):
            return answer
        address = event.upstream_addr or self.directory.address_of(event.orchestrator_id)
        if address is None:
            return UpstreamMissing()
        host = self.directory.resolve(event.orchestrator_id, address)
        before = self.sessions.get(event.session_id)
        report = _report(event, address, host, before)
        life = lives.of(before) if before else None
        outcome = machine.apply(life, report, self.rules)
        session = before
        if outcome.applied:
            session = self._absorb(event, outcome, before)
            if host is not None:
                self.directory.learn(host, address, edge_id=event.edge_id, at=report.at, now=self.now)
        assert session is not None
        result = self._snapshot(session)
        self._remember(event, session, result, at=report.at, turned=lives.turned(life, outcome.life))
        return result

    def time_out(self, session: StreamSession) -> None:
        self.directory.keep(session)
        outcome = machine.time_out(lives.of(session), self.rules)
        lives.write(session, outcome.life)
        self._settle(outcome.closings, {session.generation: session})
        session.updated_at = self.now
        self.changed[session.pk] = session
        self.log.append(_log("timeout", session, at=session.last_seen_at, now=self.now))

    def save(self) -> None:
        """Write everything, in the order that the constraints ask for."""
        if self.unasked:
            raise crediting.ProbeNeeded(self.unasked)
        update_many(list(self.changed.values()), lives.WRITTEN)
        # In one order for all: two batches that create the same sessions do not wait in a circle.
        StreamSession.objects.bulk_create(sorted(self.born, key=lambda row: (row.session_id, row.generation)))
        attribution.save(self.directory)
        credited = [item for item in self.settled if item.posting is not None]
        entries = ledger.post_many([item.posting for item in credited if item.posting is not None])
        for item, entry in zip(credited, entries, strict=True):
            item.segment.entry = entry
        Segment.objects.bulk_create([item.segment for item in self.settled])
        SessionEvent.objects.bulk_create(self.log)

    def _absorb(
        self, event: Incoming, outcome: machine.Outcome, before: StreamSession | None
    ) -> StreamSession:
        """Take over what the machine decided; returns the present generation."""
        life = outcome.life
        if before is not None and before.ended_at is None and lives.turned(lives.of(before), life):
            self.directory.keep(before)
        if before is not None and outcome.timed_out is not None:
            self.log.append(_log("timeout", before, at=outcome.timed_out.last_seen_at, now=self.now))
        generations: dict[int, StreamSession] = {} if before is None else {before.generation: before}
        session = before
        if before is None or life.generation != before.generation:
            session = StreamSession(
                session_id=event.session_id, generation=life.generation, started_at=life.started_at
            )
            generations[life.generation] = session
            self.sessions[event.session_id] = session
            self.born.append(session)
            self.directory.sessions.append(session)
            if before is not None:
                self._retire(before, outcome.timed_out)
        assert session is not None
        lives.write(session, life)
        credited = self._settle(outcome.closings, generations)
        session.last_credited_wei = credited
        session.updated_at = self.now
        session.reported_ip = self.caller_ip
        if event.event != "end":
            session.lease_hidden_at = None
        if session.pk:
            self.changed[session.pk] = session
        return session

    def _retire(self, session: StreamSession, timed_out: machine.Life | None) -> None:
        """A generation that a newer one replaces; silence may have ended it just now."""
        session.is_newest = False
        if timed_out is not None:
            lives.write(session, timed_out)
            session.updated_at = self.now
        if session.pk:
            self.changed[session.pk] = session

    def _settle(self, closings: Sequence[machine.Closing], generations: Mapping[int, StreamSession]) -> int:
        """Price closings and add them to their generation's totals; returns the wei credited by all."""
        total = 0
        for session in {closing.generation: generations[closing.generation] for closing in closings}.values():
            session.last_credited_wei = 0
        for closing in closings:
            session = generations[closing.generation]
            earner = self.directory.by_pk[closing.orchestrator] if closing.orchestrator else None
            item = crediting.settle(closing, session, earner, gate=self._gate)
            self.settled.append(item)
            if item.posting is not None:
                session.billed_ms += closing.duration_ms
                session.billed_wei += item.segment.amount_wei
                session.last_credited_wei += item.segment.amount_wei
                total += item.segment.amount_wei
        return total

    def _gate(self, earner: Orchestrator) -> str:
        """Why the credit gate keeps a segment from being credited; empty when it lets it pass."""
        if "eligible" in settings.SESSION_CREDIT_GATE and not earner.is_eligible(now=self.now):
            return "not_eligible"
        if "awake" in settings.SESSION_CREDIT_GATE:
            if earner.pk not in self.awake:
                self.unasked.add(earner.pk)
            return "" if self.awake.get(earner.pk) else "not_awake"
        return ""

    def _snapshot(self, session: StreamSession) -> Snapshot:
        owner = self.directory.by_pk[session.orchestrator_id] if session.orchestrator_id else None
        return snapshot(session, owner.orchestrator_id if owner else None)

    def _remember(
        self, event: Incoming, session: StreamSession, result: Snapshot, *, at: datetime, turned: bool
    ) -> None:
        """Keep the event if it can be repeated or if it turned the session's course."""
        if not (event.event_id or turned):
            return
        row = _log(event.event, session, at=at, now=self.now)
        row.edge_id = event.edge_id
        if event.event_id:
            row.event_id, row.result = event.event_id, freeze(result)
            self.answers[event.session_id, event.event_id] = result
        self.log.append(row)


def _report(
    event: Incoming, address: str, host: Orchestrator | None, before: StreamSession | None
) -> machine.Report:
    # Two processes read their clocks apart from each other. An event whose moment is its arrival arrived
    # after whatever is already applied, even if this process's clock is a moment behind.
    at = event.at if event.exact or before is None else max(event.at, before.last_seen_at)
    return machine.Report(
        event=event.event,
        at=at,
        orchestrator=host.pk if host else None,
        upstream_addr=address,
        upstream_port=event.upstream_port,
        edge_id=event.edge_id,
        streamer_id=event.streamer_id,
    )


def _log(event: str, session: StreamSession, *, at: datetime, now: datetime) -> SessionEvent:
    return SessionEvent(
        session_id=session.session_id,
        generation=session.generation,
        event=event,
        occurred_at=at,
        received_at=now,
        edge_id=session.edge_id,
    )
