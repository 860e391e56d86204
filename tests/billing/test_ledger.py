"""Posting: what one call writes, what it refuses, and what it answers when it is called again."""

from contextlib import suppress

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from billing import chart
from billing.models import Account, Asset, Entry, Kind, Leg
from billing.services import ledger
from billing.services.ledger import (
    AlreadyReversed,
    BalanceOutOfRange,
    IdempotencyConflict,
    InsufficientFunds,
    Posting,
)
from core.money import MAX_WEI
from tests.billing.books import COMPUTE, NOON, adjustment, balance, commit, host, owed, page, segment

pytestmark = pytest.mark.django_db


def test_a_segment_moves_value_from_compute_to_what_we_owe() -> None:
    orchestrator = host()

    (entry,) = commit(segment(orchestrator, 30_910_000_000_000, "session:s1:1:0"))

    assert page([entry]) == [
        ("session:s1:1:0", "platform:compute", -30_910_000_000_000, None),
        ("session:s1:1:0", f"orchestrator:{orchestrator.pk}:owed", 30_910_000_000_000, 30_910_000_000_000),
    ]
    assert owed(orchestrator) == 30_910_000_000_000


def test_a_day_in_the_books_of_two_hosts() -> None:
    anna, bert = host("anna", 1), host("bert", 2)

    entries = [
        *commit(segment(anna, 100, "s:1"), segment(bert, 40, "s:2"), segment(anna, 60, "s:3")),
        *commit(adjustment(anna, -200, "adjustment:1")),
        *commit(segment(anna, 50, "s:4")),
    ]

    in_words = [
        (key, account.split(":", 1)[1], amount, after) for key, account, amount, after in page(entries)
    ]
    assert in_words == [
        ("s:1", "compute", -100, None),
        ("s:1", f"{anna.pk}:owed", 100, 100),
        ("s:2", "compute", -40, None),
        ("s:2", f"{bert.pk}:owed", 40, 40),
        ("s:3", "compute", -60, None),
        ("s:3", f"{anna.pk}:owed", 60, 160),
        ("adjustment:1", "adjustments", 200, None),
        ("adjustment:1", f"{anna.pk}:owed", -200, -40),
        ("s:4", "compute", -50, None),
        ("s:4", f"{anna.pk}:owed", 50, 10),
    ]


def test_a_reversal_is_the_mirror_image() -> None:
    orchestrator = host()
    (entry,) = commit(segment(orchestrator, 100, "s:1", metadata={"session_id": "s"}))

    mirror = ledger.reverse(entry, key="s:1:reversed", reason="wrong host", actor="eve", effective_at=NOON)

    assert page([mirror]) == [
        ("s:1:reversed", "platform:compute", 100, None),
        ("s:1:reversed", f"orchestrator:{orchestrator.pk}:owed", -100, 0),
    ]
    assert mirror.reverses_id == entry.pk
    assert mirror.metadata == {"session_id": "s", "reversal": True}
    assert (mirror.kind, mirror.reason, mirror.actor) == (entry.kind, "wrong host", "eve")


def test_a_reversal_may_leave_a_debt() -> None:
    orchestrator = host()
    (entry,) = commit(segment(orchestrator, 100, "s:1"))
    commit(adjustment(orchestrator, -80, "adjustment:1"))

    ledger.reverse(entry, key="s:1:reversed", reason="", actor="eve", effective_at=NOON)

    assert owed(orchestrator) == -80


def test_an_entry_is_reversed_once_and_the_same_key_gets_the_same_reversal() -> None:
    (entry,) = commit(segment(host(), 100, "s:1"))
    first = ledger.reverse(entry, key="r:1", reason="", actor="eve", effective_at=NOON)

    again = ledger.reverse(entry, key="r:1", reason="", actor="eve", effective_at=NOON)
    with pytest.raises(AlreadyReversed):
        ledger.reverse(entry, key="r:2", reason="", actor="eve", effective_at=NOON)

    assert again.pk == first.pk
    assert Entry.objects.filter(reverses=entry).count() == 1


def test_a_key_that_wrote_a_plain_entry_cannot_name_a_reversal_with_the_same_legs() -> None:
    orchestrator = host()
    (entry,) = commit(adjustment(orchestrator, 100, "a:1"))
    commit(adjustment(orchestrator, -100, "a:2"))

    with pytest.raises(IdempotencyConflict), transaction.atomic():
        ledger.reverse(entry, key="a:2", reason="", actor="eve", effective_at=NOON)


