"""The Embody wire family from outside: routes, methods, bodies, refusals, and the order of checks."""

import json
from io import BytesIO
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import resolve
from pytest_django import Settings

from core import api
from core.api import MAX_BODY_BYTES, MAX_DRAINED_BYTES, BodyTooLarge, read_body
from tests.factories import OrchestratorFactory, TokenFactory
from tests.wire import ADMIN, VIEWER, call, delete, get, post

pytestmark = pytest.mark.django_db
HEALTH = "/api/orchestrators/orch-a/health"


@pytest.fixture
def _orchestrator() -> None:
    OrchestratorFactory.create(orchestrator_id="orch-a")


# --- Routes and methods -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/nothing", "/api/orchestrators/a/b"])
def test_an_unknown_route_is_told_in_json(path: str) -> None:
    answer = get(path)

    assert (answer.status, answer.json) == (404, {"detail": "Not Found"})
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BODY", "POST"])
def test_a_wrong_method_is_told_before_anybody_is_asked_who_they_are(method: str) -> None:
    answer = call(method, "/api/orchestrators")

    assert (answer.status, answer.json) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["Allow"] == "GET, HEAD"


def test_head_is_a_get_without_its_body() -> None:
    answered = call("HEAD", "/api/orchestrators", headers=VIEWER)
    refused = call("HEAD", "/api/orchestrators")

    assert (answered.status, answered.json) == (200, None)
    assert (refused.status, refused.json) == (401, None)
    assert call("HEAD", HEALTH).status == 405


@pytest.mark.usefixtures("_orchestrator")
def test_one_trailing_slash_is_the_same_path_and_nothing_redirects() -> None:
    assert get("/api/orchestrators/", headers=VIEWER).status == 200
    assert get("/api/orchestrators/orch-a/", headers=VIEWER).json["orchestrator_id"] == "orch-a"
    assert post(f"{HEALTH}/", {"data": {}}, headers=ADMIN).status == 200
    assert get("/health/").status == 200
    assert get("/api/orchestrators//", headers=VIEWER).status == 404


@pytest.mark.parametrize(
    "name", ["session:abc", "job 42", "ü", "a.b", "%", "a?b", "a#b", "a\nb", "..", "+", "me2"]
)
def test_a_path_parameter_is_any_text_without_a_slash(name: str) -> None:
    OrchestratorFactory.create(orchestrator_id=name)
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())

    answer = get(f"/api/orchestrators/{quoted}", headers=VIEWER)

    assert answer.status == 200
    assert answer.json["orchestrator_id"] == name


def test_a_nul_in_a_path_is_a_problem_of_that_parameter() -> None:
    answer = get("/api/orchestrators/a%00b", headers=VIEWER)

    assert answer.problem == (
        "value_error",
        ["path", "orchestrator_id"],
        "Value error, null characters are not allowed",
    )
    assert get("/api/orchestrators/a%00b").status == 401


def test_broken_percent_encoding_is_just_another_name() -> None:
    assert get("/api/orchestrators/%FF%FE%ZZ", headers=VIEWER).status == 404


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "*/*;q=0"])
def test_answers_are_json_whatever_is_accepted(accept: str) -> None:
    answer = get("/api/orchestrators", headers={**VIEWER, "Accept": accept})

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


def test_too_many_query_parameters_are_refused_in_json() -> None:
    query = "&".join(f"a{number}=1" for number in range(1_100))

    answer = get(f"/api/orchestrators?{query}", headers=VIEWER)

    assert (answer.status, answer.json) == (400, {"detail": "Bad Request"})


def test_of_a_repeated_query_parameter_the_last_counts() -> None:
    OrchestratorFactory.create_batch(2)

    assert len(get("/api/orchestrators?limit=x&limit=1", headers=VIEWER).json["orchestrators"]) == 1


def test_every_answer_carries_a_request_id() -> None:
    assert len(get("/api/nothing").headers["X-Request-ID"]) == 32
    assert get("/health", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert get("/health", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


def test_an_unforeseen_failure_is_told_without_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("billing.services.health_reports.store", broken)

    answer = post(HEALTH, {"data": {}}, headers=ADMIN)

    assert (answer.status, answer.json) == (500, {"detail": "Internal Server Error"})


# --- Bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/JSON; charset=utf-8", "application/x+json", ""]
)
@pytest.mark.usefixtures("_orchestrator")
def test_json_is_json_under_all_its_names(content_type: str) -> None:
    assert call("POST", HEALTH, raw=b'{"data":{}}', content_type=content_type, headers=ADMIN).status == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "nonsense", "multipart/form-data"]
)
def test_another_content_type_is_no_object(content_type: str) -> None:
    answer = call("POST", HEALTH, raw=b'{"data":{}}', content_type=content_type, headers=ADMIN)

    assert answer.problem[:2] == ("model_attributes_type", ["body"])


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_json_that_is_no_object_is_told(raw: bytes) -> None:
    assert call("POST", HEALTH, raw=raw, headers=ADMIN).problem[:2] == ("model_attributes_type", ["body"])


def test_a_missing_body_is_missing() -> None:
    assert post(HEALTH, headers=ADMIN).problem == ("missing", ["body"], "Field required")


