"""Proving a segment: its hash, computed again from the facts that are stored."""

from dataclasses import dataclass

from sessions_app.models import Segment
from sessions_app.proofs import segment_hash


@dataclass(frozen=True, slots=True)
class Proof:
    """The hash that was stored when the segment closed, and the one that its facts give now."""

    stored: str | None
    recomputed: str | None

    @property
    def matches(self) -> bool:
        return self.stored is not None and self.stored == self.recomputed


def prove(segment: Segment) -> Proof:
    """Hash a segment's facts again. A segment that no host served has no proof."""
    if segment.orchestrator is None:
        return Proof(segment.proof_hash, None)
    recomputed = segment_hash(
        session_id=segment.session.session_id,
        segment_index=segment.segment_index,
        orchestrator_id=segment.orchestrator.orchestrator_id,
        started_at=segment.started_at,
        ended_at=segment.ended_at,
        duration_ms=segment.duration_ms,
        edge_id=segment.edge_id,
        streamer_id=segment.streamer_id,
    )
    return Proof(segment.proof_hash, recomputed)
