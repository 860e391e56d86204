"""Who may call: headers against secrets, and what an unset secret closes."""

from typing import Any

import pytest
from pytest_django import Settings

from core import access
from core.access import AccessDenied, EndpointDisabled, bearer, matches
from core.errors import DomainError, RateLimited


def refusal(check: Any, **meta: str) -> tuple[int, str] | None:
    """Status and text of the refusal, or None when the caller is let in."""
    try:
        check(meta)
    except DomainError as refused:
        return refused.status, refused.detail
    return None


def test_a_blank_secret_matches_nothing() -> None:
    assert not matches("", "")
    assert not matches("x", "")
    assert not matches(" ", "")


def test_secrets_are_trimmed_and_case_sensitive() -> None:
    assert matches(" sesame ", "sesame")
    assert not matches("Sesame", "sesame")


def test_a_secret_may_have_any_letters() -> None:
    # WSGI hands the UTF-8 bytes of a header over as Latin-1 text.
    assert matches("sésame".encode().decode("latin-1"), "sésame")
    assert not matches("\u20ac", "x")


@pytest.mark.parametrize("header", ["Bearer sesame", "bearer sesame", "BEARER   sesame  ", " Bearer sesame"])
def test_the_bearer_word_has_any_case(header: str) -> None:
    assert bearer({"HTTP_AUTHORIZATION": header}) == "sesame"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic sesame", "sesame", "Bearersesame"])
def test_another_scheme_is_no_bearer(header: str) -> None:
    assert bearer({"HTTP_AUTHORIZATION": header}) == ""


def test_the_admin_secret_opens_admin_endpoints(settings: Settings) -> None:
    settings.API_ADMIN_TOKEN = "sesame"
    closed = (401, "Admin token required")

    assert refusal(access.require_admin, HTTP_X_ADMIN_TOKEN="sesame") is None
    assert refusal(access.require_admin, HTTP_X_ADMIN_TOKEN="no") == closed
    assert refusal(access.require_admin) == closed
    settings.API_ADMIN_TOKEN = ""
    assert refusal(access.require_admin, HTTP_X_ADMIN_TOKEN="") == closed


def test_a_strict_endpoint_hides_while_the_secret_is_unset(settings: Settings) -> None:
    settings.API_ADMIN_TOKEN = "sesame"

    assert refusal(access.require_strict_admin, HTTP_X_ADMIN_TOKEN="sesame") is None
    assert refusal(access.require_strict_admin) == (401, "Admin token required")
    settings.API_ADMIN_TOKEN = ""
    assert refusal(access.require_strict_admin) == (404, "Admin endpoint disabled")


def test_viewers_and_the_admin_use_the_same_header(settings: Settings) -> None:
    settings.API_ADMIN_TOKEN, settings.VIEWER_TOKENS = "sesame", ["one", "two"]

    for secret in ("sesame", "one", "two"):
        assert refusal(access.require_viewer, HTTP_X_ADMIN_TOKEN=secret) is None
    assert refusal(access.require_viewer, HTTP_X_ADMIN_TOKEN="x") == (401, "Viewer token required")
    settings.VIEWER_TOKENS = []
    assert refusal(access.require_viewer, HTTP_X_ADMIN_TOKEN="x") == (401, "Admin token required")


def test_a_viewer_is_no_admin(settings: Settings) -> None:
    settings.VIEWER_TOKENS = ["one"]

    with pytest.raises(AccessDenied):
        access.require_admin({"HTTP_X_ADMIN_TOKEN": "one"})


def test_a_reporter_uses_its_own_header_or_a_bearer(settings: Settings) -> None:
    settings.SESSION_REPORTER_TOKEN = "sesame"
    check, closed = access.require_reporter, (401, "Session reporter token required")

    assert refusal(check, HTTP_X_SESSION_TOKEN="sesame") is None
    assert refusal(check, HTTP_AUTHORIZATION="Bearer sesame") is None
    assert refusal(check, HTTP_X_SESSION_TOKEN=" ", HTTP_AUTHORIZATION="Bearer sesame") is None
    assert refusal(check, HTTP_X_SESSION_TOKEN="no", HTTP_AUTHORIZATION="Bearer sesame") == closed
    assert refusal(check) == closed
    settings.SESSION_REPORTER_TOKEN = ""
    assert refusal(check, HTTP_X_SESSION_TOKEN="") == closed


def test_a_public_caller_has_twenty_calls_in_ten_seconds() -> None:
    meta = {"REMOTE_ADDR": "198.51.100.1"}

    for _ in range(20):
        access.limit_public(meta)

    with pytest.raises(RateLimited):
        access.limit_public(meta)
    access.limit_public({"REMOTE_ADDR": "198.51.100.2"})


def test_refusals_are_typed() -> None:
    assert (AccessDenied.status, EndpointDisabled.status) == (401, 404)
