"""Request ids for every call; sessions, CSRF and login for staff pages only.

An API call carries its own proof and no cookie, so the staff middleware would only cost it time.
"""

import re
import uuid
from collections.abc import Callable

import structlog
from axes.middleware import AxesMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware

GetResponse = Callable[[HttpRequest], HttpResponse]

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_API = ("/api/", "/v1/", "/health")
# The schema pages live under /api/ but may need a staff login.
_LOGIN_AWARE = ("/api/docs", "/api/schema")


def request_id(given: str | None) -> str:
    """The caller's own id when it is short and harmless, else a new one."""
    return given if given and _SAFE_ID.fullmatch(given) else uuid.uuid4().hex


def is_api(request: HttpRequest) -> bool:
    path = request.path_info
    return path.startswith(_API) and not path.startswith(_LOGIN_AWARE)


class RequestId:
    """Gives each request an id, binds it to every log line, and returns it as `X-Request-ID`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        identity = request_id(request.headers.get("X-Request-ID"))
        structlog.contextvars.bind_contextvars(request_id=identity)
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
        response.headers["X-Request-ID"] = identity
        if not response.streaming:
            # Without it the server sends chunks, which HTTP/1.0 callers cannot read.
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response


class TrailingSlash:
    """Serves an API path with one trailing slash by the same view, because nothing may redirect."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path.startswith(_API) and path.endswith("/") and not path.endswith("//"):
            request.path_info = path[:-1]
        return self.get_response(request)


class _StaffOnly:
    """Passes API calls straight through, in front of one of Django's own middleware classes."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_api(request):
            return self.get_response(request)  # type: ignore[attr-defined,no-any-return]
        return super().__call__(request)  # type: ignore[misc,no-any-return]


class StaffSession(_StaffOnly, SessionMiddleware):
    """Sessions, for staff pages."""


class StaffCommon(_StaffOnly, CommonMiddleware):
    """Content-Length and the like, for staff pages."""


class StaffCsrf(_StaffOnly, CsrfViewMiddleware):
    """CSRF protection, for staff pages."""


class StaffAuthentication(_StaffOnly, AuthenticationMiddleware):
    """Who is logged in, for staff pages."""


class StaffMessages(_StaffOnly, MessageMiddleware):
    """One-time messages, for staff pages."""


class StaffLoginGuard(_StaffOnly, AxesMiddleware):  # type: ignore[misc]
    """Locks out those who guess passwords."""
