"""Instants on the wire: always UTC, microseconds, the fraction left out when it is zero."""

from datetime import UTC, datetime


def zulu(instant: datetime) -> str:
    """`2026-11-20T11:57:55.879061Z`: sessions, leases and dates inside ledger metadata."""
    text = instant.isoformat()
    # Nearly all are in UTC already, and thousands a second are spelled.
    return (text if text.endswith("+00:00") else instant.astimezone(UTC).isoformat())[:-6] + "Z"


def offset(instant: datetime) -> str:
    """`2026-11-20T11:57:55.879061+00:00`: orchestrator records, ledger events, audit logs."""
    return instant.astimezone(UTC).isoformat()


def parse(text: str) -> datetime:
    """Read an RFC 3339 instant; without an offset it is UTC.

    :raises ValueError: the text is not an instant, or lies outside the years 1 to 9999 once in UTC.
    """
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("instant out of range") from None
