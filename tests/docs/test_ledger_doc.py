"""`docs/ledger.md` against the code: its tables are parsed, and the kinds posted for real."""

import re
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from billing import chart
from billing.chart import Place
from billing.kinds import MEANINGS
from billing.models import Entry, Kind
from billing.services import adjustments
from core.money import cost_wei
from tests.factories import OrchestratorFactory

pytestmark = pytest.mark.django_db

RATE = Fraction(6 * 10**14)  # 0.0006 ETH per minute
PAGE = Path(__file__).resolve().parents[2] / "docs" / "ledger.md"
Row = dict[str, str]


def table(heading: str) -> list[Row]:
    """The rows of the table below a heading."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line[:1] == "|"
    ]
    head, _, *body = rows
    return [dict(zip(head, row, strict=True)) for row in body]


def code(cell: str) -> list[str]:
    """The words of a cell that are set as code."""
    return re.findall(r"`([^`]+)`", cell)


def template(address: str) -> str:
    return re.sub(r":\d+:", ":<pk>:", address)


def legs(cell: str) -> set[tuple[str, str]]:
    """Sign and account of each leg in a cell."""
    return set(re.findall(r"([+-]) `([^`]+)`", cell))


def signs(entry: Entry) -> set[tuple[str, str]]:
    return {
        ("+" if leg.amount > 0 else "-", template(leg.account.address))
        for leg in entry.legs.select_related("account")
    }


KINDS = {code(row["kind"])[0]: row for row in table("Kinds of entries")}


def test_every_kind_has_its_row_and_no_row_is_left_over() -> None:
    assert set(KINDS) == {kind.value for kind in Kind} == {kind.value for kind in MEANINGS}


@pytest.mark.parametrize("kind", list(Kind))
def test_a_row_says_what_its_kind_means(kind: Kind) -> None:
    row, meaning = KINDS[kind.value], MEANINGS[kind]

    assert code(row["journal"]) == ([meaning.line.value] if meaning.line else [])
    assert code(row["statistics"]) == ([meaning.column.value] if meaning.column else [])
    assert row["may overdraw"] == ("yes" if meaning.may_overdraw else "no")


def _segment() -> Entry:
    """What an edge reports, through the product's front door."""
    ended_at = timezone.now()
    orchestrator = OrchestratorFactory.create()
    edge = Client(headers={"X-Session-Token": "test-reporter-token"})
    moments = {"start": ended_at - timedelta(milliseconds=3091), "end": ended_at}
    for event, occurred_at in moments.items():
        response = edge.post(
            "/api/sessions/events",
            {
                "session_id": "s:1",
                "event": event,
                "occurred_at": occurred_at.isoformat(),
                "orchestrator_id": orchestrator.orchestrator_id,
                "upstream_addr": "127.0.0.11",
                "upstream_port": 8888,
            },
            content_type="application/json",
        )
        assert response.status_code == 200, response.content
    entry = Entry.objects.get()
    assert entry.effective_at == ended_at
    return entry


def _adjustment() -> Entry:
    orchestrator = OrchestratorFactory.create()
    return adjustments.post(
        orchestrator_id=orchestrator.orchestrator_id,
        amount_wei=5,
        reason=None,
        reference_workload_id=None,
        notes=None,
        idempotency_key="k",
        actor="eve",
        now=timezone.now(),
    ).entry


POSTED = {Kind.SESSION_SEGMENT: _segment, Kind.ADJUSTMENT: _adjustment}
KEYS = {
    "session:<session id>:<generation>:<segment>": r"session:.+:\d+:\d+",
    "adjustment:<32 hex digits>": r"adjustment:[0-9a-f]{32}",
}


@pytest.mark.parametrize("kind", list(Kind))
def test_an_entry_of_each_kind_is_as_its_row_says(kind: Kind) -> None:
    row = KINDS[kind.value]

    entry = POSTED[kind]()

    assert entry.kind == kind.value
    assert signs(entry) == legs(row["legs"])
    assert entry.reason in code(row["reason"])
    assert re.fullmatch(KEYS[code(row["idempotency key"])[0]], entry.key)


def _places() -> Iterator[Place]:
    yield from (chart.owed(7), chart.in_flight(7))
    yield from (chart.platform("compute"), chart.platform("adjustments"))


def test_the_chart_lists_every_account_with_its_rules() -> None:
    listed = {
        (
            code(row["account"])[0],
            code(row["asset"])[0],
            row["balance"],
            row["lowest balance"].partition(",")[0],
        )
        for row in table("Chart of accounts")
    }

    assert listed == {
        (
            template(place.address),
            place.asset.value,
            "kept" if place.kept else "sum of legs",
            "none" if place.floor is None else str(place.floor),
        )
        for place in _places()
    }


def test_the_example_adds_up() -> None:
    balance, total, amounts = 0, 0, []
    for row in table("An example"):
        amount = int(row["amount (wei)"].replace(",", ""))
        amounts.append(amount)
        total += amount
        if row["balance after"]:
            balance += amount
            assert int(row["balance after"].replace(",", "")) == balance

    from_the_rate = [cost_wei(ms, rate_wei_per_minute=RATE) for ms in (3_091, 2_400_000)]
    assert [amounts[1], amounts[3]] == from_the_rate
    assert total == 0
