"""Proof hashes: a segment's facts, hashed so that anyone who knows them can check them."""

import hashlib
import json
from datetime import datetime

from core.timestamps import zulu


def segment_hash(
    *,
    session_id: str,
    segment_index: int,
    orchestrator_id: str,
    started_at: datetime,
    ended_at: datetime,
    duration_ms: int,
    edge_id: str | None,
    streamer_id: str | None,
) -> str:
    """`sha256:` and the hex SHA-256 of the canonical JSON of contract section 4.5.

    Canonical: keys sorted, separators without spaces, everything outside ASCII escaped. `streamer_id`
    takes part only when it is known.
    """
    facts: dict[str, object] = {
        "duration_ms": duration_ms,
        "edge_id": edge_id,
        "orchestrator_id": orchestrator_id,
        "segment_end": zulu(ended_at),
        "segment_index": segment_index,
        "segment_start": zulu(started_at),
        "session_id": session_id,
    }
    if streamer_id is not None:
        facts["streamer_id"] = streamer_id
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
