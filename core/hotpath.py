"""The hot path: one endpoint, answered in front of Django's handler.

A heartbeat costs one SQL statement; Django's URL resolver, middleware and request objects would cost
several times that. So the few endpoints that carry nearly all traffic are plain functions from a WSGI
environ to bytes. `HotPaths` mounts them before Django; `HotPath.view` mounts the same function as a DRF
view, for OpenAPI, for prefixed and trailing-slash routes, and for tests. Both doors answer alike: a test
holds them together. ADR 4 says why.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpResponse
from pydantic_core import to_json
from rest_framework.request import Request

from core.api import read_body, refusal_body, refusal_headers
from core.errors import DomainError
from core.middleware import request_id

log = structlog.get_logger(__name__)

Meta = Mapping[str, Any]
StartResponse = Callable[..., Any]
_REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and extra headers of a response; the body is JSON."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HotPath:
    """One hot endpoint: who may call it, and the function that answers.

    `answer` gets the WSGI environ and the raw body, and returns the JSON of a 200. Refusals are
    `DomainError`s. It must be safe to run twice, because a lost database connection is tried again once.
    """

    access: Callable[[Meta], None]
    answer: Callable[[Meta, bytes], bytes]

    def __call__(self, meta: Meta) -> Answer:
        try:
            self.access(meta)
            return Answer(200, self._answer(meta, read_body(meta)))
        except DomainError as refusal:
            headers = tuple(refusal_headers(refusal).items())
            return Answer(refusal.status, to_json(refusal_body(refusal)), headers)
        except Exception:
            log.exception("hotpath.failed", path=meta.get("PATH_INFO"))
            return Answer(500, to_json({"detail": "Internal Server Error"}))

    def _answer(self, meta: Meta, body: bytes) -> bytes:
        try:
            return self.answer(meta, body)
        except (OperationalError, InterfaceError):
            # The server was restarted, or dropped an idle connection. Inside somebody's transaction
            # there is nothing to retry; otherwise a fresh connection deserves one more attempt.
            if connection.in_atomic_block or connection.is_usable():
                raise
            connection.close()
            return self.answer(meta, body)

    def view(self, request: Request) -> HttpResponse:
        """Answer from inside a Django view."""
        answer = self(request.META)
        return HttpResponse(
            answer.body,
            status=answer.status,
            headers={"Content-Type": "application/json", **dict(answer.headers)},
        )


class HotPaths:
    """WSGI middleware that answers `POST` to the hot paths itself and passes everything else on."""

    def __init__(self, application: Callable[..., Iterable[bytes]], paths: Mapping[str, HotPath]) -> None:
        self.application = application
        self.paths = paths

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = self.paths.get(environ["PATH_INFO"])
        if path is None or environ["REQUEST_METHOD"] != "POST":
            return self.application(environ, start_response)
        identity = request_id(environ.get("HTTP_X_REQUEST_ID"))
        answer = path(environ)
        start_response(
            _REASONS[answer.status],
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(answer.body))),
                ("X-Request-ID", identity),
                *answer.headers,
            ],
        )
        return [answer.body]
