"""Keyset pages: an opaque cursor that says where the next page starts, bound to the list's filters."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core import signing

from core.errors import DomainError

Row = TypeVar("Row")
_SALT = "core.pages"


class InvalidCursor(DomainError):
    code, status, detail = "invalid_cursor", 400, "Invalid cursor"


def encode(key: Sequence[str | int], filters: dict[str, Any]) -> str:
    """A cursor for the row after `key` (the sort values of the last row shown)."""
    return signing.dumps([list(key), _frozen(filters)], salt=_SALT)


def decode(cursor: str | None, filters: dict[str, Any]) -> list[Any] | None:
    """The sort values to continue after, or None for the first page.

    :raises InvalidCursor: not one of our cursors, or one made with other filters.
    """
    if cursor is None:
        return None
    try:
        key, bound = signing.loads(cursor, salt=_SALT)
    except (signing.BadSignature, ValueError):
        raise InvalidCursor from None
    if bound != _frozen(filters):
        raise InvalidCursor
    return list(key)


def page(
    rows: Sequence[Row],
    *,
    limit: int | None,
    key: Callable[[Row], Sequence[str | int]],
    filters: dict[str, Any],
) -> tuple[Sequence[Row], str | None]:
    """Cut `rows`, fetched with one row more than `limit`, into a page and its next cursor."""
    if limit is None or len(rows) <= limit:
        return rows, None
    shown = rows[:limit]
    return shown, encode(key(shown[-1]), filters)


def _frozen(filters: dict[str, Any]) -> list[list[str]]:
    return [[name, str(value)] for name, value in sorted(filters.items()) if value is not None]
