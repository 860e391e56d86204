"""GET /api/sessions."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from core.money import WEI_PER_ETH
from core.timestamps import zulu
from sessions_app.records import SessionRecord
from tests.factories import OrchestratorFactory
from tests.sessions_app.rows import SessionFactory

pytestmark = pytest.mark.django_db

URL = "/api/sessions"


def listed(client: Client, **query: Any) -> Any:
    return client.get(URL, query, headers={"X-Admin-Token": "test-viewer-token"})


def ids(client: Client, **query: Any) -> list[str]:
    return [session["session_id"] for session in listed(client, **query).json()["sessions"]]


def test_a_session_is_shown_as_the_contract_says(client: Client) -> None:
    host = OrchestratorFactory.create(orchestrator_id="orch-a")
    session = SessionFactory.create(
        session_id="s1",
        orchestrator=host,
        streamer_id="cam-1",
        billed_ms=3_600_000,
        billed_wei=12 * WEI_PER_ETH,
        last_credited_wei=1,
        heartbeat_count=7,
    )

    response = listed(client)

    assert response.status_code == 200
    assert response.json() == {
        "sessions": [
            {
                "session_id": "s1",
                "orchestrator_id": "orch-a",
                "upstream_addr": "203.0.113.7",
                "upstream_port": 8080,
                "edge_id": "edge-a",
                "streamer_id": "cam-1",
                "started_at": zulu(session.started_at),
                "last_seen_at": zulu(session.last_seen_at),
                "ended_at": None,
                "last_billed_at": zulu(session.last_billed_at),
                "billed_ms": 3_600_000,
                "billed_eth": "12",
                "last_credited_eth": "0.000000000000000001",
                "heartbeat_count": 7,
                "last_event": "heartbeat",
                "updated_at": zulu(session.updated_at),
                "generation": 1,
            }
        ],
        "next_cursor": None,
    }
    assert list(response.json()["sessions"][0]) == list(SessionRecord.model_fields)


def test_sessions_come_started_last_first_and_without_older_generations(client: Client) -> None:
    now = timezone.now()
    SessionFactory.create(session_id="a", superseded=True, last_seen_at=now - timedelta(hours=3))
    SessionFactory.create(session_id="a", generation=2, last_seen_at=now - timedelta(hours=1))
    SessionFactory.create(session_id="b", last_seen_at=now, ended=True)
    SessionFactory.create(session_id="c", last_seen_at=now - timedelta(hours=2), orchestrator=None)

    assert ids(client) == ["b", "a", "c"]
    assert listed(client).json()["sessions"][1]["generation"] == 2
    assert listed(client).json()["sessions"][2]["orchestrator_id"] is None


def test_active_sessions_are_open_and_seen_within_the_idle_timeout(
    client: Client, settings: Settings
) -> None:
    settings.SESSION_IDLE_TIMEOUT_SECONDS = 60
    SessionFactory.create(session_id="live")
    SessionFactory.create(session_id="unattributed", orchestrator=None)
    SessionFactory.create(session_id="idle", last_seen_at=timezone.now() - timedelta(seconds=61))
    SessionFactory.create(session_id="ended", ended=True)

    assert set(ids(client, active_only="yes")) == {"live", "unattributed"}


def test_the_list_can_be_asked_for_one_orchestrator(client: Client) -> None:
    host = OrchestratorFactory.create(orchestrator_id="orch-a")
    SessionFactory.create(session_id="own", orchestrator=host)
    SessionFactory.create(session_id="own-idle", orchestrator=host, ended=True)
    SessionFactory.create(session_id="other")

    assert set(ids(client, orchestrator_id="orch-a")) == {"own", "own-idle"}
    assert ids(client, orchestrator_id="orch-a", active_only=True) == ["own"]
    assert ids(client, orchestrator_id="nobody") == []


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_pages_never_overlap_even_among_sessions_started_at_once(limit: int, client: Client) -> None:
    now = timezone.now()
    for number in range(10):
        SessionFactory.create(session_id=f"s{number}", last_seen_at=now - timedelta(seconds=number // 4))

    shown: list[str] = []
    cursor = None
    while not shown or cursor:
        page = listed(client, limit=limit, **({"cursor": cursor} if cursor else {})).json()
        shown += [session["session_id"] for session in page["sessions"]]
        cursor = page["next_cursor"]

    assert shown == ids(client)
    assert len(set(shown)) == 10


def test_a_cursor_is_valid_only_with_its_filters(client: Client) -> None:
    SessionFactory.create_batch(2)
    cursor = listed(client, limit=1).json()["next_cursor"]

    for query in ({"active_only": True}, {"orchestrator_id": "orch-a"}):
        response = listed(client, cursor=cursor, **query)
        assert (response.status_code, response.json()) == (400, {"detail": "Invalid cursor"})
    assert listed(client, cursor="nonsense").status_code == 400
    assert len(ids(client, cursor=cursor, active_only="off")) == 1


@pytest.mark.parametrize(
    ("query", "kind", "field"),
    [
        ({"limit": 0}, "greater_than_equal", "limit"),
        ({"limit": 2001}, "less_than_equal", "limit"),
        ({"limit": "1.5"}, "int_parsing", "limit"),
        ({"active_only": "2"}, "bool_parsing", "active_only"),
    ],
)
def test_bad_queries_are_refused(query: dict[str, Any], kind: str, field: str, client: Client) -> None:
    response = listed(client, **query)

    assert response.status_code == 422
    assert [(problem["type"], problem["loc"]) for problem in response.json()["detail"]] == [
        (kind, ["query", field])
    ]


def test_unknown_query_parameters_are_ignored(client: Client) -> None:
    assert listed(client, colour="blue").status_code == 200


def test_the_list_is_for_viewers(client: Client) -> None:
    refused = client.get(URL, headers={"X-Session-Token": "test-reporter-token"})

    assert (refused.status_code, refused.json()) == (401, {"detail": "Viewer token required"})


def test_the_list_is_one_statement_however_long_it_is(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(2):
        with django_assert_num_queries(1):
            listed(client)
        with django_assert_num_queries(1):
            listed(client, orchestrator_id="orch-a", active_only=True)
        SessionFactory.create_batch(30)
