"""Registration over the wire: who is let in, who is refused, and what is remembered."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from billing.models import Orchestrator, RegistryEvent
from billing.services import registry_log
from billing.services.ranking import Rank
from tests.billing.books import adjustment, commit
from tests.factories import NOON, OrchestratorFactory
from tests.wire import ADMIN, Answer, call, post

pytestmark = pytest.mark.django_db

ADDRESS = "0x19E7e376E7C213B7E7e7e46cc70A5dD086DAff2A"
OTHER_ADDRESS = "0x" + 40 * "b"
PROOF = (
    "0x36de9a0454b4768d2fd3c099e6f0f442117727c5e7e6b889c45bcf079fd563f71f6c2bca657dd33b96e11ac60ea22e0e"
    "b575d43684b15f58b34a9e486c468d2b1b"
)


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture(autouse=True)
def _patient(settings: Settings) -> None:
    """Most tests are not about rate limits."""
    settings.REGISTRATION_PER_MINUTE = settings.REGISTRATION_BURST = 1000


def register(
    orchestrator_id: str = "orch-a", address: str = ADDRESS, *, caller: str = "198.51.100.1", **facts: Any
) -> Answer:
    body = {"orchestrator_id": orchestrator_id, "address": address, **facts}
    return post("/api/orchestrators/register", body, caller=caller)


def only() -> Orchestrator:
    return Orchestrator.objects.get()


# --- Let in ---------------------------------------------------------------------------------------


def test_a_first_registration_is_answered_with_everything_there_is_to_know() -> None:
    answer = register()

    assert answer.status == 200
    assert list(answer.json.items()) == [
        ("orchestrator_id", "orch-a"),
        ("address", ADDRESS),
        ("balance_eth", "0"),
        ("eligible_for_payments", True),
        ("is_top_100", True),
        ("denylisted", False),
        ("registration_count", 1),
        ("cooldown_expires_at", None),
        ("message", "Registered orchestrator"),
        ("address_verified", False),
    ]


def test_a_first_registration_stores_what_was_sent_and_who_called() -> None:
    register(
        capability="transcode",
        contact_email=" ops@example.org ",
        host_public_ip="2001:DB8::0001",
        host_name="rack-7",
        services_healthy=True,
        health_url="http://[2001:db8::2]:9090/health",
        health_timeout="2.5",
        monitored_services=["web", " ", "gpu "],
        min_service_uptime=99.5,
        caller="::ffff:198.51.100.7",
    )

    stored = only()
    assert stored.capability == "transcode"
    assert stored.contact_email == "ops@example.org"
    assert stored.host_public_ip == "2001:db8::1"
    assert stored.host_name == "rack-7"
    assert stored.last_healthy_at == stored.first_seen == stored.last_seen == NOON
    assert (stored.health_url, stored.health_ip) == ("http://[2001:db8::2]:9090/health", "2001:db8::2")
    assert stored.health_timeout == 2.5
    assert stored.monitored_services == ["web", "gpu"]
    assert stored.min_service_uptime == 99.5
    assert stored.last_seen_ip == "198.51.100.7"


def test_a_refresh_replaces_what_is_sent_and_keeps_what_is_absent_or_blank() -> None:
    register(
        capability="old", host_name="rack-7", contact_email="ops@example.org", monitored_services=["web"]
    )

    answer = register(
        address=ADDRESS.lower(),
        capability="new",
        host_name="  ",
        contact_email=None,
        monitored_services=[" "],
    )

    stored = only()
    assert answer.json["message"] == "Registration refreshed"
    assert answer.json["registration_count"] == stored.registration_count == 2
    assert stored.capability == "new"
    assert stored.host_name == "rack-7"
    assert stored.contact_email == "ops@example.org"
    assert stored.monitored_services == ["web"]
    assert stored.address == ADDRESS.lower()


def test_a_refresh_moves_last_seen_but_not_first_seen() -> None:
    register()

    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        register(caller="198.51.100.9")

    assert only().first_seen == NOON
    assert only().last_seen == NOON + timedelta(hours=1)
    assert only().last_seen_ip == "198.51.100.9"


def test_the_address_is_answered_as_it_was_sent() -> None:
    register(address=ADDRESS)

    assert register(address=ADDRESS.lower()).json["address"] == ADDRESS.lower()


def test_the_balance_of_a_known_orchestrator_is_told() -> None:
    register()
    commit(adjustment(only(), 1_500_000_000_000_000_000, "a"))

    assert register().json["balance_eth"] == "1.5"


def test_a_running_cooldown_is_told_and_an_expired_one_is_not() -> None:
    OrchestratorFactory.create(
        orchestrator_id="orch-a", address=ADDRESS, cooldown_expires_at=NOON + timedelta(minutes=1)
    )

    during = register()
    with time_machine.travel(NOON + timedelta(minutes=1), tick=False):
        after = register()

    assert during.json["message"] == "Registration refreshed (cooldown active)"
    assert during.json["cooldown_expires_at"] == "2026-11-20T12:01:00+00:00"
    assert during.json["eligible_for_payments"] is False
    assert after.json["message"] == "Registration refreshed"
    assert after.json["cooldown_expires_at"] is None
    assert after.json["eligible_for_payments"] is True


def test_the_denylisted_flag_outlives_the_list() -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a", address=ADDRESS, denylisted=True)

    answer = register()

    assert answer.status == 200
    assert answer.json["message"] == "Registration blocked (address denylisted)"
    assert answer.json["denylisted"] is True
    assert answer.json["eligible_for_payments"] is False


def test_a_registration_is_recorded() -> None:
    register()
    register()

    first, second = RegistryEvent.objects.order_by("id")
    assert (first.event, first.orchestrator_id, first.recorded_at) == ("register", "orch-a", NOON)
    assert [first.details[key] for key in registry_log.KEYS["register"]] == [
        ADDRESS,
        True,
        1,
        True,
        True,
        False,
    ]
    assert [second.details["first_registration"], second.details["registration_count"]] == [False, 2]


def test_an_id_may_be_any_text() -> None:
    assert register("süd / 7:π ").status == 200
    assert only().orchestrator_id == "süd / 7:π "


def test_the_path_with_a_trailing_slash_is_the_same_path() -> None:
    body = {"orchestrator_id": "orch-a", "address": ADDRESS}

    assert post("/api/orchestrators/register/", body).status == 200
    assert post("/api/orchestrators/register//", body).status == 404


# --- Wallet proof ---------------------------------------------------------------------------------


def test_a_wallet_proof_verifies_the_address_for_good() -> None:
    assert register(signature=PROOF).json["address_verified"] is True
    assert register().json["address_verified"] is True


def test_a_proof_for_another_id_is_refused_and_nothing_is_stored() -> None:
    answer = register("orch-b", signature=PROOF)

    assert (answer.status, answer.detail) == (403, "Signature does not match address")
    assert not Orchestrator.objects.exists()
    assert not RegistryEvent.objects.exists()


def test_a_proof_for_another_chain_is_refused(settings: Settings) -> None:
    settings.ETH_CHAIN_ID = 1

    assert register(signature=PROOF).status == 403


# --- Denylist -------------------------------------------------------------------------------------


def test_a_denylisted_address_is_refused_and_the_refusal_recorded(settings: Settings) -> None:
    settings.ADDRESS_DENYLIST = frozenset({ADDRESS.lower()})

    answer = register()

    assert (answer.status, answer.detail) == (403, "Address is denylisted and cannot register")
    assert not Orchestrator.objects.exists()
    event = RegistryEvent.objects.get()
    assert (event.event, event.orchestrator_id) == ("register_denied", "orch-a")
    assert event.details == {"address": ADDRESS, "reason": "denylisted"}


def test_the_owner_of_a_denylisted_address_is_flagged(settings: Settings) -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a", address=ADDRESS, last_seen=NOON - timedelta(days=1))
    settings.ADDRESS_DENYLIST = frozenset({ADDRESS.lower()})

    register()

    assert only().denylisted is True
    assert only().is_eligible(now=NOON) is False
    assert only().last_seen == NOON


def test_nobody_gets_another_id_flagged_by_naming_a_denylisted_address(settings: Settings) -> None:
    OrchestratorFactory.create(orchestrator_id="victim", address=OTHER_ADDRESS)
    settings.ADDRESS_DENYLIST = frozenset({ADDRESS.lower()})

    register("victim", ADDRESS)

    assert only().denylisted is False


def test_the_denylist_is_asked_before_the_signature(settings: Settings) -> None:
    settings.ADDRESS_DENYLIST = frozenset({ADDRESS.lower()})

    answer = register("orch-b", signature=PROOF)

    assert answer.detail == "Address is denylisted and cannot register"


# --- Conflicts ------------------------------------------------------------------------------------


def test_an_address_belongs_to_one_id_whatever_its_case() -> None:
    register("orch-a", ADDRESS)

    answer = register("orch-b", ADDRESS.lower())

    assert (answer.status, answer.detail) == (409, "Address already registered to a different orchestrator")


def test_an_id_keeps_its_address() -> None:
    register("orch-a", ADDRESS)

    answer = register("orch-a", OTHER_ADDRESS)

    assert (answer.status, answer.detail) == (
        409,
        "Existing orchestrator attempted to change address; this is not allowed",
    )
    assert only().address == ADDRESS


def test_a_foreign_address_is_told_before_a_changed_one() -> None:
    register("orch-a", ADDRESS)
    register("orch-b", OTHER_ADDRESS)

    assert register("orch-b", ADDRESS).detail == "Address already registered to a different orchestrator"


def test_a_host_belongs_to_one_id_however_it_is_spelled() -> None:
    register("orch-a", ADDRESS, host_public_ip="203.0.113.10")

    answer = register("orch-b", OTHER_ADDRESS, host_public_ip="::ffff:203.0.113.10")

    assert (answer.status, answer.detail) == (
        409,
        "host_public_ip already registered to a different orchestrator",
    )


def test_an_id_may_repeat_its_own_host() -> None:
    register(host_public_ip="203.0.113.10")

    assert register(host_public_ip="203.0.113.10").status == 200


# --- Rank -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rank", "status", "detail"),
    [
        (Rank.OUTSIDE, 403, "Address is not part of the current top orchestrators"),
        (Rank.UNKNOWN, 503, "Unable to validate orchestrator rank at this time"),
    ],
)
def test_who_is_not_known_to_be_in_the_top_set_is_refused(
    rank: Rank, status: int, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.services.ranking.rank_of", lambda address: rank)

    answer = register()

    assert (answer.status, answer.detail) == (status, detail)
    assert not Orchestrator.objects.exists()


def test_the_signature_is_checked_before_the_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.services.ranking.rank_of", lambda address: Rank.UNKNOWN)

    assert register("orch-b", signature=PROOF).detail == "Signature does not match address"


def test_a_passed_rank_check_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a", address=ADDRESS, is_top_100=False)
    monkeypatch.setattr("billing.services.ranking.rank_of", lambda address: Rank.TOP)

    assert register().json["is_top_100"] is True


# --- Rate limits ----------------------------------------------------------------------------------


def test_an_id_has_so_many_attempts_a_minute(settings: Settings) -> None:
    settings.REGISTRATION_PER_MINUTE = 2

    answers = [register(caller=f"198.51.100.{number}") for number in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].detail == "Too many registration attempts; slow down"


def test_a_caller_has_so_many_attempts_a_minute(settings: Settings) -> None:
    settings.REGISTRATION_PER_MINUTE = 2

    statuses = [register(f"orch-{number}", f"0x{number:040x}").status for number in range(3)]

    assert statuses == [200, 200, 429]


def test_an_id_has_so_many_attempts_in_ten_seconds(settings: Settings) -> None:
    settings.REGISTRATION_BURST = 1

    assert [register().status, register(caller="198.51.100.2").status] == [200, 429]


def test_a_refused_registration_counts(settings: Settings) -> None:
    settings.REGISTRATION_PER_MINUTE = 1
    OrchestratorFactory.create(orchestrator_id="orch-b", address=ADDRESS)

    assert [register().status, register().status] == [409, 429]


def test_an_invalid_registration_does_not_count(settings: Settings) -> None:
    settings.REGISTRATION_PER_MINUTE = 1

    assert [register(address="0x1").status, register().status] == [422, 200]


def test_a_call_stopped_by_the_caller_window_has_used_the_slot_of_its_id(settings: Settings) -> None:
    settings.REGISTRATION_PER_MINUTE = 1
    register("orch-a", ADDRESS, caller="198.51.100.1")

    stopped = register("orch-b", OTHER_ADDRESS, caller="198.51.100.1")
    again = register("orch-b", OTHER_ADDRESS, caller="198.51.100.2")

    assert [stopped.status, again.status] == [429, 429]


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "kind", "loc", "msg"),
    [
        ({"orchestrator_id": ""}, "string_too_short", ["orchestrator_id"], None),
        ({"orchestrator_id": 129 * "x"}, "string_too_long", ["orchestrator_id"], None),
        ({"orchestrator_id": 7}, "string_type", ["orchestrator_id"], None),
        ({"orchestrator_id": None}, "string_type", ["orchestrator_id"], None),
        (
            {"orchestrator_id": "a\x00"},
            "value_error",
            ["orchestrator_id"],
            "Value error, null characters are not allowed",
        ),
        ({"orchestrator_id": "\ud800"}, "string_unicode", ["orchestrator_id"], None),
        ({"address": "0x12"}, "string_pattern_mismatch", ["address"], None),
        ({"address": ADDRESS + "\n"}, "string_pattern_mismatch", ["address"], None),
        ({"capability": 129 * "x"}, "string_too_long", ["capability"], None),
        (
            {"contact_email": "ops@"},
            "value_error",
            ["contact_email"],
            "Value error, contact_email must include '@'",
        ),
        ({"contact_email": 256 * "x"}, "string_too_long", ["contact_email"], None),
        (
            {"host_public_ip": "example.org"},
            "value_error",
            ["host_public_ip"],
            "Value error, host_public_ip must be an IP address",
        ),
        ({"host_public_ip": 65 * "1"}, "string_too_long", ["host_public_ip"], None),
        ({"host_name": 129 * "x"}, "string_too_long", ["host_name"], None),
        ({"services_healthy": "perhaps"}, "bool_parsing", ["services_healthy"], None),
        ({"health_timeout": 0}, "greater_than_equal", ["health_timeout"], None),
        ({"health_timeout": 61}, "less_than_equal", ["health_timeout"], None),
        ({"health_timeout": "NaN"}, "finite_number", ["health_timeout"], None),
        ({"monitored_services": "web"}, "list_type", ["monitored_services"], None),
        ({"monitored_services": ["a", 1]}, "string_type", ["monitored_services", 1], None),
        (
            {"monitored_services": 26 * ["x"]},
            "value_error",
            ["monitored_services"],
            "Value error, monitored_services limit is 25 entries",
        ),
        ({"min_service_uptime": 101}, "less_than_equal", ["min_service_uptime"], None),
        ({"signature": "0x12"}, "string_pattern_mismatch", ["signature"], None),
    ],
)
def test_a_broken_field_is_named(facts: dict[str, Any], kind: str, loc: list[Any], msg: str | None) -> None:
    answer = register(**facts)

    found, where, said = answer.problem
    assert (found, where) == (kind, ["body", *loc])
    assert msg is None or said == msg


@pytest.mark.parametrize(
    "url",
    [
        "example.org",
        "ftp://example.org",
        "http://",
        "http:///health",
        "http://[::1",
        "http://host:99999/",
        "http://a b/",
        "http://a\nb/",
    ],
)
def test_a_health_url_is_absolute_http(url: str) -> None:
    assert register(health_url=url).problem == (
        "value_error",
        ["body", "health_url"],
        "Value error, health_url must be an http(s) URL",
    )


def test_every_missing_field_is_named() -> None:
    answer = post("/api/orchestrators/register", {})

    assert [(problem["type"], problem["loc"]) for problem in answer.detail] == [
        ("missing", ["body", "orchestrator_id"]),
        ("missing", ["body", "address"]),
    ]


def test_twenty_five_services_are_allowed_and_blanks_are_not_counted() -> None:
    assert register(monitored_services=[*(25 * ["x"]), "", " "]).status == 200


# --- Cost -----------------------------------------------------------------------------------------


def test_a_registration_is_five_statements() -> None:
    with CaptureQueriesContext(connection) as first:
        register()
    with CaptureQueriesContext(connection) as refresh:
        register()

    assert _work(first) == _work(refresh) == ["lock", "select", "write", "write", "select"]


def _work(queries: CaptureQueriesContext) -> list[str]:
    kinds = {"SELECT pg_advisory": "lock", "SELECT": "select", "INSERT": "write", "UPDATE": "write"}
    statements = (query["sql"].strip() for query in queries.captured_queries)
    return [
        next(kind for start, kind in kinds.items() if sql.startswith(start))
        for sql in statements
        if not sql.startswith(("SAVEPOINT", "RELEASE"))
    ]


def test_registration_is_a_post() -> None:
    assert call("GET", "/api/orchestrators/register").status == 405
    assert call("GET", "/api/orchestrators/register", headers=ADMIN).detail == "Method Not Allowed"
