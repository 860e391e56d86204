"""Money races: threads on connections of their own, on transactions that really commit."""

from functools import partial

import pytest
from django.db import connection, transaction

from billing import chart
from billing.models import Account, Entry, Kind, Leg
from billing.services import ledger
from billing.services.ledger import AlreadyReversed, IdempotencyConflict, InsufficientFunds, Posting
from tests.billing.books import NOON, adjustment, at_once, commit, host, owed, segment

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_posts_of_one_key_write_one_entry() -> None:
    orchestrator = host()

    (first,), (second,) = at_once(*[partial(commit, segment(orchestrator, 100, "s:1"))] * 2)

    assert first.pk == second.pk
    assert owed(orchestrator) == 100


def test_two_posts_of_one_key_for_two_hosts_write_one_entry_and_refuse_the_other() -> None:
    anna, bert = host("anna", 1), host("bert", 2)

    results = at_once(partial(commit, segment(anna, 100, "s:1")), partial(commit, segment(bert, 100, "s:1")))

    assert sum(isinstance(result, IdempotencyConflict) for result in results) == 1
    assert Entry.objects.count() == 1
    assert sum(account.balance or 0 for account in Account.objects.filter(kept=True)) == 100


def test_a_key_whose_first_writer_gives_up_is_written_by_the_second() -> None:
    orchestrator = host()

    with transaction.atomic():
        ledger.post_many([segment(orchestrator, 100, "s:1")])
        transaction.set_rollback(True)
    commit(segment(orchestrator, 100, "s:1"))

    assert owed(orchestrator) == 100


def test_concurrent_credits_of_one_account_always_sum_exactly() -> None:
    orchestrator = host()

    def work(worker: int) -> None:
        for number in range(20):
            commit(segment(orchestrator, 1 + worker, f"s:{worker}:{number}"))

    assert at_once(*(partial(work, worker) for worker in range(8))) == [None] * 8

    assert owed(orchestrator) == 20 * sum(range(1, 9))
    running = 0
    for leg in Leg.objects.filter(account__kept=True).order_by("id"):
        running += leg.amount
        assert leg.balance_after == running


def _withdrawal(orchestrator_pk: int, wei: int, key: str) -> Posting:
    return Posting(
        key=key,
        kind=Kind.SESSION_SEGMENT,
        legs={chart.owed(orchestrator_pk): -wei, chart.in_flight(orchestrator_pk): wei},
        effective_at=NOON,
        orchestrator_id=orchestrator_pk,
    )


def test_two_workers_cannot_overdraw_together() -> None:
    orchestrator = host()
    commit(segment(orchestrator, 100, "s:1"))

    results = at_once(*(partial(commit, _withdrawal(orchestrator.pk, 60, f"w:{n}")) for n in range(4)))

    assert sum(isinstance(result, InsufficientFunds) for result in results) == 3
    assert owed(orchestrator) == 40


def test_batches_that_name_their_accounts_in_opposite_order_do_not_deadlock() -> None:
    hosts = [host(f"orch-{number}", number) for number in range(6)]
    for orchestrator in hosts:
        commit(segment(orchestrator, 1, f"first:{orchestrator.pk}"))

    def work(worker: int) -> None:
        order = hosts if worker % 2 else hosts[::-1]
        for number in range(25):
            commit(
                *(segment(orchestrator, 1, f"{worker}:{number}:{orchestrator.pk}") for orchestrator in order)
            )

    assert at_once(*(partial(work, worker) for worker in range(4))) == [None] * 4
    assert [owed(orchestrator) for orchestrator in hosts] == [101] * 6


def test_accounts_that_several_batches_open_at_once_do_not_deadlock() -> None:
    for turn in range(10):
        hosts = [host(f"orch-{turn}-{number}", 100 * turn + number) for number in range(5)]
        # One of them was used before: its lock must not be held while another's account is being made.
        commit(segment(hosts[2], 1, f"first:{turn}"))

        def work(worker: int, hosts: list = hosts, turn: int = turn) -> None:  # type: ignore[type-arg]
            order = hosts[worker:] + hosts[:worker]
            commit(*(segment(each, 1, f"{turn}:{worker}:{each.pk}") for each in order))

        assert at_once(*(partial(work, worker) for worker in range(4))) == [None] * 4
        assert [owed(each) for each in hosts] == [4, 4, 5, 4, 4]


def test_platform_accounts_are_never_waited_for() -> None:
    anna, bert = host("anna", 1), host("bert", 2)
    commit(segment(anna, 1, "first:a"), segment(bert, 1, "first:b"))

    def impatient() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '2s'")
            ledger.post_many([segment(bert, 5, "b:1")])

    with transaction.atomic():
        ledger.post_many([segment(anna, 5, "a:1")])
        assert at_once(impatient) == [None]

    assert (owed(anna), owed(bert)) == (6, 6)


def test_two_reversals_at_once_undo_an_entry_once() -> None:
    orchestrator = host()
    (entry,) = commit(adjustment(orchestrator, 100, "a:1"))

    def reverse(key: str) -> Entry:
        with transaction.atomic():
            return ledger.reverse(entry, key=key, reason="", actor="eve", effective_at=NOON)

    results = at_once(partial(reverse, "r:1"), partial(reverse, "r:2"))

    assert sum(isinstance(result, AlreadyReversed) for result in results) == 1
    assert owed(orchestrator) == 0
