"""Orchestrator tokens: minted, listed, revoked, and what they open."""

import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.models import OrchestratorToken
from tests.factories import NOON, OrchestratorFactory, TokenFactory
from tests.wire import ADMIN, VIEWER, Answer, call, delete, get, post

pytestmark = pytest.mark.django_db
PATH = "/api/licenses/orchestrators/orch-a/tokens"
ME = "/api/orchestrators/me"


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def me(token: str) -> Answer:
    return get(ME, headers={"Authorization": f"Bearer {token}"})


# --- Minting --------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_stored_as_a_hash() -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a")

    answer = post(PATH, headers=ADMIN)

    assert answer.status == 200
    assert list(answer.json) == ["token_id", "token", "expires_at"]
    assert re.fullmatch(r"[0-9a-f]{32}", answer.json["token_id"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", answer.json["token"])
    assert answer.json["expires_at"] is None
    stored = OrchestratorToken.objects.get()
    assert stored.token_hash == "sha256:" + hashlib.sha256(answer.json["token"].encode()).hexdigest()
    assert stored.created_at == NOON


def test_minting_adds_a_token_and_keeps_the_others() -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a")

    first, second = post(PATH, headers=ADMIN), post(PATH, headers=ADMIN)

    assert [me(first.json["token"]).status, me(second.json["token"]).status] == [200, 200]


@pytest.mark.parametrize(
    ("query", "body"), [("?rotate=true", None), ("", {"rotate": True}), ("", {"rotate": "yes"})]
)
def test_rotation_revokes_the_other_live_tokens_of_this_orchestrator(query: str, body: object) -> None:
    orchestrator = OrchestratorFactory.create(orchestrator_id="orch-a")
    live, stranger = TokenFactory.create(orchestrator=orchestrator), TokenFactory.create()
    earlier = NOON - timedelta(days=1)
    revoked = TokenFactory.create(orchestrator=orchestrator, revoked_at=earlier)

    answer = post(f"{PATH}{query}", body, headers=ADMIN)

    for row in (live, stranger, revoked):
        row.refresh_from_db()
    assert [live.revoked_at, revoked.revoked_at, stranger.revoked_at] == [NOON, earlier, None]
    assert me(answer.json["token"]).status == 200


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (b"", "application/json"),
        (b"not json", "application/json"),
        (b"[1]", "application/json"),
        (b"a=b", "application/x-www-form-urlencoded"),
        (b'{"rotate": false, "more": 1}', "application/json"),
    ],
)
def test_minting_needs_no_body_and_ignores_what_is_no_object(raw: bytes, content_type: str) -> None:
    token = TokenFactory.create(orchestrator__orchestrator_id="orch-a")

    assert call("POST", PATH, raw=raw, content_type=content_type, headers=ADMIN).status == 200

    token.refresh_from_db()
    assert token.revoked_at is None


def test_rotate_is_a_boolean() -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a")

    assert post(f"{PATH}?rotate=perhaps", headers=ADMIN).problem[:2] == ("bool_parsing", ["query", "rotate"])
    assert post(PATH, {"rotate": 7}, headers=ADMIN).problem[:2] == ("bool_parsing", ["body", "rotate"])


def test_an_unknown_orchestrator_gets_no_token() -> None:
    answer = post(PATH, headers=ADMIN)

    assert (answer.status, answer.detail) == (404, "Unknown orchestrator")


def test_ids_in_paths_are_percent_decoded_and_case_sensitive() -> None:
    OrchestratorFactory.create(orchestrator_id="süd:7 x")

    assert post("/api/licenses/orchestrators/s%C3%BCd:7%20x/tokens", headers=ADMIN).status == 200
    assert post("/api/licenses/orchestrators/S%C3%BCd:7%20x/tokens", headers=ADMIN).status == 404


# --- Listing --------------------------------------------------------------------------------------


def test_tokens_are_listed_newest_first_without_their_secrets() -> None:
    orchestrator = OrchestratorFactory.create(orchestrator_id="orch-a")
    TokenFactory.create(orchestrator=orchestrator, token_id=32 * "1", created_at=NOON - timedelta(hours=1))
    TokenFactory.create(orchestrator=orchestrator, token_id=32 * "2", revoked_at=NOON, last_seen_at=NOON)
    TokenFactory.create()

    answer = get(PATH, headers=ADMIN)

    assert answer.json["next_cursor"] is None
    assert [list(token.items()) for token in answer.json["tokens"]] == [
        [
            ("token_id", 32 * "2"),
            ("orchestrator_id", "orch-a"),
            ("created_at", "2026-11-20T12:00:00Z"),
            ("expires_at", None),
            ("revoked_at", "2026-11-20T12:00:00Z"),
            ("last_seen_at", "2026-11-20T12:00:00Z"),
        ],
        [
            ("token_id", 32 * "1"),
            ("orchestrator_id", "orch-a"),
            ("created_at", "2026-11-20T11:00:00Z"),
            ("expires_at", None),
            ("revoked_at", None),
            ("last_seen_at", None),
        ],
    ]


