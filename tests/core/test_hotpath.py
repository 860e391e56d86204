"""The hot path's two doors, in front of Django and inside it, answer alike."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest
import time_machine
from django.core.signals import request_finished, request_started
from django.db import OperationalError, close_old_connections, connection
from django.http import HttpResponse
from django.test import Client

from config.wsgi import application
from core.hotpath import HotPath
from core.mount import Mounted
from sessions_app.models import StreamSession
from tests.factories import NOON, OrchestratorFactory
from tests.servers import running_server

SINGLE, BATCH = "/api/sessions/events", "/api/sessions/events/batch"
TOKEN = "test-reporter-token"
EVENT = {"session_id": "s1", "event": "start", "upstream_addr": "192.0.2.1"}
Seen = tuple[int, dict[str, str], bytes]


@pytest.fixture(autouse=True)
def _connections_stay() -> Iterator[None]:
    """Django drops old connections at each request, which would end the transaction around the test."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def environ(path: str, body: bytes, **changes: Any) -> dict[str, Any]:
    """What a WSGI server hands over."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "testserver",
        "HTTP_X_SESSION_TOKEN": TOKEN,
        "HTTP_X_REQUEST_ID": "same-for-both",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **changes,
    }


def through_the_front(path: str, body: bytes, **changes: Any) -> Seen:
    seen: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        seen.update(status=int(status[:3]), headers=dict(headers))

    answer = application(environ(path, body, **changes), start_response)
    try:
        content = b"".join(answer)
    finally:
        if isinstance(answer, HttpResponse):
            answer.close()
    return seen["status"], seen["headers"], content


def through_django(path: str, body: bytes, **changes: Any) -> Seen:
    """A trailing slash is no hot path, so that Django answers."""
    return through_the_front(f"{path}/", body, **changes)


REQUESTS: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "an event": (SINGLE, json.dumps(EVENT).encode(), {}),
    "a heartbeat": (SINGLE, json.dumps({**EVENT, "event": "heartbeat"}).encode(), {}),
    "a batch": (BATCH, json.dumps({"events": [EVENT, {}, {"session_id": "s2"}]}).encode(), {}),
    "an empty batch": (BATCH, b'{"events": []}', {}),
    "no address": (SINGLE, b'{"session_id": "s1"}', {}),
    "a broken field": (SINGLE, b'{"session_id": 1}', {}),
    "broken JSON": (SINGLE, b"{", {}),
    "deep nesting": (SINGLE, b"[" * 100_000, {}),
    "no object": (SINGLE, b"[]", {}),
    "no body": (SINGLE, b"", {}),
    "no length": (SINGLE, json.dumps(EVENT).encode(), {"CONTENT_LENGTH": ""}),
    "a silly length": (SINGLE, json.dumps(EVENT).encode(), {"CONTENT_LENGTH": "many"}),
    "a body in chunks": (
        SINGLE,
        json.dumps(EVENT).encode(),
        {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"},
    ),
    "chunks without end": (
        SINGLE,
        b"x" * (2 * 1024 * 1024 + 1),
        {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"},
    ),
    "a huge body": (SINGLE, b"x" * (2 * 1024 * 1024 + 1), {}),
    "a huge announcement": (SINGLE, b"x", {"CONTENT_LENGTH": "9" * 30}),
    "another content type": (SINGLE, json.dumps(EVENT).encode(), {"CONTENT_TYPE": "text/plain"}),
    "no token": (SINGLE, json.dumps(EVENT).encode(), {"HTTP_X_SESSION_TOKEN": ""}),
    "a wrong token": (SINGLE, b"{", {"HTTP_X_SESSION_TOKEN": "wrong"}),
    "a bearer": (
        SINGLE,
        json.dumps(EVENT).encode(),
        {"HTTP_X_SESSION_TOKEN": "", "HTTP_AUTHORIZATION": f"Bearer {TOKEN}"},
    ),
    "GET": (SINGLE, b"", {"REQUEST_METHOD": "GET"}),
    "PUT": (BATCH, b"", {"REQUEST_METHOD": "PUT"}),
    "a harmful request id": (SINGLE, json.dumps(EVENT).encode(), {"HTTP_X_REQUEST_ID": "a\nb"}),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", REQUESTS)
def test_both_doors_answer_alike(name: str) -> None:
    path, body, changes = REQUESTS[name]
    OrchestratorFactory.create(orchestrator_id="orch-a", host_public_ip="192.0.2.1")
    seen = []

    for door in (through_the_front, through_django):
        StreamSession.objects.all().delete()
        status, headers, content = door(path, body, **changes)
        assert headers["X-Request-ID"] == "same-for-both" or name == "a harmful request id"
        kept = {key: headers.get(key) for key in ("Content-Type", "WWW-Authenticate")}
        seen.append((status, kept, content))

    assert seen[0] == seen[1]
    assert seen[0][0] < 500
    assert seen[0][1]["Content-Type"] == "application/json"


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_only_post_is_hot(method: str) -> None:
    status, _, content = through_the_front(SINGLE, b"", REQUEST_METHOD=method)

    assert status == 405
    assert method == "HEAD" or json.loads(content) == {"detail": "Method Not Allowed"}


@pytest.mark.django_db
def test_below_a_prefix_the_hot_path_is_hot(client: Client) -> None:
    seen = []

    def inner(given: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append((given["SCRIPT_NAME"], given["PATH_INFO"]))
        return []

    Mounted(inner, "pay")(environ(f"/pay{SINGLE}", b""), print)

    assert seen == [("/pay", SINGLE)]


# --- Failures -----------------------------------------------------------------------------------------


def test_what_nobody_foresaw_is_a_500_without_detail() -> None:
    def fail(*_: object) -> bytes:
        raise ZeroDivisionError("secret")

    answer = HotPath(lambda meta: None, fail)(environ(SINGLE, b"{}"))

    assert (answer.status, answer.body) == (500, b'{"detail":"Internal Server Error"}')


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_tried_once_more() -> None:
    def ask(*_: object) -> bytes:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'answered'")
            return str(cursor.fetchone()[0]).encode()

    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        victim = cursor.fetchone()[0]
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [victim])
    other.close()

    assert HotPath(lambda meta: None, ask)(environ(SINGLE, b"{}")).body == b"answered"


@pytest.mark.django_db
def test_a_failure_of_the_statement_itself_is_not_tried_again() -> None:
    tries = []

    def fail(*_: object) -> bytes:
        tries.append(1)
        raise OperationalError("canceling statement due to statement timeout")

    assert HotPath(lambda meta: None, fail)(environ(SINGLE, b"{}")).status == 500
    assert len(tries) == 1


# --- The real server ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_real_server_answers_like_the_doors() -> None:
    # Its clock is the real one.
    with running_server() as server, httpx.Client(base_url=server.url, timeout=20) as edge:
        headers = {"X-Session-Token": TOKEN, "Content-Type": "application/json"}

        def chunks() -> Iterator[bytes]:
            yield b'{"session_id": "s1", '
            yield b'"upstream_addr": "192.0.2.1"}'

        in_chunks = edge.post(SINGLE, content=chunks(), headers=headers)
        slashed = edge.post(f"{SINGLE}/", content=chunks(), headers=headers)
        # What was not read stands between the server and the next request, so it hangs up.
        url = server.url + SINGLE
        endless = httpx.post(url, content=iter([b"x" * 1024 * 1024] * 3), headers=headers, timeout=20)
        huge = httpx.post(url, content=b"x" * 3 * 1024 * 1024, headers=headers, timeout=20)
        statuses = [
            edge.request(method, SINGLE, headers=headers).status_code for method in ("GET", "HEAD", "PUT")
        ]

    assert (in_chunks.status_code, in_chunks.json()["heartbeat_count"]) == (200, 1)
    assert (slashed.status_code, slashed.json()["heartbeat_count"]) == (200, 2)
    assert (endless.status_code, endless.json()) == (413, {"detail": "Request body too large"})
    assert (huge.status_code, huge.json()) == (413, {"detail": "Request body too large"})
    assert statuses == [405, 405, 405]