def test_one_entry_may_move_several_assets_each_balanced() -> None:
    customer = chart.Place("customer:1:credits", Asset.CREDIT, kept=True, floor=0)
    legs = {
        chart.platform("credits_sold", Asset.CREDIT): -500,
        customer: 500,
        chart.platform("cash", Asset.USD): 4_99,
        chart.platform("sales", Asset.USD): -4_99,
    }

    with transaction.atomic():
        ledger.post(key="payment:1", kind=Kind.ADJUSTMENT, legs=legs, effective_at=NOON)

    assert balance("customer:1:credits", Asset.CREDIT) == 500
    assert balance("platform:cash", Asset.USD) is None


def test_the_same_address_counts_each_asset_apart() -> None:
    wei, cents = chart.platform("adjustments", Asset.ETH), chart.platform("adjustments", Asset.USD)

    with transaction.atomic():
        ledger.post(
            key="fx:1",
            kind=Kind.ADJUSTMENT,
            legs={wei: -7, COMPUTE: 7, cents: -3, chart.platform("cash", Asset.USD): 3},
            effective_at=NOON,
        )

    assert Account.objects.filter(address="platform:adjustments").count() == 2


def test_amounts_of_256_bits_are_exact() -> None:
    orchestrator = host()

    commit(adjustment(orchestrator, MAX_WEI, "a:1"))
    commit(adjustment(orchestrator, -MAX_WEI, "a:2"), adjustment(orchestrator, -MAX_WEI, "a:3"))

    assert owed(orchestrator) == -MAX_WEI


def test_a_balance_beyond_256_bits_is_refused() -> None:
    orchestrator = host()
    commit(adjustment(orchestrator, MAX_WEI, "a:1"))

    with pytest.raises(BalanceOutOfRange), transaction.atomic():
        ledger.post_many([adjustment(orchestrator, 1, "a:2")])

    assert owed(orchestrator) == MAX_WEI


# --- Idempotency ----------------------------------------------------------------------------------


def test_the_same_key_and_content_returns_the_first_entry() -> None:
    orchestrator = host()
    (first,) = commit(segment(orchestrator, 100, "s:1"))

    (again,) = commit(segment(orchestrator, 100, "s:1"))

    assert again.pk == first.pk
    assert again.recorded_at == first.recorded_at
    assert owed(orchestrator) == 100


@pytest.mark.parametrize("wei", [99, 101, -100])
def test_the_same_key_with_another_amount_is_refused(wei: int) -> None:
    orchestrator = host()
    commit(adjustment(orchestrator, 100, "a:1"))

    with pytest.raises(IdempotencyConflict), transaction.atomic():
        ledger.post_many([adjustment(orchestrator, wei, "a:1")])

    assert owed(orchestrator) == 100


def test_the_same_key_for_another_host_is_refused() -> None:
    commit(segment(host("anna", 1), 100, "s:1"))

    with pytest.raises(IdempotencyConflict), transaction.atomic():
        ledger.post_many([segment(host("bert", 2), 100, "s:1")])


def test_the_same_key_with_another_kind_is_refused() -> None:
    orchestrator = host()
    legs = {COMPUTE: -100, chart.owed(orchestrator.pk): 100}
    commit(segment(orchestrator, 100, "s:1"))

    with pytest.raises(IdempotencyConflict), transaction.atomic():
        ledger.post(
            key="s:1", kind=Kind.ADJUSTMENT, legs=legs, effective_at=NOON, orchestrator_id=orchestrator.pk
        )


def test_a_batch_writes_what_is_new_and_returns_what_is_not_in_its_own_order() -> None:
    orchestrator = host()
    (old,) = commit(segment(orchestrator, 1, "s:old"))

    entries = commit(
        segment(orchestrator, 10, "s:b"), segment(orchestrator, 1, "s:old"), segment(orchestrator, 100, "s:a")
    )

    assert [entry.key for entry in entries] == ["s:b", "s:old", "s:a"]
    assert entries[1].pk == old.pk
    assert owed(orchestrator) == 111


def test_a_key_twice_in_one_batch_writes_one_entry() -> None:
    orchestrator = host()

    first, second = commit(segment(orchestrator, 5, "s:1"), segment(orchestrator, 5, "s:1"))

    assert first.pk == second.pk
    assert owed(orchestrator) == 5


def test_a_key_twice_in_one_batch_with_other_content_refuses_the_batch() -> None:
    orchestrator = host()

    with pytest.raises(IdempotencyConflict), transaction.atomic():
        ledger.post_many([segment(orchestrator, 5, "s:1"), segment(orchestrator, 6, "s:1")])

    assert not Entry.objects.exists()


# --- Refusals -------------------------------------------------------------------------------------


def _withdrawal(orchestrator_pk: int, wei: int, key: str) -> Posting:
    """A kind without the right to overdraw takes from what is owed."""
    return Posting(
        key=key,
        kind=Kind.SESSION_SEGMENT,
        legs={chart.owed(orchestrator_pk): -wei, chart.in_flight(orchestrator_pk): wei},
        effective_at=NOON,
        orchestrator_id=orchestrator_pk,
    )


