"""Calls on the API in the tests' own words: JSON in, status and JSON out."""

import json
from dataclasses import dataclass
from typing import Any

from django.test import Client

ADMIN = {"X-Admin-Token": "test-admin-token"}
VIEWER = {"X-Admin-Token": "test-viewer-token"}


@dataclass(frozen=True)
class Answer:
    """Status, parsed body and headers."""

    status: int
    json: Any
    headers: dict[str, str]

    @property
    def detail(self) -> Any:
        return self.json["detail"]

    @property
    def problem(self) -> tuple[str, list[Any], str]:
        """The only problem of a 422."""
        assert self.status == 422, self
        assert len(self.detail) == 1, self.detail
        return self.detail[0]["type"], self.detail[0]["loc"], self.detail[0]["msg"]


def call(
    method: str,
    path: str,
    body: Any = None,
    *,
    raw: bytes | None = None,
    content_type: str = "application/json",
    caller: str = "198.51.100.1",
    headers: dict[str, str] | None = None,
) -> Answer:
    """One call, from the address `caller`; `raw` sends bytes as they are."""
    data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    response = Client(raise_request_exception=False).generic(
        method, path, data, content_type=content_type, headers=headers or {}, REMOTE_ADDR=caller
    )
    content = response.content
    return Answer(response.status_code, json.loads(content) if content else None, dict(response.headers))


def get(path: str, **options: Any) -> Answer:
    return call("GET", path, **options)


def post(path: str, body: Any = None, **options: Any) -> Answer:
    return call("POST", path, body, **options)


def delete(path: str, **options: Any) -> Answer:
    return call("DELETE", path, **options)
