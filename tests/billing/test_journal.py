"""The journal: lines of entries, and their list over HTTP."""

import json
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing import chart, kinds
from billing.kinds import Column, Line, Meaning
from billing.models import Entry, Kind
from billing.services import journal, ledger
from tests.billing.books import NOON, adjustment, commit, host, segment

pytestmark = pytest.mark.django_db

MICRO = 10**12  # wei


def read(token: str = "test-viewer-token", **query: Any) -> Any:
    return Client(headers={"X-Admin-Token": token}).get("/api/ledger/events", query)


def events(**query: Any) -> list[dict[str, Any]]:
    return list(read(**query).json()["events"])


def test_a_line_has_its_keys_in_the_contracts_order() -> None:
    metadata = {
        "session_id": "s1",
        "event": "end",
        "trigger": "end",
        "segment_index": "0",
        "segment_start": "2026-11-20T11:57:52.783785Z",
        "segment_end": "2026-11-20T11:57:55.875073Z",
        "duration_ms": "3091",
        "proof_hash": "sha256:8c2cafe260a61d055e39514ee1e81be4be58c02da9948de4b2de3cb7ac4d054d",
        "upstream_addr": "127.0.0.11",
        "upstream_port": 8888,
        "edge_id": "edge-a",
        "credit_unit": "eth",
    }
    (entry,) = commit(segment(host(), 30_910_000_000_000, "session:s1:1:0", metadata=metadata))

    (line,) = journal.lines(journal.journalled())

    timestamp = entry.recorded_at.isoformat()
    assert json.dumps(line) == json.dumps(
        {
            "timestamp": timestamp,
            "event": "credit",
            "orchestrator_id": "orch-a",
            "amount": "0.00003091",
            "balance": "0.00003091",
            "delta": "0.00003091",
            "reason": "session_time",
            "metadata": metadata,
        }
    )


def test_a_line_without_metadata_has_no_such_key() -> None:
    commit(segment(host(), MICRO, "s:1"))

    (line,) = journal.lines(journal.journalled())

    assert list(line) == ["timestamp", "event", "orchestrator_id", "amount", "balance", "delta", "reason"]


def test_balances_are_as_of_each_entry() -> None:
    anna, bert = host("anna", 1), host("bert", 2)
    commit(segment(anna, 2 * MICRO, "s:1"), segment(bert, 5 * MICRO, "s:2"), segment(anna, 3 * MICRO, "s:3"))
    commit(adjustment(anna, -4 * MICRO, "a:1"))

    assert [(line["orchestrator_id"], line["delta"], line["balance"]) for line in events()] == [
        ("anna", "-0.000004", "0.000001"),
        ("anna", "0.000003", "0.000005"),
        ("bert", "0.000005", "0.000005"),
        ("anna", "0.000002", "0.000002"),
    ]


def test_the_balance_counts_what_is_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    orchestrator = host()
    owed, in_flight = chart.owed(orchestrator.pk), chart.in_flight(orchestrator.pk)

    def move(key: str, legs: dict[chart.Place, int]) -> Entry:
        return ledger.post(
            key=key, kind=Kind.ADJUSTMENT, legs=legs, effective_at=NOON, orchestrator_id=orchestrator.pk
        )

    with transaction.atomic():
        earned = ledger.post_many([segment(orchestrator, 10, "s:1")])[0]
        held = move("p:held", {owed: -7, in_flight: 7})
        more = ledger.post_many([segment(orchestrator, 1, "s:2")])[0]
        paid = move("p:paid", {in_flight: -7, chart.platform("paid_out"): 7})

    effects = journal.effects([earned, held, more, paid])
    assert [(effects[entry.pk].delta, effects[entry.pk].balance) for entry in (earned, held, more, paid)] == [
        (10, 10),
        (0, 10),
        (1, 11),
        (-7, 4),
    ]


