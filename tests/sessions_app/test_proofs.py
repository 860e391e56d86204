"""Proof hashes, against the contract's vectors."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sessions_app.proofs import segment_hash

FACTS: dict[str, Any] = {
    "session_id": "s1",
    "segment_index": 0,
    "orchestrator_id": "orch-a",
    "started_at": datetime(2026, 11, 20, 11, 57, 52, 783785, tzinfo=UTC),
    "ended_at": datetime(2026, 11, 20, 11, 57, 55, 875073, tzinfo=UTC),
    "duration_ms": 3091,
    "edge_id": "edge-a",
    "streamer_id": None,
}


def test_the_contracts_first_vector() -> None:
    assert segment_hash(**FACTS) == (
        "sha256:8c2cafe260a61d055e39514ee1e81be4be58c02da9948de4b2de3cb7ac4d054d"
    )


def test_the_contracts_second_vector_escapes_what_is_not_ascii_and_names_the_streamer() -> None:
    proof = segment_hash(
        session_id="séance-1",
        segment_index=1,
        orchestrator_id="orch-a",
        started_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        ended_at=datetime(2026, 11, 20, 12, 40, tzinfo=UTC),
        duration_ms=2_400_000,
        edge_id=None,
        streamer_id="cam-1",
    )

    assert proof == "sha256:e58b296c0378f73233916c0474aff82d2d0bb6cbb26021f13cfb4964f87b6c61"


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": "s2"},
        {"segment_index": 1},
        {"orchestrator_id": "orch-b"},
        {"started_at": FACTS["ended_at"]},
        {"ended_at": FACTS["started_at"]},
        {"duration_ms": 3092},
        {"edge_id": None},
        {"streamer_id": "cam-1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_fact_can_be_changed_without_changing_the_proof(change: dict[str, Any]) -> None:
    assert segment_hash(**{**FACTS, **change}) != segment_hash(**FACTS)
