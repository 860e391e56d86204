"""The life of a stream session, as arithmetic: no database, no clock, no settings.

`apply` takes what is known of a session and one report, and says what the session is afterwards and which
segments closed on the way. The rules are the contract's sections 4.4 and 4.5.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Rules:
    """How long a full segment is, and after how much silence a session is over (None: never)."""

    segment: timedelta
    max_gap: timedelta | None


@dataclass(frozen=True, slots=True)
class Report:
    """One event, with its host already resolved: `orchestrator` is None when nobody was found."""

    event: str
    at: datetime
    orchestrator: int | None
    upstream_addr: str
    upstream_port: int
    edge_id: str | None = None
    streamer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """One generation of a session. `cursor` is where the open segment starts."""

    generation: int
    orchestrator: int | None
    upstream_addr: str
    upstream_port: int
    edge_id: str | None
    streamer_id: str | None
    started_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None
    last_event: str
    heartbeat_count: int
    cursor: datetime
    segment_index: int


@dataclass(frozen=True, slots=True)
class Closing:
    """A segment that closed: who earns it, for how long, and what closed it."""

    generation: int
    segment_index: int
    orchestrator: int | None
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    trigger: str
    event: str
    upstream_addr: str
    upstream_port: int
    edge_id: str | None
    streamer_id: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a report led to.

    `life` is the session's present generation. `timed_out` is the generation that met the report, as silence
    had ended it by then. `applied` is False for a report older than the last one.
    """

    life: Life
    closings: list[Closing] = field(default_factory=list)
    timed_out: Life | None = None
    applied: bool = True


def apply(life: Life | None, report: Report, rules: Rules) -> Outcome:
    """What one report makes of a session."""
    if life is None:
        return Outcome(_born(report, generation=1, streamer_id=None))
    if report.at < life.last_seen_at:
        return Outcome(life, applied=False)
    silent = life.ended_at is None and _is_silent(life, report.at, rules)
    if not silent:
        return _heard(life, report, rules)
    over = time_out(life, rules)
    after = _heard(over.life, report, rules)
    return Outcome(after.life, over.closings + after.closings, timed_out=over.life)


def time_out(life: Life, rules: Rules) -> Outcome:
    """End an open session where it was last heard of; silence is never billed."""
    at = life.last_seen_at
    closings, cursor, index = _close(life, life, at, rules, event="timeout", rest="timeout")
    return Outcome(replace(life, ended_at=at, cursor=cursor, segment_index=index), closings)


def _is_silent(life: Life, at: datetime, rules: Rules) -> bool:
    return rules.max_gap is not None and at - life.last_seen_at > rules.max_gap


def _heard(life: Life, report: Report, rules: Rules) -> Outcome:
    """Apply a report to a session that is not silent."""
    if life.ended_at is None:
        return _continued(life, report, rules)
    if report.event == "end":
        return Outcome(_touched(life, report))
    return Outcome(_born(report, generation=life.generation + 1, streamer_id=life.streamer_id))


def _born(report: Report, *, generation: int, streamer_id: str | None) -> Life:
    """A new generation; one that begins with its end has no length."""
    return Life(
        generation=generation,
        orchestrator=report.orchestrator,
        upstream_addr=report.upstream_addr,
        upstream_port=report.upstream_port,
        edge_id=report.edge_id,
        streamer_id=report.streamer_id or streamer_id,
        started_at=report.at,
        last_seen_at=report.at,
        ended_at=report.at if report.event == "end" else None,
        last_event=report.event,
        heartbeat_count=int(report.event == "heartbeat"),
        cursor=report.at,
        segment_index=0,
    )


def _continued(life: Life, report: Report, rules: Rules) -> Outcome:
    """Start, heartbeat or end of an open session."""
    ends = report.event == "end"
    moves = not ends and report.orchestrator not in (None, life.orchestrator)
    rest = "end" if ends else "reattribution" if moves else None
    touched = replace(
        _touched(life, report),
        edge_id=report.edge_id or life.edge_id,
        streamer_id=report.streamer_id or life.streamer_id,
    )
    # The closing event's own edge is part of the proof, not the one the session remembers.
    closing_life = replace(touched, edge_id=report.edge_id)
    closings, cursor, index = _close(life, closing_life, report.at, rules, event=report.event, rest=rest)
    after = replace(
        touched,
        orchestrator=report.orchestrator if moves else life.orchestrator,
        ended_at=report.at if ends else None,
        heartbeat_count=life.heartbeat_count + int(report.event == "heartbeat"),
        cursor=cursor,
        segment_index=index,
    )
    return Outcome(after, closings)


def _touched(life: Life, report: Report) -> Life:
    return replace(
        life,
        upstream_addr=report.upstream_addr,
        upstream_port=report.upstream_port,
        last_seen_at=report.at,
        last_event=report.event,
    )


def _close(
    life: Life, facts: Life, at: datetime, rules: Rules, *, event: str, rest: str | None
) -> tuple[list[Closing], datetime, int]:
    """Close the full segments up to `at`, and the rest if `rest` names its trigger.

    The earner is whoever `life` is attributed to: who held the session when the segment opened. `facts`
    carries what the proof says about the closing. Returns the closings, the cursor and the next index.
    """
    closings: list[Closing] = []
    cursor, index = life.cursor, life.segment_index
    segment_ms = rules.segment // _MILLISECOND

    def closed(ended_at: datetime, duration_ms: int, trigger: str) -> Closing:
        return Closing(
            generation=life.generation,
            segment_index=index,
            orchestrator=life.orchestrator,
            started_at=cursor,
            ended_at=ended_at,
            duration_ms=duration_ms,
            trigger=trigger,
            event=event,
            upstream_addr=facts.upstream_addr,
            upstream_port=facts.upstream_port,
            edge_id=facts.edge_id,
            streamer_id=facts.streamer_id,
        )

    while (at - cursor) // _MILLISECOND >= segment_ms:
        closings.append(closed(cursor + rules.segment, segment_ms, "segment"))
        cursor, index = cursor + rules.segment, index + 1
    if rest is not None:
        remainder_ms = (at - cursor) // _MILLISECOND
        if remainder_ms > 0:
            closings.append(closed(at, remainder_ms, rest))
            index += 1
        cursor = at
    return closings, cursor, index
