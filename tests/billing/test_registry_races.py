"""Registrations and rotations that arrive at once: exactly one wins, and nobody sees a 500."""

from collections import Counter

import pytest
from django.db import connection
from pytest_django import Settings

from billing.models import Orchestrator, OrchestratorToken, RegistryEvent
from tests.billing.books import at_once
from tests.factories import OrchestratorFactory
from tests.wire import ADMIN, post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _patient(settings: Settings) -> None:
    settings.REGISTRATION_PER_MINUTE = settings.REGISTRATION_BURST = 1000


def register(orchestrator_id: str, number: int, host_public_ip: str | None = None) -> tuple[int, str]:
    answer = post(
        "/api/orchestrators/register",
        {"orchestrator_id": orchestrator_id, "address": f"0x{number:040x}", "host_public_ip": host_public_ip},
    )
    return answer.status, answer.json.get("detail") or answer.json["message"]


def outcomes(results: list[tuple[int, str]]) -> Counter[tuple[int, str]]:
    return Counter(results)


ADDRESS_TAKEN = (409, "Address already registered to a different orchestrator")
ADDRESS_CHANGED = (409, "Existing orchestrator attempted to change address; this is not allowed")
HOST_TAKEN = (409, "host_public_ip already registered to a different orchestrator")
FIRST, REFRESHED = (200, "Registered orchestrator"), (200, "Registration refreshed")


@pytest.mark.parametrize("attempt", range(3))
def test_of_many_ids_only_one_gets_an_address(attempt: int) -> None:
    results = at_once(*(lambda name=f"orch-{n}": register(name, 1) for n in range(6)))

    assert outcomes(results) == {FIRST: 1, ADDRESS_TAKEN: 5}
    assert Orchestrator.objects.count() == 1


@pytest.mark.parametrize("attempt", range(3))
def test_of_many_addresses_only_one_gets_an_id(attempt: int) -> None:
    results = at_once(*(lambda number=n: register("orch-a", number) for n in range(6)))

    assert outcomes(results) == {FIRST: 1, ADDRESS_CHANGED: 5}


@pytest.mark.parametrize("attempt", range(3))
def test_of_many_orchestrators_only_one_gets_a_host(attempt: int) -> None:
    results = at_once(*(lambda number=n: register(f"orch-{number}", number, "203.0.113.1") for n in range(6)))

    assert outcomes(results) == {FIRST: 1, HOST_TAKEN: 5}


def test_one_orchestrator_registering_many_times_at_once_is_counted_each_time() -> None:
    results = at_once(*(lambda: register("orch-a", 1, "203.0.113.1") for _ in range(6)))

    assert outcomes(results) == {FIRST: 1, REFRESHED: 5}
    assert Orchestrator.objects.get().registration_count == 6
    assert RegistryEvent.objects.filter(details__first_registration=True).count() == 1


def test_two_that_want_each_others_names_do_not_wait_for_each_other() -> None:
    register("orch-a", 1, "203.0.113.1")
    register("orch-b", 2, "203.0.113.2")

    results = at_once(
        *(lambda: register("orch-a", 2, "203.0.113.2") for _ in range(3)),
        *(lambda: register("orch-b", 1, "203.0.113.1") for _ in range(3)),
    )

    assert outcomes(results) == {ADDRESS_TAKEN: 6}


def test_a_denial_is_committed_although_its_call_fails(settings: Settings) -> None:
    register("orch-a", 1)
    settings.ADDRESS_DENYLIST = frozenset({f"0x{1:040x}"})

    assert register("orch-a", 1)[0] == 403

    # Seen from a connection of its own, so it was committed.
    connection.close()
    assert Orchestrator.objects.get().denylisted
    assert RegistryEvent.objects.filter(event="register_denied").count() == 1


@pytest.mark.parametrize("attempt", range(3))
def test_of_tokens_rotated_at_once_only_one_stays_live(attempt: int) -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a")
    path = "/api/licenses/orchestrators/orch-a/tokens?rotate=true"

    statuses = at_once(*(lambda: post(path, headers=ADMIN).status for _ in range(6)))

    assert statuses == [200] * 6
    assert OrchestratorToken.objects.filter(revoked_at=None).count() == 1
