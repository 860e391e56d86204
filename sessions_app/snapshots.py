"""A session's row at one moment: what an answer is written from, at once or when an event is repeated."""

from datetime import datetime
from typing import Any

from core.timestamps import zulu
from sessions_app.models import StreamSession

Snapshot = dict[str, Any]
"""Column values of a session by name, with `orchestrator` as its wire id."""

INSTANTS = ("started_at", "last_seen_at", "ended_at", "last_billed_at", "updated_at")
PLAIN = (
    "session_id",
    "generation",
    "upstream_addr",
    "upstream_port",
    "edge_id",
    "streamer_id",
    "billed_ms",
    "billed_wei",
    "last_credited_wei",
    "heartbeat_count",
    "last_event",
)


def snapshot(session: StreamSession, orchestrator_id: str | None) -> Snapshot:
    taken: Snapshot = {name: getattr(session, name) for name in (*PLAIN, *INSTANTS)}
    taken["orchestrator"] = orchestrator_id
    return taken


def freeze(taken: Snapshot) -> Snapshot:
    """The snapshot as JSON can hold it."""
    return {name: zulu(value) if isinstance(value, datetime) else value for name, value in taken.items()}


def thaw(frozen: Snapshot) -> Snapshot:
    """The snapshot that was frozen; wei survive because JSON integers have any length."""
    taken = dict(frozen)
    for name in INSTANTS:
        if taken[name] is not None:
            taken[name] = datetime.fromisoformat(taken[name])
    return taken
