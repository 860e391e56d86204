"""Adjustments over HTTP: what is answered, posted, repeated and refused."""

from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from billing.models import Entry
from tests.billing.books import at_once, commit, host, owed, page, segment

pytestmark = pytest.mark.django_db

ETH = 10**18
PATH = "/api/ledger/adjustments"


def adjust(body: dict[str, Any], key: str | None = None, token: str = "test-admin-token") -> Any:
    headers = {"X-Admin-Token": token} | ({} if key is None else {"Idempotency-Key": key})
    return Client(headers=headers).post(PATH, body, content_type="application/json")


def test_an_adjustment_changes_what_is_owed() -> None:
    orchestrator = host()

    response = adjust({"orchestrator_id": "orch-a", "amount_eth": "0.25", "reason": "bonus", "notes": "May"})

    answer = response.json()
    event_id = answer.pop("event_id")
    assert answer == {
        "orchestrator_id": "orch-a",
        "balance_eth": "0.25",
        "delta_eth": "0.25",
        "reason": "bonus",
        "reference_workload_id": None,
        "notes": "May",
    }
    entry = Entry.objects.get()
    assert page([entry]) == [
        (event_id, "platform:adjustments", -ETH // 4, None),
        (event_id, f"orchestrator:{orchestrator.pk}:owed", ETH // 4, ETH // 4),
    ]
    assert (entry.kind, entry.actor, entry.metadata) == ("adjustment", "api:admin", {"notes": "May"})


def test_an_event_id_is_adjustment_and_32_hex_digits() -> None:
    host()

    answer = adjust({"orchestrator_id": "orch-a", "amount_eth": 1}).json()

    prefix, _, digits = answer["event_id"].partition(":")
    assert (prefix, len(digits)) == ("adjustment", 32)
    assert int(digits, 16)
    assert answer["reason"] == "adjustment"


def test_metadata_carries_the_reference_and_the_notes_when_given() -> None:
    host()

    adjust({"orchestrator_id": "orch-a", "amount_eth": 1, "reference_workload_id": "w-1", "notes": ""})

    assert Entry.objects.get().metadata == {"reference_workload_id": "w-1"}


def test_an_adjustment_may_leave_a_debt() -> None:
    orchestrator = host()
    commit(segment(orchestrator, ETH, "s:1"))

    answer = adjust({"orchestrator_id": "orch-a", "amount_eth": "-1.5"}).json()

    assert (answer["delta_eth"], answer["balance_eth"]) == ("-1.5", "-0.5")
    assert owed(orchestrator) == -ETH // 2


# --- Idempotency-Key ------------------------------------------------------------------------------


def test_the_same_key_and_body_gets_the_first_answer_although_the_balance_moved_on() -> None:
    orchestrator = host()
    body = {"orchestrator_id": "orch-a", "amount_eth": "0.5", "reason": "bonus", "notes": "n"}
    first = adjust(body, key="k 1")
    commit(segment(orchestrator, ETH, "s:1"))

    again = adjust(body, key="k 1")

    assert again.status_code == 200
    assert again.content == first.content
    assert Entry.objects.count() == 2


def test_the_same_amount_written_otherwise_is_the_same_body() -> None:
    host()
    first = adjust({"orchestrator_id": "orch-a", "amount_eth": "0.5"}, key="k")

    again = adjust({"orchestrator_id": "orch-a", "amount_eth": 5e-1, "reason": "adjustment"}, key="k")

    assert again.json() == first.json()


@pytest.mark.parametrize(
    "other",
    [
        {"amount_eth": "0.6"},
        {"amount_eth": "-0.5"},
        {"reason": "malus"},
        {"notes": "other"},
        {"reference_workload_id": "w-2"},
        {"orchestrator_id": "orch-b"},
    ],
)
def test_the_same_key_with_another_body_is_refused(other: dict[str, str]) -> None:
    host("orch-a", 1)
    host("orch-b", 2)
    body = {"orchestrator_id": "orch-a", "amount_eth": "0.5"}
    adjust(body, key="k")

    response = adjust({**body, **other}, key="k")

    assert response.status_code == 409
    assert response.json() == {"detail": "Idempotency-Key already used with a different request"}
    assert Entry.objects.count() == 1


def test_a_key_stays_the_same_request_when_a_test_run_begins(settings: Settings) -> None:
    host()
    body = {"orchestrator_id": "orch-a", "amount_eth": "0.5"}
    first = adjust(body, key="k")
    settings.TEST_RUN_ID = "run-7"

    assert adjust(body, key="k").json() == first.json()


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "tab\there"])
def test_a_key_that_is_not_printable_ascii_of_1_to_255_characters_is_refused(key: str) -> None:
    host()

    response = adjust({"orchestrator_id": "orch-a", "amount_eth": 1}, key=key)

    assert response.status_code == 400
    assert response.json() == {"detail": "Invalid Idempotency-Key"}
    assert not Entry.objects.exists()


