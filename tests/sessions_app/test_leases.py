"""Activity leases: create, heartbeat, revoke."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from billing.models import Orchestrator
from core.timestamps import parse
from sessions_app.models import ActivityLease, StreamSession
from tests.factories import OrchestratorFactory
from tests.sessions_app.rows import LeaseFactory, SessionFactory

pytestmark = pytest.mark.django_db

ADMIN = {"X-Admin-Token": "test-admin-token"}
URL = "/api/activity/leases"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def host() -> Orchestrator:
    return OrchestratorFactory.create(orchestrator_id="orch-a", last_seen=NOON, last_contact_source=None)


def send(client: Client, method: str, url: str, body: Any = None, **headers: str) -> Any:
    return client.generic(
        method, url, json.dumps(body or {}), "application/json", headers={**ADMIN, **headers}
    )


def create(client: Client, **fields: Any) -> Any:
    return send(client, "POST", URL, {"orchestrator_id": "orch-a", "upstream_addr": "203.0.113.9", **fields})


def heartbeat(client: Client, lease_id: str, **fields: Any) -> Any:
    return send(client, "POST", f"{URL}/{lease_id}/heartbeat", {"orchestrator_id": "orch-a", **fields})


def revoke(client: Client, lease_id: str) -> Any:
    return send(client, "DELETE", f"{URL}/{lease_id}")


def seconds(lease: dict[str, Any]) -> float:
    return (parse(lease["expires_at"]) - parse(lease["last_seen_at"])).total_seconds()


# --- Create ---------------------------------------------------------------------------------------


def test_a_lease_is_created_with_a_random_id_and_the_contracts_fields(
    client: Client, host: Orchestrator
) -> None:
    response = create(client, metadata={"workload": "render-42", "deep": [1, 2.5, None]})

    assert response.status_code == 200
    lease = response.json()
    assert list(lease) == [
        "lease_id",
        "orchestrator_id",
        "upstream_addr",
        "kind",
        "metadata",
        "issued_at",
        "last_seen_at",
        "last_seen_ip",
        "expires_at",
        "revoked_at",
    ]
    assert re.fullmatch(r"[0-9a-f]{32}", lease["lease_id"])
    assert lease["orchestrator_id"] == "orch-a"
    assert lease["kind"] == "workload"
    assert lease["metadata"] == {"workload": "render-42", "deep": [1, 2.5, None]}
    assert lease["last_seen_ip"] == "127.0.0.1"
    assert lease["revoked_at"] is None
    assert lease["issued_at"] == lease["last_seen_at"]
    assert lease["issued_at"].endswith("Z")
    assert seconds(lease) == 900


@pytest.mark.parametrize(
    ("wanted", "granted"), [(None, 900), (30, 30), ("60", 60), (3_600, 3_600), (86_400, 3_600)]
)
def test_the_lifetime_is_cut_to_what_the_settings_allow(
    wanted: Any, granted: int, client: Client, host: Orchestrator
) -> None:
    assert seconds(create(client, lease_seconds=wanted).json()) == granted


def test_a_default_lifetime_under_30_seconds_is_lifted_and_the_maximum_has_the_last_word(
    client: Client, host: Orchestrator, settings: Settings
) -> None:
    settings.ACTIVITY_LEASE_SECONDS = 5
    assert seconds(create(client).json()) == 30

    settings.ACTIVITY_LEASE_MAX_SECONDS = 20
    assert seconds(create(client).json()) == 20


@pytest.mark.parametrize(
    ("fields", "kind", "loc"),
    [
        ({"orchestrator_id": None}, "missing", ["body", "orchestrator_id"]),
        ({"orchestrator_id": ""}, "string_too_short", ["body", "orchestrator_id"]),
        ({"orchestrator_id": "x" * 129}, "string_too_long", ["body", "orchestrator_id"]),
        ({"orchestrator_id": 7}, "string_type", ["body", "orchestrator_id"]),
        ({"upstream_addr": ""}, "string_too_short", ["body", "upstream_addr"]),
        ({"upstream_addr": "x" * 256}, "string_too_long", ["body", "upstream_addr"]),
        ({"upstream_addr": "a\x00b"}, "value_error", ["body", "upstream_addr"]),
        ({"kind": ""}, "string_too_short", ["body", "kind"]),
        ({"kind": "x" * 33}, "string_too_long", ["body", "kind"]),
        ({"lease_seconds": 29}, "greater_than_equal", ["body", "lease_seconds"]),
        ({"lease_seconds": 86_401}, "less_than_equal", ["body", "lease_seconds"]),
        ({"lease_seconds": "soon"}, "int_parsing", ["body", "lease_seconds"]),
        ({"lease_seconds": 60.5}, "int_from_float", ["body", "lease_seconds"]),
        ({"lease_seconds": []}, "int_type", ["body", "lease_seconds"]),
        ({"metadata": []}, "dict_type", ["body", "metadata"]),
        ({"metadata": {"a": ["\x00"]}}, "value_error", ["body", "metadata"]),
    ],
)
def test_bad_input_is_refused_in_the_contracts_words(
    fields: dict[str, Any], kind: str, loc: list[str], client: Client, host: Orchestrator
) -> None:
    body = {"orchestrator_id": "orch-a", "upstream_addr": "203.0.113.9", **fields}
    if body["orchestrator_id"] is None:
        del body["orchestrator_id"]

    response = send(client, "POST", URL, body)

    assert response.status_code == 422
    assert [(problem["type"], problem["loc"]) for problem in response.json()["detail"]] == [(kind, loc)]
    assert not ActivityLease.objects.exists()


def test_null_for_an_optional_field_equals_absence(client: Client, host: Orchestrator) -> None:
    lease = create(client, kind=None, metadata=None, lease_seconds=None).json()

    assert (lease["kind"], lease["metadata"], seconds(lease)) == ("workload", {}, 900)


def test_metadata_may_have_64_kib_and_not_one_byte_more(client: Client, host: Orchestrator) -> None:
    fits = {"a": "ü" * ((65_536 - 8) // 2)}
    assert create(client, metadata=fits).status_code == 200

    refused = create(client, metadata={"a": fits["a"] + "x"})

    assert (refused.status_code, refused.json()) == (413, {"detail": "Payload too large"})


def test_checks_come_in_order_401_422_413_404(client: Client) -> None:
    large = {"a": "x" * 65_536}

    unauthenticated = client.post(URL, b"{", "application/json")
    invalid = create(client, kind="", metadata=large)
    too_large = create(client, metadata=large)
    unknown = create(client)

    assert (unauthenticated.status_code, unauthenticated.json()) == (401, {"detail": "Admin token required"})
    assert invalid.status_code == 422
    assert too_large.status_code == 413
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Unknown orchestrator"})


def test_a_viewer_may_not_write(client: Client, host: Orchestrator) -> None:
    lease = LeaseFactory.create(orchestrator=host)

    for method, url in [
        ("POST", URL),
        ("POST", f"{URL}/{lease.lease_id}/heartbeat"),
        ("DELETE", f"{URL}/{lease.lease_id}"),
    ]:
        response = send(client, method, url, {}, **{"X-Admin-Token": "test-viewer-token"})
        assert response.status_code == 401


def test_leases_do_not_depend_on_eligibility(client: Client, host: Orchestrator) -> None:
    Orchestrator.objects.update(denylisted=True, cooldown_expires_at=timezone.now() + timedelta(hours=1))

    assert create(client).status_code == 200


def test_creating_records_contact_with_an_address_only_if_it_is_one(
    client: Client, host: Orchestrator
) -> None:
    create(client, upstream_addr="render-node-4")
    host.refresh_from_db()
    assert (host.last_contact_source, host.last_seen_ip) == ("activity_lease", None)
    assert timezone.now() - host.last_seen < timedelta(minutes=1)

    create(client, upstream_addr="::ffff:203.0.113.9")
    host.refresh_from_db()
    assert host.last_seen_ip == "203.0.113.9"


# --- Heartbeat ------------------------------------------------------------------------------------


def test_a_heartbeat_extends_a_lease_from_now(client: Client, host: Orchestrator) -> None:
    long_ago = timezone.now() - timedelta(minutes=10)
    lease = LeaseFactory.create(orchestrator=host, last_seen_at=long_ago, upstream_addr="203.0.113.9")

    beat = heartbeat(client, lease.lease_id, lease_seconds=120).json()

    assert parse(beat["issued_at"]) == long_ago
    assert timezone.now() - parse(beat["last_seen_at"]) < timedelta(minutes=1)
    assert seconds(beat) == 120
    assert beat["last_seen_ip"] == "127.0.0.1"
    lease.refresh_from_db()
    assert lease.expires_at == parse(beat["expires_at"])
    host.refresh_from_db()
    assert (host.last_contact_source, host.last_seen_ip) == ("activity_lease", "203.0.113.9")


def test_a_heartbeat_can_shorten_a_lease(client: Client, host: Orchestrator) -> None:
    lease = create(client, lease_seconds=3_600).json()

    assert seconds(heartbeat(client, lease["lease_id"], lease_seconds=30).json()) == 30


@pytest.mark.parametrize("state", [{"expired": True}, {"revoked": True}])
def test_a_lease_that_is_over_cannot_be_kept_alive(
    state: dict[str, bool], client: Client, host: Orchestrator
) -> None:
    lease = LeaseFactory.create(orchestrator=host, **state)

    response = heartbeat(client, lease.lease_id)

    assert (response.status_code, response.json()) == (404, {"detail": "Lease not found"})


def test_nobody_keeps_the_lease_of_another_alive(client: Client, host: Orchestrator) -> None:
    lease = LeaseFactory.create()

    for lease_id in (lease.lease_id, "no-such-lease", "session:no-such-session"):
        response = heartbeat(client, lease_id)
        assert (response.status_code, response.json()) == (404, {"detail": "Lease not found"})
    host.refresh_from_db()
    assert host.last_seen == NOON


def test_a_heartbeat_needs_to_say_whose_lease_it_is(client: Client, host: Orchestrator) -> None:
    lease = LeaseFactory.create(orchestrator=host)

    response = send(client, "POST", f"{URL}/{lease.lease_id}/heartbeat", {})

    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "orchestrator_id"]


# --- Revoke ---------------------------------------------------------------------------------------


def test_a_lease_is_revoked_once_and_saying_so_again_changes_nothing(
    client: Client, host: Orchestrator
) -> None:
    lease = LeaseFactory.create(orchestrator=host)

    first = revoke(client, lease.lease_id)
    lease.refresh_from_db()
    revoked_at = lease.revoked_at
    again = revoke(client, lease.lease_id)
    lease.refresh_from_db()

    assert first.json() == again.json() == {"ok": True, "lease_id": lease.lease_id}
    assert first.status_code == again.status_code == 200
    assert revoked_at is not None
    assert lease.revoked_at == revoked_at


@pytest.mark.parametrize("lease_id", ["no-such-lease", "session:no-such-session", "session:"])
def test_an_unknown_lease_cannot_be_revoked(lease_id: str, client: Client) -> None:
    response = revoke(client, lease_id)

    assert (response.status_code, response.json()) == (404, {"detail": "Lease not found"})


def test_a_null_character_in_a_lease_id_is_invalid_and_not_a_failure(client: Client) -> None:
    assert revoke(client, "a%00b").status_code == 422
    assert heartbeat(client, "a%00b").status_code == 422


# --- Leases of sessions ---------------------------------------------------------------------------


def test_the_heartbeat_of_a_session_lease_returns_it_and_does_not_extend_it(
    client: Client, host: Orchestrator
) -> None:
    session = SessionFactory.create(
        session_id="abc", orchestrator=host, last_seen_at=timezone.now() - timedelta(minutes=10)
    )
    before = StreamSession.objects.values().get()

    lease = heartbeat(client, "session:abc", lease_seconds=3_600).json()

    assert lease["lease_id"] == "session:abc"
    assert lease["kind"] == "session"
    assert lease["metadata"] == {
        "session_id": "abc",
        "edge_id": "edge-a",
        "streamer_id": None,
        "upstream_addr": "203.0.113.7",
        "upstream_port": 8080,
    }
    assert parse(lease["issued_at"]) == session.started_at
    assert parse(lease["last_seen_at"]) == session.last_seen_at
    assert lease["last_seen_ip"] == "198.51.100.7"
    assert seconds(lease) == 900
    assert StreamSession.objects.values().get() == before
    host.refresh_from_db()
    assert host.last_contact_source == "activity_lease"


@pytest.mark.parametrize(
    "state",
    [
        {"ended": True},
        {"lease_hidden_at": NOON},
        {"last_seen_at": NOON},
        {"orchestrator": None},
        {"superseded": True},
    ],
)
def test_a_session_without_a_live_lease_answers_no_heartbeat(
    state: dict[str, Any], client: Client, host: Orchestrator
) -> None:
    SessionFactory.create(session_id="abc", **{"orchestrator": host, **state})

    response = heartbeat(client, "session:abc")

    assert (response.status_code, response.json()) == (404, {"detail": "Lease not found"})


def test_the_lease_of_a_session_can_be_hidden_again_and_again(client: Client, host: Orchestrator) -> None:
    session = SessionFactory.create(session_id="a b-ü", orchestrator=host)

    first = revoke(client, "session:a%20b-%C3%BC")
    session.refresh_from_db()
    hidden_at = session.lease_hidden_at
    again = revoke(client, "session:a%20b-%C3%BC")
    session.refresh_from_db()

    assert first.json() == again.json() == {"ok": True, "lease_id": "session:a b-ü"}
    assert hidden_at is not None
    assert session.lease_hidden_at == hidden_at


def test_the_lease_of_an_ended_session_can_be_revoked_too(client: Client, host: Orchestrator) -> None:
    SessionFactory.create(session_id="abc", orchestrator=host, ended=True)

    assert revoke(client, "session:abc").json() == {"ok": True, "lease_id": "session:abc"}


def test_an_unattributed_session_has_no_lease_to_revoke(client: Client) -> None:
    SessionFactory.create(session_id="abc", orchestrator=None)

    assert revoke(client, "session:abc").status_code == 404


# --- Cost -----------------------------------------------------------------------------------------


def test_each_call_takes_a_fixed_number_of_statements(
    client: Client, host: Orchestrator, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    lease = LeaseFactory.create(orchestrator=host)
    SessionFactory.create(session_id="abc", orchestrator=host)
    # Each call runs in a transaction of its own, inside that of the test: two statements.
    frame = 2

    with django_assert_num_queries(frame + 3):
        create(client)
    with django_assert_num_queries(frame + 3):
        heartbeat(client, lease.lease_id)
    with django_assert_num_queries(frame + 2):
        heartbeat(client, "session:abc")
    with django_assert_num_queries(frame + 1):
        revoke(client, lease.lease_id)
    with django_assert_num_queries(frame + 1):
        revoke(client, "session:abc")
