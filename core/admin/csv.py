"""A list as CSV: streamed, as filtered, and harmless in a spreadsheet."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from core.money import eth_from_wei

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - wide forms count too
_CHUNK = 2_000

EXPORT = "billing.export_ledger"
"""The permission to take rows away."""

Exported = Callable[[Any], object]


class _Echo:
    """A file whose `write` hands back what it was given."""

    def write(self, line: str) -> str:
        return line


def harmless(value: object) -> object:
    """Numbers stay numbers; text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, bool | int):
        return value
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def eth_column(asset: str, value: int | None) -> str:
    """Wei as exact ETH, beside the column of whole units; blank for other assets."""
    return eth_from_wei(value) if asset == "ETH" and value is not None else ""


def stream(
    rows: QuerySet[Any], columns: Sequence[tuple[str, Exported]], *, filename: str
) -> StreamingHttpResponse:
    """Send rows as they are read, a few thousand at a time."""
    response = StreamingHttpResponse(
        _lines(rows.iterator(chunk_size=_CHUNK), columns), content_type="text/csv"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _lines(rows: Iterable[Any], columns: Sequence[tuple[str, Exported]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow([title for title, _ in columns])
    for row in rows:
        yield writer.writerow([harmless(value(row)) for _, value in columns])
