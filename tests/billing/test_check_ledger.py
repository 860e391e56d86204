"""The trial balance: it passes on sound books, and finds each kind of damage."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from structlog.testing import capture_logs

from billing import tasks
from billing.models import Account, Entry, Leg, Orchestrator
from billing.services import trial_balance
from tests.billing.books import COMPUTE, adjustment, commit, host, segment

pytestmark = pytest.mark.django_db


@pytest.fixture
def orchestrator() -> Orchestrator:
    anna, bert = host("anna", 1), host("bert", 2)
    commit(segment(anna, 100, "s:1"), segment(bert, 5, "s:2"), segment(anna, 20, "s:3"))
    commit(adjustment(anna, -150, "a:1"))
    return anna


def damage(statement: str, *parameters: int | str) -> None:
    """Write past every promise, as a superuser can."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, parameters)
        cursor.execute("SET LOCAL session_replication_role = origin")


def broken() -> dict[str, tuple[str, ...]]:
    return {finding.sentence: finding.cases for finding in trial_balance.check()}


def test_sound_books_pass(orchestrator: Orchestrator) -> None:
    assert trial_balance.check() == []


def test_empty_books_pass() -> None:
    assert trial_balance.check() == []


def test_a_balance_written_by_hand_is_found(orchestrator: Orchestrator) -> None:
    Account.objects.filter(orchestrator=orchestrator).update(balance=7)

    assert broken() == {
        "every kept balance is the sum of its legs": (
            f"orchestrator:{orchestrator.pk}:owed (ETH) stores 7, its legs sum to -30",
        )
    }


def test_a_balance_without_any_leg_is_found() -> None:
    Account.objects.create(address="nowhere", asset="USD", kept=True, balance=3)

    assert broken() == {
        "every kept balance is the sum of its legs": ("nowhere (USD) stores 3, its legs sum to 0",)
    }


def test_a_changed_amount_is_found_everywhere_it_matters(orchestrator: Orchestrator) -> None:
    leg = Leg.objects.get(entry__key="s:3", account__orchestrator=orchestrator)

    damage("UPDATE billing_leg SET amount = 21 WHERE id = %s", leg.pk)

    assert broken() == {
        "every kept balance is the sum of its legs": (
            f"orchestrator:{orchestrator.pk}:owed (ETH) stores -30, its legs sum to -29",
        ),
        "every chain of balances is unbroken": (
            f"leg {leg.pk} of orchestrator:{orchestrator.pk}:owed: 120 after 21, where 121 was expected",
        ),
        "every asset sums to zero over all accounts": ("ETH sums to 1",),
        "every entry sums to zero in each asset": (f"entry {leg.entry_id} (s:3): ETH sums to 1",),
    }


@pytest.mark.parametrize("value", ["119", "NULL"])
def test_a_broken_chain_is_found_although_all_sums_are_right(orchestrator: Orchestrator, value: str) -> None:
    leg = Leg.objects.get(entry__key="s:3", account__orchestrator=orchestrator)

    damage(f"UPDATE billing_leg SET balance_after = {value} WHERE id = %s", leg.pk)

    assert set(broken()) == {"every chain of balances is unbroken"}


def test_a_balance_on_a_platform_leg_is_found(orchestrator: Orchestrator) -> None:
    account = Account.objects.get(address=COMPUTE.address)

    damage("UPDATE billing_leg SET balance_after = 0 WHERE account_id = %s AND amount = -5", account.pk)

    assert set(broken()) == {"legs of platform accounts carry no balance"}


def test_a_lost_leg_is_found(orchestrator: Orchestrator) -> None:
    damage("DELETE FROM billing_leg WHERE amount = -5")

    assert set(broken()) == {
        "every asset sums to zero over all accounts",
        "every entry sums to zero in each asset",
    }


