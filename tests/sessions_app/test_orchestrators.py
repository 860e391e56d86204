"""Reading the registry: records, redaction, liveness, pages, and what they cost."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from billing.models import Orchestrator
from sessions_app.models import StreamSession
from tests.billing.books import adjustment, commit
from tests.factories import NOON, LeaseFactory, OrchestratorFactory, SessionFactory, TokenFactory
from tests.wire import ADMIN, VIEWER, get

pytestmark = pytest.mark.django_db
LONG_AGO = NOON - timedelta(days=1)


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def show(orchestrator: Orchestrator, **options: Any) -> dict[str, Any]:
    answer = get(f"/api/orchestrators/{orchestrator.orchestrator_id}", headers=VIEWER, **options)
    assert answer.status == 200, answer
    record: dict[str, Any] = answer.json
    return record


def liveness(orchestrator: Orchestrator) -> tuple[bool, str | None, bool, int, int]:
    record = show(orchestrator)
    return (
        record["active"],
        record["active_reason"],
        record["in_use"],
        record["active_sessions"],
        record["active_activity_leases"],
    )


def host_of(session: StreamSession) -> Orchestrator:
    assert session.orchestrator is not None
    return session.orchestrator


# --- The record -----------------------------------------------------------------------------------


def test_a_record_has_every_key_of_the_contract_in_its_order() -> None:
    orchestrator = OrchestratorFactory.create(
        orchestrator_id="orch-a",
        address="0x" + 40 * "A",
        contact_email="ops@example.org",
        host_public_ip="203.0.113.10",
        monitored_services=["web"],
        first_seen=NOON - timedelta(microseconds=1),
        desired_pin={"ref": "v1"},
    )
    commit(adjustment(orchestrator, 30_910_000_000_000, "a"))

    assert list(show(orchestrator).items()) == [
        ("orchestrator_id", "orch-a"),
        ("address", "0x" + 40 * "A"),
        ("balance_eth", "0.00003091"),
        ("credit_unit", "eth"),
        ("eligible_for_payments", True),
        ("is_top_100", True),
        ("denylisted", False),
        ("cooldown_expires_at", None),
        ("cooldown_active", False),
        ("first_seen", "2026-11-20T11:59:59.999999+00:00"),
        ("last_seen", "2026-11-20T12:00:00+00:00"),
        ("registration_count", 1),
        ("contact_email", "ops@example.org"),
        ("capability", None),
        ("host_public_ip", "203.0.113.10"),
        ("host_name", None),
        ("last_seen_ip", None),
        ("last_missed_all_services", None),
        ("last_healthy_at", None),
        ("last_cooldown_started_at", None),
        ("last_cooldown_cleared_at", None),
        ("health_url", None),
        ("health_timeout", None),
        ("monitored_services", ["web"]),
        ("min_service_uptime", None),
        ("last_contact_source", None),
        ("last_session_upstream_addr", None),
        ("last_session_seen_at", None),
        ("last_session_edge_id", None),
        ("desired_pin", {"ref": "v1"}),
        ("last_ops_upgrade", None),
        ("active", True),
        ("active_reason", "recent_contact"),
        ("in_use", False),
        ("active_sessions", 0),
        ("active_activity_leases", 0),
        ("address_verified", False),
    ]


def test_addresses_are_spelled_as_they_are_everywhere_else() -> None:
    # PostgreSQL writes this one as ::1.2.3.4.
    address = "::102:304"
    orchestrator = OrchestratorFactory.create(
        host_public_ip=address, last_seen_ip=address, last_session_upstream_addr=address
    )

    record = show(orchestrator)

    names = ("host_public_ip", "last_seen_ip", "last_session_upstream_addr")
    assert [record[name] for name in names] == [address] * 3


def test_a_cooldown_ends_the_moment_it_expires() -> None:
    orchestrator = OrchestratorFactory.create(cooldown_expires_at=NOON + timedelta(seconds=1))

    during = show(orchestrator)
    with time_machine.travel(NOON + timedelta(seconds=1), tick=False):
        after = show(orchestrator)

    assert (during["cooldown_active"], during["eligible_for_payments"]) == (True, False)
    assert during["cooldown_expires_at"] == "2026-11-20T12:00:01+00:00"
    assert (after["cooldown_active"], after["eligible_for_payments"]) == (False, True)
    assert after["cooldown_expires_at"] is None


def test_rank_counts_only_where_it_is_checked(settings: Settings) -> None:
    orchestrator = OrchestratorFactory.create(is_top_100=False)

    unchecked = show(orchestrator)["eligible_for_payments"]
    settings.TOP_CONTRACT_ADDRESS = "0x" + 40 * "1"

    assert (unchecked, show(orchestrator)["eligible_for_payments"]) == (True, False)


def test_an_unknown_id_is_not_found() -> None:
    answer = get("/api/orchestrators/nobody", headers=VIEWER)

    assert (answer.status, answer.detail) == (404, "Not found")


def test_me_is_never_looked_up_as_an_id() -> None:
    OrchestratorFactory.create(orchestrator_id="me")

    assert get("/api/orchestrators/me", headers=ADMIN).detail == "Orchestrator token required"


def test_me_is_the_record_of_the_caller() -> None:
    token = TokenFactory.create(secret="sesame")

    answer = get("/api/orchestrators/me", headers={"Authorization": "Bearer sesame"})

    assert answer.json == show(token.orchestrator)


@pytest.mark.parametrize("path", ["/api/orchestrators", "/api/orchestrators/orch-a"])
def test_the_registry_is_read_by_viewers_and_the_admin(path: str, settings: Settings) -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a")

    assert [get(path, headers=VIEWER).status, get(path, headers=ADMIN).status] == [200, 200]
    assert (get(path).status, get(path).detail) == (401, "Viewer token required")
    settings.VIEWER_TOKENS = []
    assert get(path, headers=VIEWER).detail == "Admin token required"
    settings.API_ADMIN_TOKEN = ""
    assert get(path, headers={"X-Admin-Token": ""}).detail == "Admin token required"


# --- Redaction ------------------------------------------------------------------------------------

HIDDEN = {
    "host_public_ip": "203.0.113.10",
    "last_seen_ip": "203.0.113.10",
    "health_url": "http://203.0.113.10/",
    "last_session_upstream_addr": "203.0.113.11",
    "last_session_edge_id": "edge-a",
}


def test_addresses_are_hidden_from_who_is_no_manager(settings: Settings) -> None:
    orchestrator = OrchestratorFactory.create(contact_email="ops@example.org", **HIDDEN)
    settings.MANAGER_IP_ALLOWLIST = ["2001:DB8::7"]

    stranger, manager = show(orchestrator), show(orchestrator, caller="2001:db8:0::7")
    (listed,) = get("/api/orchestrators", headers=VIEWER).json["orchestrators"]

    assert {name: stranger[name] for name in HIDDEN} == dict.fromkeys(HIDDEN)
    assert {name: listed[name] for name in HIDDEN} == dict.fromkeys(HIDDEN)
    assert {name: manager[name] for name in HIDDEN} == HIDDEN
    assert stranger["contact_email"] == "ops@example.org"


def test_without_an_allowlist_nothing_is_hidden() -> None:
    record = show(OrchestratorFactory.create(**HIDDEN))

    assert {name: record[name] for name in HIDDEN} == HIDDEN


def test_an_orchestrator_sees_itself_unredacted(settings: Settings) -> None:
    TokenFactory.create(secret="sesame", orchestrator__host_public_ip="203.0.113.10")
    settings.MANAGER_IP_ALLOWLIST = ["192.0.2.1"]

    me = get("/api/orchestrators/me", headers={"Authorization": "Bearer sesame"}).json

    assert me["host_public_ip"] == "203.0.113.10"


# --- Liveness -------------------------------------------------------------------------------------


def test_a_session_makes_its_host_active_and_in_use() -> None:
    session = SessionFactory.create(orchestrator__last_seen=LONG_AGO)

    # The session counts, and so does the lease that it stands for.
    assert liveness(host_of(session)) == (True, "session", True, 1, 1)


def test_a_quiet_session_keeps_its_lease_but_is_not_active() -> None:
    session = SessionFactory.create(
        orchestrator__last_seen=LONG_AGO, last_seen_at=NOON - timedelta(seconds=121)
    )

    assert liveness(host_of(session)) == (True, "activity_lease", True, 0, 1)


def test_a_hidden_session_lease_does_not_count() -> None:
    session = SessionFactory.create(
        orchestrator__last_seen=LONG_AGO, last_seen_at=NOON - timedelta(seconds=301), lease_hidden_at=NOON
    )

    assert liveness(host_of(session)) == (False, None, False, 0, 0)


def test_an_ended_session_does_not_count() -> None:
    session = SessionFactory.create(orchestrator__last_seen=LONG_AGO, ended=True)

    assert liveness(host_of(session)) == (False, None, False, 0, 0)


def test_a_lease_makes_its_host_active_until_it_expires() -> None:
    lease = LeaseFactory.create(orchestrator__last_seen=LONG_AGO)
    LeaseFactory.create(orchestrator=lease.orchestrator, revoked=True)

    during = liveness(lease.orchestrator)
    with time_machine.travel(lease.expires_at, tick=False):
        after = liveness(lease.orchestrator)

    assert during == (True, "activity_lease", True, 0, 1)
    assert after == (False, None, False, 0, 0)


@pytest.mark.parametrize(
    ("data", "active"),
    [
        ({"summary": {"services_up": 1}}, True),
        ({"summary": {"services_up": 0}}, False),
        ({"summary": {"services_up": True}}, False),
        ({"summary": {"services_up": 1.0}}, False),
        ({"summary": []}, False),
        ({}, False),
    ],
)
def test_a_fresh_forwarder_report_decides_even_against_recent_contact(
    data: dict[str, Any], active: bool
) -> None:
    orchestrator = OrchestratorFactory.create(
        forwarder_source="forwarder", forwarder_reported_at=NOON - timedelta(seconds=120), forwarder_data=data
    )

    assert liveness(orchestrator)[:2] == (active, "forwarder_health")


def test_a_stale_forwarder_report_decides_nothing() -> None:
    orchestrator = OrchestratorFactory.create(
        forwarder_reported_at=NOON - timedelta(seconds=121), forwarder_data={"summary": {"services_up": 0}}
    )

    assert liveness(orchestrator)[:2] == (True, "recent_contact")


@pytest.mark.parametrize(("ttl", "window"), [(120, 300), (400, 400)])
def test_contact_is_recent_for_the_longer_of_health_ttl_and_five_minutes(
    ttl: int, window: int, settings: Settings
) -> None:
    settings.FORWARDER_HEALTH_TTL_SECONDS = ttl
    within = OrchestratorFactory.create(last_seen=NOON - timedelta(seconds=window))
    beyond = OrchestratorFactory.create(last_seen=NOON - timedelta(seconds=window + 1))

    assert liveness(within)[:2] == (True, "recent_contact")
    assert liveness(beyond)[:2] == (False, None)


# --- What an open session has learned since ---------------------------------------------------------


def test_the_newest_open_session_shows_through() -> None:
    orchestrator = OrchestratorFactory.create(
        last_seen=LONG_AGO, last_seen_ip="203.0.113.1", last_contact_source="x"
    )
    SessionFactory.create(
        orchestrator=orchestrator, last_seen_at=NOON - timedelta(seconds=30), edge_id="edge-old"
    )
    SessionFactory.create(
        orchestrator=orchestrator,
        started_at=NOON - timedelta(seconds=60),
        last_seen_at=NOON - timedelta(seconds=11),
        updated_at=NOON - timedelta(seconds=10),
        upstream_addr="203.0.113.12",
        edge_id="edge-new",
    )

    record = show(orchestrator)

    assert record["last_seen"] == "2026-11-20T11:59:50+00:00"
    assert record["last_seen_ip"] == "203.0.113.12"
    assert record["last_contact_source"] == "session"
    assert record["last_session_seen_at"] == "2026-11-20T11:59:49+00:00"
    assert record["last_session_upstream_addr"] == "203.0.113.12"
    assert record["last_session_edge_id"] == "edge-new"


def test_later_contact_of_another_kind_is_not_covered_up() -> None:
    orchestrator = OrchestratorFactory.create(
        last_seen=NOON, last_seen_ip="203.0.113.1", last_contact_source="activity_lease"
    )
    SessionFactory.create(orchestrator=orchestrator, last_seen_at=NOON - timedelta(seconds=10))

    record = show(orchestrator)

    assert (record["last_contact_source"], record["last_seen_ip"]) == ("activity_lease", "203.0.113.1")
    assert record["last_session_upstream_addr"] == "203.0.113.11"


def test_the_address_of_another_host_teaches_nothing() -> None:
    OrchestratorFactory.create(host_public_ip="203.0.113.11")
    orchestrator = OrchestratorFactory.create(last_seen=LONG_AGO, last_seen_ip="203.0.113.1")
    SessionFactory.create(orchestrator=orchestrator, upstream_addr="203.0.113.11")

    record = show(orchestrator)

    assert record["last_seen"] == "2026-11-20T12:00:00+00:00"
    assert (record["last_seen_ip"], record["last_session_upstream_addr"]) == ("203.0.113.1", None)


def test_its_own_address_is_learned() -> None:
    orchestrator = OrchestratorFactory.create(last_seen=LONG_AGO, host_public_ip="203.0.113.11")
    SessionFactory.create(orchestrator=orchestrator, upstream_addr="203.0.113.11")

    assert show(orchestrator)["last_seen_ip"] == "203.0.113.11"


# --- Lists ----------------------------------------------------------------------------------------


def test_the_list_is_complete_without_a_limit_and_in_order_of_first_registration() -> None:
    made = [OrchestratorFactory.create().orchestrator_id for _ in range(3)]

    answer = get("/api/orchestrators", headers=VIEWER)

    assert [record["orchestrator_id"] for record in answer.json["orchestrators"]] == made
    assert answer.json["next_cursor"] is None


def test_pages_cover_the_list_without_overlap() -> None:
    made = [OrchestratorFactory.create().orchestrator_id for _ in range(5)]

    seen, query = [], "?limit=2"
    while True:
        page = get(f"/api/orchestrators{query}", headers=VIEWER).json
        seen += [record["orchestrator_id"] for record in page["orchestrators"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"

    assert seen == made


def test_a_full_last_page_has_no_next() -> None:
    OrchestratorFactory.create_batch(2)

    assert get("/api/orchestrators?limit=2", headers=VIEWER).json["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("limit=0", "greater_than_equal"),
        ("limit=2001", "less_than_equal"),
        ("limit=many", "int_parsing"),
        ("limit=1.5", "int_parsing"),
        ("limit=", "int_parsing"),
    ],
)
def test_a_limit_is_a_whole_number_from_1_to_2000(query: str, kind: str) -> None:
    assert get(f"/api/orchestrators?{query}", headers=VIEWER).problem[:2] == (kind, ["query", "limit"])


@pytest.mark.parametrize("cursor", ["", "x", "%00", "a:b:c", "%F0%9F%8D%8E", "W10:1:1"])
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    answer = get(f"/api/orchestrators?cursor={cursor}", headers=VIEWER)

    assert answer.status == (422 if cursor == "%00" else 400)
    assert answer.status == 422 or answer.detail == "Invalid cursor"


def test_a_list_of_one_costs_as_many_statements_as_a_list_of_fifty() -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert get("/api/orchestrators", headers=VIEWER).status == 200
        return len(queries)

    first = host_of(SessionFactory.create())
    LeaseFactory.create(orchestrator=first)
    commit(adjustment(first, 1, "first"))
    of_one = cost()
    for number in range(49):
        orchestrator = host_of(SessionFactory.create())
        LeaseFactory.create(orchestrator=orchestrator)
        commit(adjustment(orchestrator, 1, f"{number}"))

    assert (of_one, cost()) == (5, 5)


def test_one_record_is_five_statements_and_so_is_me_beside_its_token() -> None:
    token = TokenFactory.create(secret="sesame", last_seen_at=NOON)

    with CaptureQueriesContext(connection) as one:
        show(token.orchestrator)
    with CaptureQueriesContext(connection) as me:
        get("/api/orchestrators/me", headers={"Authorization": "Bearer sesame"})

    assert (len(one), len(me)) == (5, 5)
