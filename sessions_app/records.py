"""The session record: how one generation of a session looks on the wire.

Two spellings of the same thing: `record` builds it from column values on paths that answer thousands of
sessions a second, `SessionRecord` describes it for readers of the API. A test holds them together.
"""

from collections.abc import Mapping
from typing import Any

from core.money import eth_from_wei
from core.net import normalise_ip
from core.timestamps import zulu
from core.wire import Eth, Output, ZuluTime

COLUMNS = (
    "session_id",
    "generation",
    "upstream_addr",
    "upstream_port",
    "edge_id",
    "streamer_id",
    "started_at",
    "last_seen_at",
    "ended_at",
    "last_billed_at",
    "billed_ms",
    "billed_wei",
    "last_credited_wei",
    "heartbeat_count",
    "last_event",
    "updated_at",
)
"""What `record` reads of a `StreamSession`, besides `orchestrator`: the host's id on the wire, or None."""


class SessionRecord(Output):
    """One generation of a stream session. `last_credited_eth` is what the answering call credited."""

    session_id: str
    orchestrator_id: str | None
    upstream_addr: str
    upstream_port: int
    edge_id: str | None
    streamer_id: str | None
    started_at: ZuluTime
    last_seen_at: ZuluTime
    ended_at: ZuluTime | None
    last_billed_at: ZuluTime
    billed_ms: int
    billed_eth: Eth
    last_credited_eth: Eth
    heartbeat_count: int
    last_event: str
    updated_at: ZuluTime
    generation: int


def record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the column values of a session, and its `orchestrator`, as the wire has them."""
    ended_at = row["ended_at"]
    return {
        "session_id": row["session_id"],
        "orchestrator_id": row["orchestrator"],
        # PostgreSQL spells a few IPv6 forms in its own way.
        "upstream_addr": normalise_ip(row["upstream_addr"]),
        "upstream_port": row["upstream_port"],
        "edge_id": row["edge_id"],
        "streamer_id": row["streamer_id"],
        "started_at": zulu(row["started_at"]),
        "last_seen_at": zulu(row["last_seen_at"]),
        "ended_at": None if ended_at is None else zulu(ended_at),
        "last_billed_at": zulu(row["last_billed_at"]),
        "billed_ms": row["billed_ms"],
        # A raw cursor gives NUMERIC as Decimal.
        "billed_eth": eth_from_wei(int(row["billed_wei"])),
        "last_credited_eth": eth_from_wei(int(row["last_credited_wei"])),
        "heartbeat_count": row["heartbeat_count"],
        "last_event": row["last_event"],
        "updated_at": zulu(row["updated_at"]),
        "generation": row["generation"],
    }
