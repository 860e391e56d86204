"""Statistics: what a window of days adds up to."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from billing import kinds
from billing.kinds import Column, Line, Meaning
from billing.models import Kind
from billing.services import ledger, stats, tokens
from tests.billing.books import NOON, adjustment, commit, host, segment

pytestmark = pytest.mark.django_db

TODAY = NOON.date()


def test_each_day_of_the_window_is_there_oldest_first() -> None:
    statistics = stats.for_orchestrator(host(), days=30, now=NOON)

    days = list(statistics.daily)
    assert (days[0], days[-1], len(days)) == (date(2026, 10, 22), TODAY, 30)
    assert statistics.total == stats.Sums()
    assert statistics.balance_wei == 0


def test_a_week_in_numbers() -> None:
    orchestrator = host()
    yesterday = NOON - timedelta(days=1)
    commit(
        segment(orchestrator, 100, "s:1", at=yesterday),
        segment(orchestrator, 50, "s:2"),
        segment(orchestrator, 25, "s:3"),
        adjustment(orchestrator, -40, "a:1"),
        adjustment(orchestrator, 10, "a:2"),
    )

    statistics = stats.for_orchestrator(orchestrator, days=7, now=NOON)

    assert statistics.daily[yesterday.date()] == stats.Sums(credits=100, session=100, net_delta=100)
    assert statistics.daily[TODAY] == stats.Sums(credits=85, session=75, adjustments=-30, net_delta=45)
    assert statistics.total == stats.Sums(credits=185, session=175, adjustments=-30, net_delta=145)
    assert statistics.balance_wei == 145


def test_days_are_utc_days_and_the_window_ends_with_today() -> None:
    orchestrator = host()
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    moments = {
        "before": midnight - timedelta(days=1, microseconds=1),
        "first": midnight - timedelta(days=1),
        "last of yesterday": midnight - timedelta(microseconds=1),
        "today": midnight,
        "late": midnight + timedelta(days=1, microseconds=-1),
        "tomorrow": midnight + timedelta(days=1),
    }
    commit(*(segment(orchestrator, 10**n, name, at=at) for n, (name, at) in enumerate(moments.items())))

    statistics = stats.for_orchestrator(orchestrator, days=2, now=NOON)

    assert [sums.session for sums in statistics.daily.values()] == [110, 11_000]


def test_a_late_event_counts_on_the_day_it_was_served() -> None:
    orchestrator = host()
    commit(segment(orchestrator, 7, "s:1", at=NOON - timedelta(days=3)))

    statistics = stats.for_orchestrator(orchestrator, days=7, now=NOON)

    assert [sums.session for sums in statistics.daily.values()] == [0, 0, 0, 7, 0, 0, 0]


def test_a_reversal_takes_from_its_column_and_not_from_credits() -> None:
    orchestrator = host()
    (entry,) = commit(segment(orchestrator, 100, "s:1"))
    ledger.reverse(entry, key="r:1", reason="", actor="eve", effective_at=NOON)

    total = stats.for_orchestrator(orchestrator, days=1, now=NOON).total

    assert total == stats.Sums(credits=100, session=0, net_delta=0)


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [
        (Meaning(Line.CREDIT, Column.WORKLOAD), stats.Sums(credits=70, workload=50, net_delta=50)),
        (Meaning(Line.CREDIT, Column.PASSIVE), stats.Sums(credits=70, passive=50, net_delta=50)),
        (Meaning(Line.CREDIT, None), stats.Sums(credits=70, net_delta=50)),
        (Meaning(Line.SET_BALANCE, Column.PAYOUTS), stats.Sums(payouts=-50, net_delta=50)),
    ],
)
def test_a_kind_counts_in_the_column_that_its_meaning_names(
    monkeypatch: pytest.MonkeyPatch, meaning: Meaning, expected: stats.Sums
) -> None:
    orchestrator = host()
    commit(adjustment(orchestrator, 70, "k:1"), adjustment(orchestrator, -20, "k:2"))
    monkeypatch.setattr(stats, "MEANINGS", {**kinds.MEANINGS, Kind.ADJUSTMENT: meaning})

    assert stats.for_orchestrator(orchestrator, days=1, now=NOON).total == expected


def test_other_hosts_do_not_count() -> None:
    anna, bert = host("anna", 1), host("bert", 2)
    commit(segment(anna, 1, "s:1"), segment(bert, 2, "s:2"))

    assert stats.for_orchestrator(anna, days=1, now=NOON).total.credits == 1


def test_statistics_cost_the_same_whatever_they_hold() -> None:
    orchestrator = host()

    def cost(days: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            stats.for_orchestrator(orchestrator, days=days, now=NOON)
        return len(queries)

    few = cost(1)
    commit(*(segment(orchestrator, 1, f"s:{n}", at=NOON - timedelta(hours=n)) for n in range(300)))

    assert few == cost(365) == 2


# --- Over HTTP ------------------------------------------------------------------------------------


def read(path: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
    return Client(headers=headers or {"X-Admin-Token": "test-viewer-token"}).get(path, query)


def test_the_answer_has_the_contracts_fields(settings: Settings) -> None:
    orchestrator = host()
    now = datetime.now(UTC)
    commit(segment(orchestrator, 30_910_000_000_000, "s:1", at=now))

    answer = read("/api/orchestrators/orch-a/stats", days=2).json()

    daily = answer.pop("daily")
    zeros = {f"total_{name}_eth": "0" for name in ("payouts", "workload", "adjustments", "passive")}
    earned = {f"total_{name}_eth": "0.00003091" for name in ("credits", "session", "net_delta")}
    assert answer == {
        "orchestrator_id": "orch-a",
        "balance_eth": "0.00003091",
        "credit_unit": "eth",
        "days": 2,
        **zeros,
        **earned,
        "session_credit_eth_per_minute": "0.0006",
        "passive_credit_eth_per_minute": "0",
        "payout_strategy": "eth_transfer",
    }
    assert [day["date"] for day in daily] == [str(now.date() - timedelta(days=1)), str(now.date())]
    assert daily[1] == {
        "date": str(now.date()),
        "credits_eth": "0.00003091",
        "payouts_eth": "0",
        "session_eth": "0.00003091",
        "workload_eth": "0",
        "adjustments_eth": "0",
        "net_delta_eth": "0.00003091",
        "passive_eth": "0",
    }


def test_an_orchestrator_reads_its_own_statistics_with_its_token() -> None:
    orchestrator = host()
    minted = tokens.mint(orchestrator, rotate=False, now=datetime.now(UTC))

    answer = read("/api/orchestrators/me/stats", {"Authorization": f"Bearer {minted.secret}"})

    assert answer.status_code == 200
    assert (answer.json()["orchestrator_id"], answer.json()["days"]) == ("orch-a", 30)


def test_without_a_token_there_are_no_statistics() -> None:
    mine = read("/api/orchestrators/me/stats", {"X-Admin-Token": "test-admin-token"})
    theirs = read("/api/orchestrators/orch-a/stats", {"X-Admin-Token": "wrong"})

    assert (mine.status_code, mine.json()) == (401, {"detail": "Orchestrator token required"})
    assert (theirs.status_code, theirs.json()) == (401, {"detail": "Viewer token required"})


def test_statistics_of_nobody_are_404() -> None:
    response = read("/api/orchestrators/nobody/stats")

    assert (response.status_code, response.json()) == (404, {"detail": "Not found"})


@pytest.mark.parametrize("days", ["0", "366", "x"])
def test_a_window_outside_1_to_365_days_is_422(days: str) -> None:
    host()

    assert read("/api/orchestrators/orch-a/stats", days=days).status_code == 422