def test_two_mistakes_that_cancel_out_are_found(orchestrator: Orchestrator) -> None:
    damage("UPDATE billing_leg SET amount = amount - 1 WHERE amount = -100")
    damage("UPDATE billing_leg SET amount = amount + 1 WHERE amount = -5")

    assert set(broken()) == {"every entry sums to zero in each asset"}


def test_an_entry_without_legs_is_found(orchestrator: Orchestrator) -> None:
    damage("DELETE FROM billing_leg WHERE entry_id = (SELECT id FROM billing_entry WHERE key = 's:2')")

    entry = Entry.objects.get(key="s:2")
    assert broken()["every entry has legs"] == (f"entry {entry.pk} (s:2) has none",)


@pytest.mark.parametrize(
    "change", ["kind = 'adjustment'", "effective_at = effective_at + interval '1 second'", "entry_id = 0"]
)
def test_a_leg_that_disagrees_with_its_entry_is_found(orchestrator: Orchestrator, change: str) -> None:
    damage(f"UPDATE billing_leg SET {change} WHERE amount = -5")

    assert "every leg repeats its entry's kind and time, and its account's asset" in broken()


def test_a_leg_that_counts_another_asset_than_its_account_is_found(orchestrator: Orchestrator) -> None:
    damage("UPDATE billing_leg SET asset = 'USD' WHERE abs(amount) = 5")

    assert set(broken()) == {"every leg repeats its entry's kind and time, and its account's asset"}


def test_a_balance_below_its_floor_is_found(orchestrator: Orchestrator) -> None:
    damage("ALTER TABLE billing_account DROP CONSTRAINT billing_account_balance_stays_above_its_floor")
    damage("UPDATE billing_account SET floor = 0 WHERE orchestrator_id = %s", orchestrator.pk)

    assert broken() == {
        "every balance keeps to its floor": (
            f"orchestrator:{orchestrator.pk}:owed holds -30, its floor is 0",
        )
    }


def test_many_cases_of_one_kind_are_counted_and_the_first_shown(orchestrator: Orchestrator) -> None:
    commit(*(segment(orchestrator, 1, f"many:{number}") for number in range(30)))
    damage("DELETE FROM billing_leg")

    findings = {finding.sentence: finding for finding in trial_balance.check()}

    finding = findings["every entry has legs"]
    assert (finding.count, len(finding.cases)) == (34, 20)


# --- The doorways ---------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    out, err, status = StringIO(), StringIO(), 0
    try:
        call_command("check_ledger", *arguments, stdout=out, stderr=err, no_color=True)
    except SystemExit as end:
        status = int(str(end.code))
    return status, out.getvalue(), err.getvalue()


def test_the_command_tells_what_it_is_checking(orchestrator: Orchestrator) -> None:
    status, out, err = run()

    assert (status, err) == (0, "")
    assert "checking that every asset sums to zero over all accounts" in out
    assert out.endswith("the books hold\n")


def test_the_command_ends_with_status_1_and_a_list(orchestrator: Orchestrator) -> None:
    Account.objects.filter(orchestrator=orchestrator).update(balance=7)

    status, _, err = run()

    assert status == 1
    assert err == (
        "Not so: every kept balance is the sum of its legs (1 cases)\n"
        f"  orchestrator:{orchestrator.pk}:owed (ETH) stores 7, its legs sum to -30\n"
    )


def test_a_quiet_command_has_nothing_to_say_about_sound_books(orchestrator: Orchestrator) -> None:
    assert run("--quiet") == (0, "", "")


def test_the_task_raises_the_alarm(orchestrator: Orchestrator) -> None:
    check: Callable[[], Any] = tasks.check_ledger
    with capture_logs() as calm:
        check()
    Account.objects.filter(orchestrator=orchestrator).update(balance=7)

    with capture_logs() as alarm:
        check()

    assert [(log["log_level"], log["event"]) for log in calm] == [("info", "ledger.holds")]
    assert [(log["log_level"], log["event"], log["count"]) for log in alarm] == [
        ("error", "ledger.broken", 1)
    ]