def test_a_key_of_255_printable_characters_is_fine() -> None:
    host()

    assert adjust({"orchestrator_id": "orch-a", "amount_eth": 1}, key="~" * 255).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_two_calls_with_one_key_at_once_post_one_entry_and_get_one_answer() -> None:
    orchestrator = host()
    body = {"orchestrator_id": "orch-a", "amount_eth": "0.5"}

    responses = at_once(*[partial(adjust, body, key="k")] * 4)

    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in responses}) == 1
    assert owed(orchestrator) == ETH // 2


@pytest.mark.django_db(transaction=True)
def test_two_different_calls_with_one_key_at_once_post_one_entry() -> None:
    host("orch-a", 1)
    host("orch-b", 2)

    responses = at_once(
        *(
            partial(adjust, {"orchestrator_id": name, "amount_eth": 1}, key="k")
            for name in ("orch-a", "orch-b")
        )
    )

    assert sorted(response.status_code for response in responses) == [200, 409]
    assert Entry.objects.count() == 1


# --- Refusals -------------------------------------------------------------------------------------


def test_only_the_admin_token_may_adjust() -> None:
    host()

    for token in ("", "wrong", "test-viewer-token"):
        response = adjust({"orchestrator_id": "orch-a", "amount_eth": 1}, token=token)
        assert (response.status_code, response.json()) == (401, {"detail": "Admin token required"})


def test_an_unknown_orchestrator_is_404() -> None:
    response = adjust({"orchestrator_id": "nobody", "amount_eth": 1})

    assert (response.status_code, response.json()) == (404, {"detail": "Unknown orchestrator"})


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({"amount_eth": 0}, "amount_eth", "value_error"),
        ({"amount_eth": "-0.0"}, "amount_eth", "value_error"),
        ({"amount_eth": "1e-19"}, "amount_eth", "decimal_max_places"),
        ({"amount_eth": "many"}, "amount_eth", "decimal_parsing"),
        ({"amount_eth": "NaN"}, "amount_eth", "finite_number"),
        ({"amount_eth": "1e60"}, "amount_eth", "less_than_equal"),
        ({"orchestrator_id": ""}, "orchestrator_id", "string_too_short"),
        ({"orchestrator_id": "x" * 129}, "orchestrator_id", "string_too_long"),
        ({"reason": "x" * 257}, "reason", "string_too_long"),
        ({"reason": 7}, "reason", "string_type"),
        ({"reference_workload_id": "x" * 257}, "reference_workload_id", "string_too_long"),
        ({"notes": "x" * 1025}, "notes", "string_too_long"),
        ({"notes": "a\x00b"}, "notes", "value_error"),
    ],
)
def test_what_breaks_the_schema_is_422(body: dict[str, Any], field: str, problem: str) -> None:
    host()

    response = adjust({"orchestrator_id": "orch-a", "amount_eth": 1, **body})

    assert response.status_code == 422
    assert [(each["loc"], each["type"]) for each in response.json()["detail"]] == [(["body", field], problem)]


def test_an_amount_of_zero_is_refused_in_the_contracts_words() -> None:
    response = adjust({"orchestrator_id": "orch-a", "amount_eth": "0"})

    assert response.json()["detail"][0]["msg"] == "Value error, amount_eth must be non-zero"


def test_a_balance_beyond_256_bits_is_a_refusal_and_no_failure() -> None:
    host()
    huge = {"orchestrator_id": "orch-a", "amount_eth": "5e58"}

    assert adjust(huge, key=str(uuid4())).status_code == 200
    response = adjust(huge, key=str(uuid4()))

    assert (response.status_code, response.json()) == (409, {"detail": "Balance would be out of range"})
