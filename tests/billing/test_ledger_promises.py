"""The promises that PostgreSQL keeps, each attacked with plain SQL that walks around the services."""

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from billing import chart
from billing.models import Account, Entry, Kind, Leg, Orchestrator
from tests.billing.books import COMPUTE, NOON, adjustment, commit, host, segment

pytestmark = pytest.mark.django_db


def sql(statement: str, *parameters: int | str | None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        # Deferred foreign keys speak now, not when the test ends.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(statement, parameters)


def refused(statement: str, *parameters: int | str | None, by: str) -> None:
    with pytest.raises(DatabaseError) as refusal:
        sql(statement, *parameters)
    cause = refusal.value.__cause__
    assert isinstance(cause, psycopg.Error)
    assert cause.diag.constraint_name == by, str(cause)


@pytest.fixture
def orchestrator() -> Orchestrator:
    orchestrator = host()
    commit(segment(orchestrator, 100, "s:1"))
    return orchestrator


def account(place: chart.Place) -> int:
    return Account.objects.get(address=place.address, asset=place.asset).pk


def empty_entry(key: str = "raw:1") -> int:
    sql(
        "INSERT INTO billing_entry (key, kind, reason, metadata, effective_at, recorded_at, actor)"
        " VALUES (%s, 'adjustment', '', '{}', now(), now(), '')",
        key,
    )
    return Entry.objects.get(key=key).pk


LEG = "(%s, %s, 'ETH', %s, NULL, 'adjustment', now())"
INSERT = (
    "INSERT INTO billing_leg (entry_id, account_id, asset, amount, balance_after, kind, effective_at) VALUES "
)


def test_legs_of_an_entry_sum_to_zero(orchestrator: Orchestrator) -> None:
    entry, compute, owed = empty_entry(), account(COMPUTE), account(chart.owed(orchestrator.pk))

    refused(INSERT + LEG, entry, owed, 5, by="billing_legs_of_an_entry_sum_to_zero")
    refused(
        f"{INSERT}{LEG}, {LEG}", entry, owed, 5, entry, compute, -4, by="billing_legs_of_an_entry_sum_to_zero"
    )


def test_legs_of_two_entries_do_not_balance_each_other(orchestrator: Orchestrator) -> None:
    one, two = empty_entry("raw:1"), empty_entry("raw:2")
    compute, owed = account(COMPUTE), account(chart.owed(orchestrator.pk))

    refused(
        f"{INSERT}{LEG}, {LEG}", one, owed, 5, two, compute, -5, by="billing_legs_of_an_entry_sum_to_zero"
    )


def test_assets_do_not_balance_each_other(orchestrator: Orchestrator) -> None:
    sql(
        "INSERT INTO billing_account (address, asset, kept, balance)"
        " VALUES ('customer:1:credits', 'CREDIT', true, 0)"
    )
    entry, customer = empty_entry(), Account.objects.get(asset="CREDIT").pk

    refused(
        f"{INSERT}{LEG}, (%s, %s, 'CREDIT', %s, 5, 'adjustment', now())",
        *(entry, account(COMPUTE), -5),
        *(entry, customer, 5),
        by="billing_legs_of_an_entry_sum_to_zero",
    )


def test_legs_that_arrive_later_are_refused_even_if_they_balance(orchestrator: Orchestrator) -> None:
    written = Entry.objects.get(key="s:1").pk
    commit(adjustment(orchestrator, 1, "a:1"))
    adjustments, in_flight = account(chart.platform("adjustments")), _in_flight(orchestrator)

    refused(
        f"{INSERT}{LEG}, {LEG}",
        *(written, adjustments, 5),
        *(written, in_flight, -5),
        by="billing_legs_of_an_entry_arrive_together",
    )


def _in_flight(orchestrator: Orchestrator) -> int:
    place = chart.in_flight(orchestrator.pk)
    sql(
        "INSERT INTO billing_account (address, asset, kept, floor, balance, orchestrator_id)"
        " VALUES (%s, 'ETH', true, 0, 0, %s)",
        place.address,
        orchestrator.pk,
    )
    return account(place)


def test_an_account_has_one_leg_per_entry(orchestrator: Orchestrator) -> None:
    entry, compute = empty_entry(), account(COMPUTE)

    refused(
        f"{INSERT}{LEG}, {LEG}",
        *(entry, compute, 5),
        *(entry, compute, -5),
        by="billing_leg_is_one_per_account_and_entry",
    )


def test_a_leg_of_zero_is_refused(orchestrator: Orchestrator) -> None:
    refused(INSERT + LEG, empty_entry(), account(COMPUTE), 0, by="billing_leg_moves_something")


def test_a_leg_counts_what_its_account_counts(orchestrator: Orchestrator) -> None:
    cents = "(%s, %s, 'USD', %s, NULL, 'adjustment', now())"
    entry, compute, owed = empty_entry(), account(COMPUTE), account(chart.owed(orchestrator.pk))

    refused(
        f"{INSERT}{cents}, {cents}",
        entry,
        compute,
        5,
        entry,
        owed,
        -5,
        by="billing_leg_asset_is_its_accounts",
    )


def test_a_leg_needs_an_account_that_exists(orchestrator: Orchestrator) -> None:
    entry = empty_entry()

    refused(
        f"{INSERT}{LEG}, {LEG}",
        entry,
        0,
        5,
        entry,
        account(COMPUTE),
        -5,
        by="billing_leg_asset_is_its_accounts",
    )


@pytest.mark.parametrize("table", ["billing_entry", "billing_leg"])
@pytest.mark.parametrize(
    "attack", ["UPDATE {} SET kind = 'adjustment'", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_what_is_written_stays(orchestrator: Orchestrator, table: str, attack: str) -> None:
    with pytest.raises(DatabaseError, match=r"billing_(entry|leg) is append-only"):
        sql(attack.format(table))

    assert Entry.objects.count() == 1
    assert Leg.objects.count() == 2


def test_the_registry_log_is_append_only_too() -> None:
    refused("UPDATE billing_registryevent SET event = 'x'", by="billing_registryevent_is_append_only")
    refused("DELETE FROM billing_registryevent", by="billing_registryevent_is_append_only")
    refused("TRUNCATE billing_registryevent", by="billing_registryevent_is_append_only")


def test_django_cannot_change_the_books_either(orchestrator: Orchestrator) -> None:
    entry = Entry.objects.get()
    entry.reason = "better"

    for change in (entry.save, Leg.objects.all().delete):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


def test_an_account_with_a_floor_does_not_go_below_it(orchestrator: Orchestrator) -> None:
    in_flight = _in_flight(orchestrator)

    refused(
        "UPDATE billing_account SET balance = -1 WHERE id = %s",
        in_flight,
        by="billing_account_balance_stays_above_its_floor",
    )


def test_a_contra_account_has_no_balance_and_no_floor(orchestrator: Orchestrator) -> None:
    rule = "billing_account_keeps_a_balance_or_is_contra"
    new = "INSERT INTO billing_account (address, asset, kept, floor, balance) VALUES ('x', 'ETH', %s, %s, %s)"

    refused("UPDATE billing_account SET balance = 0 WHERE id = %s", account(COMPUTE), by=rule)
    refused(new, False, 0, None, by=rule)
    refused(new, True, None, None, by=rule)


@pytest.mark.parametrize(
    "change",
    [
        "address = 'elsewhere'",
        "asset = 'USD'",
        "kept = false, balance = NULL",
        "floor = 0",
        "orchestrator_id = NULL",
    ],
)
def test_an_account_changes_its_balance_and_nothing_else(orchestrator: Orchestrator, change: str) -> None:
    refused(
        f"UPDATE billing_account SET {change} WHERE id = %s",
        account(chart.owed(orchestrator.pk)),
        by="billing_account_is_fixed",
    )


def test_an_account_that_was_used_cannot_be_deleted(orchestrator: Orchestrator) -> None:
    refused(
        "DELETE FROM billing_account WHERE id = %s", account(COMPUTE), by="billing_leg_asset_is_its_accounts"
    )


def test_an_address_is_one_account_per_asset(orchestrator: Orchestrator) -> None:
    refused(
        "INSERT INTO billing_account (address, asset, kept) VALUES ('platform:compute', 'ETH', false)",
        by="billing_account_address_is_unique",
    )


def test_a_key_writes_one_entry(orchestrator: Orchestrator) -> None:
    with pytest.raises(IntegrityError, match="billing_entry_key"):
        empty_entry("s:1")


def test_an_entry_is_reversed_once(orchestrator: Orchestrator) -> None:
    entry = Entry.objects.get()
    mirrors = [
        Entry(key=key, kind=Kind.ADJUSTMENT, effective_at=NOON, recorded_at=NOON, reverses=entry)
        for key in ("r:1", "r:2")
    ]

    with pytest.raises(IntegrityError, match="reverses_id"), transaction.atomic():
        Entry.objects.bulk_create(mirrors)