def test_broken_json_says_where() -> None:
    answer = call("POST", HEALTH, raw=b'{"data": }', headers=ADMIN)

    assert answer.problem[:2] == ("json_invalid", ["body", 9])


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"data":' * 100_000,
        b'{"data":' + 900 * b'{"a":' + b"1" + 901 * b"}",
        b'{"data":{"a":' + b"9" * 5_000 + b"}}",
        b'{"data":{"a":1e' + b"9" * 5_000 + b"}}",
        b'{"source":1e999999999,"data":{}}',
        b'{"data":{"\\ud800":1}}',
        b'{"\\ud800":1}',
        b"\xff\xfe",
        b"\x00",
    ],
)
def test_hostile_json_is_a_422(raw: bytes) -> None:
    assert call("POST", HEALTH, raw=raw, headers=ADMIN).status == 422


def test_a_body_of_two_mebibytes_is_read_and_one_byte_more_is_not() -> None:
    largest = b'{"data":{}}'.ljust(MAX_BODY_BYTES)

    assert call("POST", HEALTH, raw=largest, headers=ADMIN).detail == "Unknown orchestrator"
    answer = call("POST", HEALTH, raw=largest + b" ", headers=ADMIN)
    assert (answer.status, answer.detail) == (413, "Request body too large")


def test_an_endpoint_without_a_body_ignores_any() -> None:
    token = TokenFactory.create(orchestrator__orchestrator_id="orch-a")

    path = f"/api/licenses/orchestrators/orch-a/tokens/{token.token_id}"
    assert delete(path, raw=b"\xff{", content_type="nonsense", headers=ADMIN).status == 200
    assert get("/api/orchestrators", raw=b"{", headers=VIEWER).status == 200


@pytest.mark.parametrize("announced", ["9" * 5_000, str(MAX_DRAINED_BYTES + 1)])
def test_an_announced_length_far_beyond_the_cap_is_refused_unread(announced: str) -> None:
    with pytest.raises(BodyTooLarge):
        read_body({"CONTENT_LENGTH": announced, "wsgi.input": None})


def test_a_body_just_beyond_the_cap_is_read_to_its_end_so_that_the_connection_lives_on() -> None:
    body = BytesIO((MAX_BODY_BYTES + 1) * b"x" + b"the next request")

    with pytest.raises(BodyTooLarge):
        read_body({"CONTENT_LENGTH": str(MAX_BODY_BYTES + 1), "wsgi.input": body})

    assert body.read() == b"the next request"


@pytest.mark.parametrize("announced", ["", "-1", "x", None])
def test_without_a_length_there_is_no_body(announced: str | None) -> None:
    assert read_body({"CONTENT_LENGTH": announced, "wsgi.input": None}) == b""


def test_a_body_in_chunks_is_read_up_to_the_cap() -> None:

    chunked = {"HTTP_TRANSFER_ENCODING": "Chunked"}

    assert read_body({**chunked, "wsgi.input": BytesIO(b"abc")}) == b"abc"
    with pytest.raises(BodyTooLarge):
        read_body({**chunked, "wsgi.input": BytesIO((MAX_BODY_BYTES + 1) * b" ")})


# --- Order of checks --------------------------------------------------------------------------------


def test_authentication_schema_size_and_lookup_are_asked_in_this_order() -> None:
    too_large = {"data": {"a": 70_000 * "x"}}

    steps = [
        call("POST", HEALTH, raw=b"{", headers={}),
        call("POST", HEALTH, raw=b"{", headers=ADMIN),
        post(HEALTH, {**too_large, "source": 1}, headers=ADMIN),
        post(HEALTH, too_large, headers=ADMIN),
        post(HEALTH, {"data": {}}, headers=ADMIN),
    ]

    assert [step.status for step in steps] == [401, 422, 422, 413, 404]


def test_a_refusal_leaves_a_surrounding_transaction_usable() -> None:
    assert post(HEALTH, {"data": {}}, headers=ADMIN).status == 404
    assert OrchestratorFactory.create().pk


# --- The description of the API ---------------------------------------------------------------------


def test_the_description_is_for_staff(admin_client: Client, client: Client) -> None:
    for path in ("/api/schema", "/api/docs"):
        assert client.get(path).status_code == 401
        assert admin_client.get(path).status_code == 200


def test_a_user_who_is_no_staff_does_not_see_the_description(django_user_model: Any, client: Client) -> None:
    client.force_login(django_user_model.objects.create_user("somebody"))

    assert client.get("/api/schema").status_code == 401


def test_the_description_may_be_opened_to_everybody(client: Client, settings: Settings) -> None:
    settings.ENABLE_DOCS = True

    assert client.get("/api/schema").status_code == 200
    page = client.get("/api/docs")
    assert page.status_code == 200
    assert b"https://" not in page.content, "the page loads nothing from elsewhere"


def test_every_operation_is_described(admin_client: Client) -> None:
    schema = json.loads(admin_client.get("/api/schema", headers={"Accept": "application/json"}).content)

    register = schema["paths"]["/api/orchestrators/register"]["post"]
    assert list(register["responses"]) == ["200", "403", "409", "413", "422", "429", "503"]
    assert "security" not in register
    mint = schema["paths"]["/api/licenses/orchestrators/{orchestrator_id}/tokens"]["post"]
    assert mint["security"] == [{"AdminToken": []}]
    assert mint["responses"]["401"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Refusal"
    }
    address = schema["components"]["schemas"]["RegistrationRequest"]["properties"]["address"]
    assert address["pattern"] == "^0x[0-9a-fA-F]{40}$"
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"], (method, path)
            assert operation["tags"], (method, path)


def test_pages_for_people_and_answers_for_programs_fail_differently() -> None:
    request = RequestFactory().get("/api/nothing")

    assert api.not_found(request, Exception())["Content-Type"] == "application/json"
    assert api.server_error(request)["Content-Type"] == "application/json"
    assert resolve("/api/schema").url_name == "schema"
