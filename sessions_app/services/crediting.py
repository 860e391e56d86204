"""What a closed segment is worth, and the ledger posting that says so."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from billing import chart
from billing.models import Kind, Orchestrator
from billing.services import rates
from billing.services.ledger import Posting
from core.timestamps import zulu
from sessions_app.machine import Closing
from sessions_app.models import Segment, StreamSession
from sessions_app.proofs import segment_hash


class ProbeNeeded(Exception):
    """Earners of closed segments must be asked whether they are awake; no transaction may wait for that."""

    def __init__(self, orchestrator_pks: Collection[int]) -> None:
        self.orchestrator_pks = frozenset(orchestrator_pks)
        super().__init__(self.orchestrator_pks)


@dataclass(frozen=True, slots=True)
class Settled:
    """A segment that closed, and the posting that credits it; None says that it is not credited."""

    segment: Segment
    posting: Posting | None


def settle(
    closing: Closing,
    session: StreamSession,
    earner: Orchestrator | None,
    *,
    gate: Callable[[Orchestrator], str],
) -> Settled:
    """Price a closed segment. An uncredited one says why, and is never paid later.

    :param gate: says why the credit gate refuses an earner, or nothing.
    """
    amount = rates.price(
        "session",
        started_at=closing.started_at,
        ended_at=closing.ended_at,
        duration_ms=closing.duration_ms,
    )
    refusal = _refusal(earner, amount, gate)
    segment = Segment(
        session=session,
        segment_index=closing.segment_index,
        orchestrator=earner,
        trigger=closing.trigger,
        started_at=closing.started_at,
        ended_at=closing.ended_at,
        duration_ms=closing.duration_ms,
        amount_wei=0 if refusal else amount,
        edge_id=closing.edge_id,
        streamer_id=closing.streamer_id,
        proof_hash=_proof(closing, session, earner),
        uncredited_reason=refusal,
    )
    if refusal or earner is None:
        return Settled(segment, None)
    posting = Posting(
        key=f"session:{session.session_id}:{closing.generation}:{closing.segment_index}",
        kind=Kind.SESSION_SEGMENT,
        legs={chart.platform("compute"): -amount, chart.owed(earner.pk): amount},
        effective_at=closing.ended_at,
        reason="session_time",
        metadata=_metadata(closing, session, segment),
        orchestrator_id=earner.pk,
    )
    return Settled(segment, posting)


def _refusal(earner: Orchestrator | None, amount_wei: int, gate: Callable[[Orchestrator], str]) -> str:
    """Why a segment is not credited; empty when it is."""
    if earner is None:
        return "unattributed"
    if earner.denylisted:
        return "denylisted"
    if rates.session_rate() <= 0:
        return "no_rate"
    if amount_wei < 1:
        return "below_one_wei"
    return gate(earner)


def _proof(closing: Closing, session: StreamSession, earner: Orchestrator | None) -> str | None:
    if earner is None:
        return None
    return segment_hash(
        session_id=session.session_id,
        segment_index=closing.segment_index,
        orchestrator_id=earner.orchestrator_id,
        started_at=closing.started_at,
        ended_at=closing.ended_at,
        duration_ms=closing.duration_ms,
        edge_id=closing.edge_id,
        streamer_id=closing.streamer_id,
    )


def _metadata(closing: Closing, session: StreamSession, segment: Segment) -> dict[str, Any]:
    """The contract's keys, in its order; numbers that older readers expect as strings stay strings."""
    metadata: dict[str, Any] = {
        "session_id": session.session_id,
        "event": closing.event,
        "trigger": closing.trigger,
        "segment_index": str(closing.segment_index),
        "segment_start": zulu(closing.started_at),
        "segment_end": zulu(closing.ended_at),
        "duration_ms": str(closing.duration_ms),
        "proof_hash": segment.proof_hash,
        "upstream_addr": closing.upstream_addr,
        "upstream_port": closing.upstream_port,
        "edge_id": closing.edge_id,
        "credit_unit": settings.CREDIT_UNIT,
    }
    if closing.streamer_id is not None:
        metadata["streamer_id"] = closing.streamer_id
    if closing.generation > 1:
        metadata["generation"] = str(closing.generation)
    return metadata
