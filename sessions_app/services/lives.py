"""Between a session's row and its life in the machine."""

from collections.abc import Iterable

from core.db import transaction_required
from sessions_app import machine
from sessions_app.models import StreamSession

WRITTEN = (
    "orchestrator",
    "is_newest",
    "upstream_addr",
    "upstream_port",
    "edge_id",
    "streamer_id",
    "last_seen_at",
    "ended_at",
    "ended_seen_at",
    "updated_at",
    "last_event",
    "heartbeat_count",
    "last_billed_at",
    "segment_index",
    "billed_ms",
    "billed_wei",
    "last_credited_wei",
    "reported_ip",
    "lease_hidden_at",
)
"""The columns that applying events may change."""


# Spelled out: at each segment that closes, building this query would cost as much as running it.
LOCK = """
SELECT * FROM sessions_app_streamsession
WHERE session_id = ANY(%s) AND is_newest ORDER BY id FOR NO KEY UPDATE
"""


@transaction_required
def lock(session_ids: Iterable[str]) -> dict[str, StreamSession]:
    """The newest generation of each known session id, locked in the order of their keys."""
    return {session.session_id: session for session in StreamSession.objects.raw(LOCK, [list(session_ids)])}


def of(session: StreamSession) -> machine.Life:
    """What the machine needs to know of a session."""
    return machine.Life(
        generation=session.generation,
        orchestrator=session.orchestrator_id,
        upstream_addr=session.upstream_addr,
        upstream_port=session.upstream_port,
        edge_id=session.edge_id,
        streamer_id=session.streamer_id,
        started_at=session.started_at,
        last_seen_at=session.last_seen_at,
        ended_at=session.ended_at,
        last_event=session.last_event,
        heartbeat_count=session.heartbeat_count,
        cursor=session.last_billed_at,
        segment_index=session.segment_index,
    )


def write(session: StreamSession, life: machine.Life) -> None:
    """Let the row say what the machine decided; saving it is the caller's."""
    session.orchestrator_id = life.orchestrator
    session.upstream_addr = life.upstream_addr
    session.upstream_port = life.upstream_port
    session.edge_id = life.edge_id
    session.streamer_id = life.streamer_id
    session.last_seen_at = life.last_seen_at
    session.ended_at = life.ended_at
    session.ended_seen_at = life.last_seen_at if life.ended_at else None
    session.last_event = life.last_event
    session.heartbeat_count = life.heartbeat_count
    session.last_billed_at = life.cursor
    session.segment_index = life.segment_index


def turned(before: machine.Life | None, after: machine.Life) -> bool:
    """Whether a session began, ended or moved to another host."""
    return before is None or (before.generation, before.ended_at, before.orchestrator) != (
        after.generation,
        after.ended_at,
        after.orchestrator,
    )
