"""The list of activity leases."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from billing.models import Orchestrator
from core.timestamps import parse
from sessions_app.models import ActivityLease, StreamSession
from sessions_app.services import lease_list
from tests.factories import OrchestratorFactory
from tests.sessions_app.rows import LeaseFactory, SessionFactory
from tests.sessions_app.test_leases import heartbeat, revoke

pytestmark = pytest.mark.django_db

URL = "/api/activity/leases"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def host() -> Orchestrator:
    return OrchestratorFactory.create(orchestrator_id="orch-a")


def listed(client: Client, **query: Any) -> Any:
    return client.get(URL, query, headers={"X-Admin-Token": "test-viewer-token"})


def ids(client: Client, **query: Any) -> list[str]:
    return [lease["lease_id"] for lease in listed(client, **query).json()["leases"]]


def test_rows_and_sessions_appear_together_last_seen_first(client: Client, host: Orchestrator) -> None:
    now = timezone.now()
    LeaseFactory.create(lease_id="1" * 32, orchestrator=host, last_seen_at=now - timedelta(seconds=3))
    SessionFactory.create(session_id="open", orchestrator=host, last_seen_at=now - timedelta(seconds=1))
    SessionFactory.create(
        session_id="ended", orchestrator=host, last_seen_at=now - timedelta(seconds=2), ended=True
    )
    SessionFactory.create(session_id="nobodys", orchestrator=None)

    response = listed(client)

    assert response.status_code == 200
    assert list(response.json()) == ["leases", "next_cursor"]
    assert response.json()["next_cursor"] is None
    assert ids(client) == ["session:open", "session:ended", "1" * 32]


def test_a_lease_looks_the_same_wherever_it_is_answered(client: Client, host: Orchestrator) -> None:
    # These addresses PostgreSQL spells in its own way.
    SessionFactory.create(
        session_id="abc",
        orchestrator=host,
        streamer_id="cam-1",
        edge_id=None,
        upstream_addr="::102:304",
        reported_ip="::506:708",
    )
    row = LeaseFactory.create(
        orchestrator=host,
        metadata={"a": {"b": [1.5, "ü"]}},
        last_seen_ip="::506:708",
        upstream_addr="::1.2.3.4",
    )

    first, second = listed(client).json()["leases"]

    assert {first["lease_id"], second["lease_id"]} == {"session:abc", row.lease_id}
    of_session = next(lease for lease in (first, second) if lease["lease_id"] == "session:abc")
    answered = heartbeat(client, "session:abc").json()
    assert of_session == answered
    assert list(of_session) == list(answered)
    assert of_session["upstream_addr"] == of_session["metadata"]["upstream_addr"] == "::102:304"
    assert of_session["last_seen_ip"] == "::506:708"
    of_row = next(lease for lease in (first, second) if lease["lease_id"] == row.lease_id)
    assert of_row["upstream_addr"] == "::1.2.3.4"
    beaten = heartbeat(client, row.lease_id).json()
    assert listed(client, active_only=True).json()["leases"][0] == beaten
    assert of_row.keys() == beaten.keys()


def test_only_the_newest_generation_of_a_session_is_a_lease(client: Client, host: Orchestrator) -> None:
    SessionFactory.create(
        session_id="abc", orchestrator=host, superseded=True, last_seen_at=NOON - timedelta(hours=1)
    )
    fresh = SessionFactory.create(session_id="abc", generation=2, orchestrator=host)

    [lease] = listed(client).json()["leases"]

    assert parse(lease["issued_at"]) == fresh.started_at
    assert lease["revoked_at"] is None


def test_an_ended_session_is_a_lease_revoked_at_its_end(client: Client, host: Orchestrator) -> None:
    session = SessionFactory.create(session_id="abc", orchestrator=host, ended=True)

    [lease] = listed(client).json()["leases"]

    assert parse(lease["revoked_at"]) == session.ended_at
    assert ids(client, active_only=True) == []


def test_active_lists_leave_out_what_is_revoked_expired_ended_silent_or_hidden(
    client: Client, host: Orchestrator
) -> None:
    silent = timezone.now() - timedelta(seconds=901)
    LeaseFactory.create(lease_id="live", orchestrator=host, last_seen_at=timezone.now())
    LeaseFactory.create(lease_id="expired", orchestrator=host, expired=True)
    LeaseFactory.create(lease_id="revoked", orchestrator=host, revoked=True)
    SessionFactory.create(session_id="live", orchestrator=host)
    SessionFactory.create(session_id="silent", orchestrator=host, last_seen_at=silent)
    SessionFactory.create(session_id="ended", orchestrator=host, ended=True)
    SessionFactory.create(session_id="hidden", orchestrator=host, lease_hidden_at=timezone.now())

    assert set(ids(client, active_only="true")) == {"live", "session:live"}
    assert len(ids(client)) == 7


def test_hiding_a_session_lease_takes_it_out_of_active_lists_only(client: Client, host: Orchestrator) -> None:
    SessionFactory.create(session_id="abc", orchestrator=host)

    revoke(client, "session:abc")

    assert ids(client, active_only=True) == []
    [lease] = listed(client).json()["leases"]
    assert lease["revoked_at"] is not None


def test_the_list_can_be_asked_for_one_orchestrator(client: Client, host: Orchestrator) -> None:
    for orchestrator in (host, OrchestratorFactory.create()):
        LeaseFactory.create(orchestrator=orchestrator)
        SessionFactory.create(orchestrator=orchestrator)
        SessionFactory.create(orchestrator=orchestrator, ended=True)

    leases = listed(client, orchestrator_id="orch-a").json()["leases"]

    assert len(leases) == 3
    assert {lease["orchestrator_id"] for lease in leases} == {"orch-a"}
    assert ids(client, orchestrator_id="nobody") == []


@pytest.mark.parametrize("moment", ["apart", "at once"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_never_overlap_nor_leave_anything_out(
    limit: int, moment: str, client: Client, host: Orchestrator
) -> None:
    """Also when everything was seen at the same moment; then ids decide, across all sources."""
    start = timezone.now() - timedelta(minutes=1)
    for number, name in enumerate(["0", "A", "a", "z", "session", "sessionz", "~", "ü"]):
        at = start + timedelta(microseconds=number if moment == "apart" else 0)
        LeaseFactory.create(lease_id=name, orchestrator=host, last_seen_at=at)
        SessionFactory.create(session_id=name, orchestrator=host, last_seen_at=at)
        SessionFactory.create(session_id=f"{name}-over", orchestrator=host, last_seen_at=at, ended=True)

    pages: list[list[dict[str, Any]]] = []
    cursor = None
    while not pages or cursor:
        page = listed(client, limit=limit, **({"cursor": cursor} if cursor else {})).json()
        pages.append(page["leases"])
        cursor = page["next_cursor"]

    leases = [lease for page in pages for lease in page]
    assert len(pages) == math.ceil(24 / limit)
    assert [lease["lease_id"] for lease in leases] == ids(client)
    assert len({lease["lease_id"] for lease in leases}) == 24
    keys = [(parse(lease["last_seen_at"]), lease["lease_id"].encode()) for lease in leases]
    assert keys == sorted(keys, reverse=True)


@hypothesis_settings(max_examples=200, deadline=None)
@given(cursor=st.text(max_size=12), session_id=st.text(min_size=1, max_size=12))
def test_the_bound_on_session_ids_means_the_bound_on_lease_ids(cursor: str, session_id: str) -> None:
    moment = "2026-11-20T12:00:00Z"
    for lease_id in (cursor, f"session:{cursor}"):
        bounds = lease_list._bounds((moment, lease_id))

        comes_after = f"session:{session_id}" < lease_id
        found = (parse(moment), session_id) < (bounds["before_session_at"], bounds["before_session"])

        assert found == comes_after


@pytest.mark.parametrize("change", [{"active_only": "true"}, {"orchestrator_id": "orch-b"}])
def test_a_cursor_is_valid_only_with_its_filters(
    change: dict[str, str], client: Client, host: Orchestrator
) -> None:
    LeaseFactory.create_batch(2, orchestrator=host)
    cursor = listed(client, limit=1, orchestrator_id="orch-a").json()["next_cursor"]

    for query in ({**change}, {"orchestrator_id": "orch-a", **change}, {}):
        response = listed(client, cursor=cursor, **query)
        assert (response.status_code, response.json()) == (400, {"detail": "Invalid cursor"})
    assert len(ids(client, cursor=cursor, orchestrator_id="orch-a", limit=2_000)) == 1


@pytest.mark.parametrize("cursor", ["", "nonsense", "ü", "a:b:c"])
def test_a_made_up_cursor_is_refused(cursor: str, client: Client) -> None:
    response = listed(client, cursor=cursor)

    assert (response.status_code, response.json()) == (400, {"detail": "Invalid cursor"})


def test_a_cursor_of_another_list_is_refused(client: Client, host: Orchestrator) -> None:
    SessionFactory.create_batch(2, orchestrator=host)
    headers = {"X-Admin-Token": "test-viewer-token"}
    cursor = client.get("/api/sessions", {"limit": 1}, headers=headers).json()["next_cursor"]

    assert listed(client, cursor=cursor).status_code == 400


@pytest.mark.parametrize(
    ("query", "kind", "loc"),
    [
        ({"limit": 0}, "greater_than_equal", ["query", "limit"]),
        ({"limit": 2001}, "less_than_equal", ["query", "limit"]),
        ({"limit": "many"}, "int_parsing", ["query", "limit"]),
        ({"active_only": "maybe"}, "bool_parsing", ["query", "active_only"]),
        ({"orchestrator_id": "a\x00"}, "value_error", ["query", "orchestrator_id"]),
    ],
)
def test_bad_queries_are_refused(query: dict[str, Any], kind: str, loc: list[str], client: Client) -> None:
    response = listed(client, **query)

    assert response.status_code == 422
    assert [(problem["type"], problem["loc"]) for problem in response.json()["detail"]] == [(kind, loc)]


@pytest.mark.parametrize("token", ["test-admin-token", "test-viewer-token"])
def test_admins_and_viewers_may_read(token: str, client: Client) -> None:
    assert client.get(URL, headers={"X-Admin-Token": token}).status_code == 200
    refused = client.get(URL)
    assert (refused.status_code, refused.json()) == (401, {"detail": "Viewer token required"})


def test_the_list_is_one_statement_however_long_it_is(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(2):
        with django_assert_num_queries(1):
            listed(client, orchestrator_id="orch-a", active_only=True)
        with django_assert_num_queries(1):
            listed(client)
        LeaseFactory.create_batch(20)
        SessionFactory.create_batch(20)

    assert ActivityLease.objects.count() + StreamSession.objects.count() == 80


def test_a_hidden_session_lease_comes_back_with_the_next_sign_of_life(
    client: Client, host: Orchestrator
) -> None:
    def report(event: str) -> None:
        body = {
            "session_id": "abc",
            "event": event,
            "orchestrator_id": "orch-a",
            "upstream_addr": "203.0.113.7",
        }
        response = client.post(
            "/api/sessions/events",
            body,
            content_type="application/json",
            headers={"X-Session-Token": "test-reporter-token"},
        )
        assert response.status_code == 200

    report("start")
    for event in ("heartbeat", "start"):
        revoke(client, "session:abc")
        assert ids(client, active_only=True) == []
        report(event)
        assert ids(client, active_only=True) == ["session:abc"]
    report("end")
    assert ids(client, active_only=True) == []
    report("start")
    assert ids(client, active_only=True) == ["session:abc"]
    assert len(ids(client)) == 1
