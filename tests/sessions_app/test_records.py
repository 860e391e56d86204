"""The session record."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.money import wei_from_eth
from sessions_app.records import COLUMNS, SessionRecord, record

AT = datetime(2026, 11, 20, 11, 57, 55, 879061, tzinfo=UTC)


def a_row(**values: Any) -> dict[str, Any]:
    return {
        "session_id": "s1",
        "generation": 2,
        "orchestrator": "orch-a",
        "upstream_addr": "203.0.113.7",
        "upstream_port": 8080,
        "edge_id": "edge-a",
        "streamer_id": None,
        "started_at": datetime(2026, 11, 20, 11, 0, tzinfo=UTC),
        "last_seen_at": AT,
        "ended_at": None,
        "last_billed_at": AT,
        "billed_ms": 3091,
        "billed_wei": wei_from_eth(Decimal("0.00003091")),
        "last_credited_wei": 0,
        "heartbeat_count": 4,
        "last_event": "heartbeat",
        "updated_at": AT,
        **values,
    }


def test_a_record_has_the_contracts_fields_in_the_contracts_order_and_spelling() -> None:
    assert list(record(a_row()).items()) == [
        ("session_id", "s1"),
        ("orchestrator_id", "orch-a"),
        ("upstream_addr", "203.0.113.7"),
        ("upstream_port", 8080),
        ("edge_id", "edge-a"),
        ("streamer_id", None),
        ("started_at", "2026-11-20T11:00:00Z"),
        ("last_seen_at", "2026-11-20T11:57:55.879061Z"),
        ("ended_at", None),
        ("last_billed_at", "2026-11-20T11:57:55.879061Z"),
        ("billed_ms", 3091),
        ("billed_eth", "0.00003091"),
        ("last_credited_eth", "0"),
        ("heartbeat_count", 4),
        ("last_event", "heartbeat"),
        ("updated_at", "2026-11-20T11:57:55.879061Z"),
        ("generation", 2),
    ]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"orchestrator": None, "edge_id": None, "streamer_id": "cam-1", "ended_at": AT},
        {"billed_wei": Decimal(10**30), "last_credited_wei": Decimal(1)},
        {"upstream_addr": "2001:db8::1"},
    ],
)
def test_the_fast_record_agrees_with_the_documented_one(values: dict[str, Any]) -> None:
    row = a_row(**values)

    documented = SessionRecord(
        orchestrator_id=row["orchestrator"],
        billed_eth=int(row["billed_wei"]),
        last_credited_eth=int(row["last_credited_wei"]),
        **{name: row[name] for name in COLUMNS if not name.endswith("_wei")},
    )

    assert list(record(row).items()) == list(documented.model_dump(mode="json").items())


def test_an_address_is_spelled_canonically_whatever_the_database_says() -> None:
    assert record(a_row(upstream_addr="2001:db8::102:304"))["upstream_addr"] == "2001:db8::102:304"
    assert record(a_row(upstream_addr="::ffff:192.0.2.1"))["upstream_addr"] == "192.0.2.1"