def test_pages_of_tokens_never_overlap_even_when_they_were_made_in_one_instant() -> None:
    orchestrator = OrchestratorFactory.create(orchestrator_id="orch-a")
    made = [TokenFactory.create(orchestrator=orchestrator, created_at=NOON).token_id for _ in range(5)]

    seen, query = [], "?limit=2"
    while True:
        page = get(f"{PATH}{query}", headers=ADMIN).json
        seen += [token["token_id"] for token in page["tokens"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"

    assert seen == made[::-1]


def test_a_cursor_is_valid_only_where_it_came_from() -> None:
    orchestrator = OrchestratorFactory.create(orchestrator_id="orch-a")
    TokenFactory.create_batch(2, orchestrator=orchestrator)
    OrchestratorFactory.create(orchestrator_id="orch-b")
    cursor = get(f"{PATH}?limit=1", headers=ADMIN).json["next_cursor"]

    other = get(f"/api/licenses/orchestrators/orch-b/tokens?cursor={cursor}", headers=ADMIN)
    registry = get(f"/api/orchestrators?cursor={cursor}", headers=ADMIN)

    assert (other.status, other.detail) == (400, "Invalid cursor")
    assert (registry.status, registry.detail) == (400, "Invalid cursor")


# --- Revoking -------------------------------------------------------------------------------------


def test_a_revoked_token_is_refused_from_then_on() -> None:
    token = TokenFactory.create(orchestrator__orchestrator_id="orch-a", secret="sesame")

    answer = delete(f"{PATH}/{token.token_id}", headers=ADMIN)

    assert (answer.status, answer.json) == (200, {"ok": True})
    assert me("sesame").status == 401


def test_revoking_again_changes_nothing() -> None:
    earlier = NOON - timedelta(days=1)
    token = TokenFactory.create(orchestrator__orchestrator_id="orch-a", revoked_at=earlier)

    assert delete(f"{PATH}/{token.token_id}", headers=ADMIN).status == 200

    token.refresh_from_db()
    assert token.revoked_at == earlier


def test_a_token_of_somebody_else_is_not_found() -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a")
    stranger = TokenFactory.create()

    answer = delete(f"{PATH}/{stranger.token_id}", headers=ADMIN)

    assert (answer.status, answer.detail) == (404, "Token not found")


def test_revoking_asks_for_the_orchestrator_first() -> None:
    assert delete(f"{PATH}/x", headers=ADMIN).detail == "Unknown orchestrator"


# --- Access ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_tokens_are_the_admins_business(method: str) -> None:
    for headers in ({}, VIEWER):
        answer = call(method, PATH, headers=headers)

        assert (answer.status, answer.detail) == (401, "Admin token required")


def test_a_token_opens_me_in_either_header() -> None:
    TokenFactory.create(secret="sesame")

    assert get(ME, headers={"Authorization": "bEaReR  sesame "}).status == 200
    assert get(ME, headers={"X-Orchestrator-Token": " sesame "}).status == 200
    assert get(ME, headers={"Authorization": "Bearer ", "X-Orchestrator-Token": "sesame"}).status == 200
    assert get(ME, headers={"Authorization": "Basic eDp5", "X-Orchestrator-Token": "sesame"}).status == 200


def test_missing_unknown_revoked_and_expired_tokens_are_refused_alike() -> None:
    TokenFactory.create(secret="revoked", revoked=True)
    TokenFactory.create(secret="expired", expires_at=NOON)

    answers = [get(ME), me("unknown"), me("revoked"), me("expired"), me("s\xe9same")]

    assert {(answer.status, answer.detail) for answer in answers} == {(401, "Orchestrator token required")}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}


def test_a_token_that_expires_later_is_good() -> None:
    TokenFactory.create(secret="sesame", expires_at=NOON + timedelta(seconds=1))

    assert me("sesame").status == 200


def test_using_a_token_moves_last_seen_once_a_minute() -> None:
    token = TokenFactory.create(secret="sesame")

    seen = []
    for seconds in (0, 59, 60):
        with time_machine.travel(NOON + timedelta(seconds=seconds), tick=False):
            me("sesame")
        token.refresh_from_db()
        seen.append(token.last_seen_at)

    assert seen == [NOON, NOON, NOON + timedelta(seconds=60)]


def test_knowing_a_token_is_one_statement_and_one_more_a_minute() -> None:
    TokenFactory.create(secret="sesame")

    def about_tokens() -> int:
        with CaptureQueriesContext(connection) as queries:
            me("sesame")
        return sum("billing_orchestratortoken" in query["sql"] for query in queries.captured_queries)

    assert [about_tokens(), about_tokens()] == [2, 1]


def test_the_database_refuses_a_token_that_is_not_a_hash() -> None:
    with pytest.raises(IntegrityError, match="billing_token_is_stored_as_a_hash"), transaction.atomic():
        TokenFactory.create(token_hash="sesame")