def test_only_kinds_that_may_overdraw_take_a_balance_below_zero() -> None:
    orchestrator = host()
    commit(segment(orchestrator, 100, "s:1"))

    with pytest.raises(InsufficientFunds), transaction.atomic():
        ledger.post_many([_withdrawal(orchestrator.pk, 101, "w:1")])
    commit(_withdrawal(orchestrator.pk, 100, "w:2"))
    commit(adjustment(orchestrator, -1, "a:1"))

    assert owed(orchestrator) == -1


def test_a_debt_shrinks_by_what_is_earned_even_while_it_stays_a_debt() -> None:
    orchestrator = host()
    commit(adjustment(orchestrator, -100, "a:1"))

    commit(segment(orchestrator, 30, "s:1"))

    assert owed(orchestrator) == -70


def test_nothing_overdraws_an_account_with_a_floor() -> None:
    orchestrator = host()
    legs = {chart.in_flight(orchestrator.pk): -1, chart.platform("adjustments"): 1}

    with pytest.raises(InsufficientFunds), transaction.atomic():
        ledger.post(key="a:1", kind=Kind.ADJUSTMENT, legs=legs, effective_at=NOON)


def test_a_refused_batch_leaves_nothing_even_if_its_caller_goes_on() -> None:
    orchestrator = host()
    batch = [segment(orchestrator, 5, "s:1"), _withdrawal(orchestrator.pk, 6, "w:1")]

    with transaction.atomic():
        try:
            with transaction.atomic():
                ledger.post_many(batch)
        except InsufficientFunds:
            ledger.post_many([segment(orchestrator, 7, "s:2")])

    assert [entry.key for entry in Entry.objects.all()] == ["s:2"]
    assert owed(orchestrator) == 7


@pytest.mark.django_db(transaction=True)
def test_a_caller_who_swallows_a_refusal_cannot_commit_half_an_entry() -> None:
    orchestrator = host()

    with transaction.atomic(), suppress(InsufficientFunds):
        ledger.post_many([_withdrawal(orchestrator.pk, 6, "w:1")])

    assert not Entry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_posting_needs_a_transaction_around_it() -> None:
    with pytest.raises(RuntimeError, match="needs a transaction"):
        ledger.post_many([])


def test_a_posting_that_does_not_balance_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="do not sum to zero"):
        Posting("k", Kind.ADJUSTMENT, {COMPUTE: 1}, NOON)
    with pytest.raises(AssertionError, match="moves nothing"):
        Posting("k", Kind.ADJUSTMENT, {COMPUTE: 0}, NOON)
    with pytest.raises(AssertionError, match="needs legs"):
        Posting("k", Kind.ADJUSTMENT, {}, NOON)


# --- Facts ----------------------------------------------------------------------------------------


def test_legs_repeat_what_sums_are_made_by() -> None:
    (entry,) = commit(segment(host(), 100, "s:1"))

    assert set(Leg.objects.values_list("kind", "effective_at", "asset")) == {(entry.kind, NOON, "ETH")}


def test_entries_of_a_test_run_say_so(settings: Settings) -> None:
    settings.TEST_RUN_ID = "run-7"

    (entry,) = commit(segment(host(), 100, "s:1", metadata={"session_id": "s"}))

    entry.refresh_from_db()
    assert entry.metadata == {"session_id": "s", "test": True, "test_run_id": "run-7"}


def test_an_entry_comes_back_as_it_was_stored() -> None:
    (entry,) = commit(segment(host(), 100, "s:1", metadata={"a": 1}, actor="eve"))

    stored = Entry.objects.get(pk=entry.pk)

    for field in Entry._meta.concrete_fields:
        assert getattr(entry, field.attname) == getattr(stored, field.attname), field.name


# --- Cost -----------------------------------------------------------------------------------------


def _statements(*postings: Posting) -> int:
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        ledger.post_many(postings)
    return sum("SAVEPOINT" not in query["sql"] for query in queries)


def test_a_batch_costs_as_many_statements_as_one_entry() -> None:
    hosts = [host(f"orch-{number}", number) for number in range(50)]
    for orchestrator in hosts:
        commit(segment(orchestrator, 1, f"first:{orchestrator.pk}"))

    one = _statements(segment(hosts[0], 1, "one"))
    many = _statements(*(segment(hosts[number % 50], 1, f"many:{number}") for number in range(500)))

    assert one == many == 3


def test_a_repeated_batch_costs_as_many_statements_as_one_repeated_entry() -> None:
    orchestrator = host()
    batch = [segment(orchestrator, 1, f"s:{number}") for number in range(500)]
    commit(*batch)

    assert _statements(batch[0]) == _statements(*batch) == 4