def test_a_kind_that_sets_the_balance_shows_the_balance_as_its_amount(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orchestrator = host()
    commit(segment(orchestrator, 10 * MICRO, "s:1"))
    commit(adjustment(orchestrator, -4 * MICRO, "p:1"))
    payout = Meaning(Line.SET_BALANCE, Column.PAYOUTS)
    monkeypatch.setattr(journal, "MEANINGS", {**kinds.MEANINGS, Kind.ADJUSTMENT: payout})

    line = events()[0]

    assert (line["event"], line["amount"], line["balance"], line["delta"]) == (
        "set_balance",
        "0.000006",
        "0.000006",
        "-0.000004",
    )


def test_a_reversal_is_a_line_of_its_own() -> None:
    (entry,) = commit(segment(host(), MICRO, "s:1", metadata={"session_id": "s"}))
    ledger.reverse(entry, key="s:1:reversed", reason="session_time", actor="eve", effective_at=NOON)

    line = events()[0]

    assert (line["event"], line["delta"], line["balance"]) == ("credit", "-0.000001", "0")
    assert line["metadata"] == {"session_id": "s", "reversal": True}


def test_entries_about_nobody_make_no_line() -> None:
    legs = {chart.platform("adjustments"): -1, chart.platform("compute"): 1}
    with transaction.atomic():
        ledger.post(key="k", kind=Kind.ADJUSTMENT, legs=legs, effective_at=NOON)

    assert events() == []


# --- The list -------------------------------------------------------------------------------------


def test_the_list_is_newest_first_and_optional_fields_are_present() -> None:
    orchestrator = host()
    commit(segment(orchestrator, MICRO, "s:1"), segment(orchestrator, 2 * MICRO, "s:2"))

    answer = read().json()

    assert [event["delta"] for event in answer["events"]] == ["0.000002", "0.000001"]
    assert answer["events"][0]["metadata"] is None
    assert answer["next_cursor"] is None


def test_pages_continue_where_the_last_one_ended_although_entries_arrive() -> None:
    orchestrator = host()
    commit(*(segment(orchestrator, number * MICRO, f"s:{number}") for number in range(1, 6)))
    first = read(limit=2).json()
    commit(segment(orchestrator, 9 * MICRO, "s:9"))

    second = read(limit=2, cursor=first["next_cursor"]).json()
    third = read(limit=2, cursor=second["next_cursor"]).json()

    deltas = [[event["delta"] for event in page["events"]] for page in (first, second, third)]
    assert deltas == [["0.000005", "0.000004"], ["0.000003", "0.000002"], ["0.000001"]]
    assert third["next_cursor"] is None


def test_the_list_can_be_one_orchestrators() -> None:
    anna, bert = host("anna", 1), host("bert", 2)
    commit(segment(anna, 1, "s:1"), segment(bert, 2, "s:2"))

    assert [event["orchestrator_id"] for event in events(orchestrator_id="bert")] == ["bert"]
    assert events(orchestrator_id="nobody") == []


def test_a_cursor_is_bound_to_its_filter() -> None:
    orchestrator = host()
    commit(segment(orchestrator, 1, "s:1"), segment(orchestrator, 1, "s:2"))
    cursor = read(limit=1).json()["next_cursor"]

    for query in ({"orchestrator_id": "orch-a", "cursor": cursor}, {"cursor": "nonsense"}):
        response = read(**query)
        assert (response.status_code, response.json()) == (400, {"detail": "Invalid cursor"})


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many", "1.5"])
def test_a_limit_outside_1_to_1000_is_422(limit: str) -> None:
    assert read(limit=limit).status_code == 422


def test_viewers_and_admins_may_read_and_nobody_else() -> None:
    assert read(token="test-admin-token").status_code == 200
    response = read(token="wrong")
    assert (response.status_code, response.json()) == (401, {"detail": "Viewer token required"})


def test_a_long_page_costs_as_many_queries_as_a_short_one() -> None:
    hosts = [host(f"orch-{number}", number) for number in range(20)]
    commit(*(segment(hosts[number % 20], 1, f"s:{number}") for number in range(220)))

    def cost(**query: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert len(events(**query)) == query["limit"]
        return len(queries)

    assert cost(limit=1) == cost(limit=200) == 2
    assert cost(limit=1, orchestrator_id="orch-7") == cost(limit=11, orchestrator_id="orch-7") == 3
