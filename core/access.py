"""Who may call: the contract's access classes, checked against request headers in constant time.

A secret that is not configured closes what it guards.
"""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from core.errors import DomainError, RateLimited
from core.net import client_ip
from core.ratelimit import allow

Meta = Mapping[str, Any]


class AccessDenied(DomainError):
    code, status, detail = "access_denied", 401, "Access denied"


class EndpointDisabled(DomainError):
    code, status, detail = "endpoint_disabled", 404, "Not Found"


def matches(given: str, secret: str) -> bool:
    """Compare in constant time; a blank secret matches nothing."""
    # WSGI hands header bytes over as Latin-1 text.
    return bool(secret) and secrets.compare_digest(
        given.strip().encode("latin-1", "replace"), secret.encode()
    )


def bearer(meta: Meta) -> str:
    """The token of an `Authorization: Bearer` header, or nothing."""
    scheme, _, token = str(meta.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _any_matches(given: str, allowed: Iterable[str]) -> bool:
    # Every secret is compared, so that timing does not tell which one was close.
    return sum(matches(given, secret) for secret in allowed) > 0


def require_admin(meta: Meta) -> None:
    if not matches(str(meta.get("HTTP_X_ADMIN_TOKEN", "")), settings.API_ADMIN_TOKEN):
        raise AccessDenied("Admin token required")


def require_strict_admin(meta: Meta) -> None:
    if not settings.API_ADMIN_TOKEN:
        raise EndpointDisabled("Admin endpoint disabled")
    require_admin(meta)


def require_viewer(meta: Meta) -> None:
    given = str(meta.get("HTTP_X_ADMIN_TOKEN", ""))
    if not _any_matches(given, [settings.API_ADMIN_TOKEN, *settings.VIEWER_TOKENS]):
        raise AccessDenied("Viewer token required" if settings.VIEWER_TOKENS else "Admin token required")


def require_reporter(meta: Meta) -> None:
    given = str(meta.get("HTTP_X_SESSION_TOKEN", "")).strip() or bearer(meta)
    if not matches(given, settings.SESSION_REPORTER_TOKEN):
        raise AccessDenied("Session reporter token required")


def limit_public(meta: Meta) -> None:
    """20 calls in 10 s and 120 in 60 s per caller address."""
    caller = client_ip(meta) or "unknown"
    if not (allow("public", caller, 20, 10) and allow("public", caller, 120, 60)):
        raise RateLimited


def api_key(header: str) -> dict[str, str]:
    """A header that carries a token, as OpenAPI names it."""
    return {"type": "apiKey", "in": "header", "name": header}


BEARER = {"type": "http", "scheme": "bearer"}


class AccessClass(BaseAuthentication):
    """An access class as DRF wants it. It proves a right, not a user.

    `headers` are the ways to prove it, by name, as OpenAPI security schemes.
    """

    headers: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    check: ClassVar["staticmethod[[Meta], None]"]

    def authenticate(self, request: Request) -> Any:
        self.check(request.META)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class Admin(AccessClass):
    headers = {"AdminToken": api_key("X-Admin-Token")}
    check = staticmethod(require_admin)


class StrictAdmin(AccessClass):
    headers = Admin.headers
    check = staticmethod(require_strict_admin)


class Viewer(AccessClass):
    headers = {"ViewerToken": api_key("X-Admin-Token")}
    check = staticmethod(require_viewer)


class Reporter(AccessClass):
    headers = {"SessionToken": api_key("X-Session-Token"), "SessionBearer": BEARER}
    check = staticmethod(require_reporter)


class PublicLimited(AccessClass):
    check = staticmethod(limit_public)


class DocsReaders(BasePermission):
    """The API description is for staff, unless `PAYMENTS_ENABLE_DOCS` opens it."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(settings.ENABLE_DOCS or getattr(request.user, "is_staff", False))
