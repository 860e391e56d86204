"""The list of sessions: the newest generation of each, started last first, in one statement."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from core.timestamps import parse
from sessions_app.records import COLUMNS

Row = dict[str, Any]
_FIRST_PAGE = ("infinity", 0)

# PostgreSQL drops what the filters rule out before it plans, so each way of asking gets its own index.
PAGE = f"""
WITH wanted AS (
    SELECT id FROM billing_orchestrator WHERE orchestrator_id = %(orchestrator_id)s::text
), page AS (
    SELECT * FROM sessions_app_streamsession
    WHERE is_newest
        AND (started_at, id) < (%(before)s::timestamptz, %(before_id)s)
        AND (%(orchestrator_id)s::text IS NULL OR orchestrator_id = (SELECT id FROM wanted))
        AND (NOT %(active_only)s OR ended_at IS NULL AND last_seen_at >= %(seen_since)s)
    ORDER BY started_at DESC, id DESC LIMIT %(limit)s
)
SELECT page.id, host.orchestrator_id, {", ".join(f"page.{column}" for column in COLUMNS)}
FROM page LEFT JOIN billing_orchestrator AS host ON host.id = page.orchestrator_id
ORDER BY page.started_at DESC, page.id DESC
"""  # noqa: S608 - composed of constants


def fetch(
    *,
    orchestrator_id: str | None,
    active_only: bool,
    after: tuple[str, int] | None,
    limit: int,
    now: datetime,
) -> list[Row]:
    """Sessions as `records.record` reads them, and their `id`.

    :param active_only: only those not ended and heard of within the idle timeout.
    :param after: `started_at` and `id` of the last session of the page before.
    """
    before, before_id = (parse(after[0]), after[1]) if after else _FIRST_PAGE
    parameters = {
        "orchestrator_id": orchestrator_id,
        "active_only": active_only,
        "seen_since": now - timedelta(seconds=settings.SESSION_IDLE_TIMEOUT_SECONDS),
        "before": before,
        "before_id": before_id,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(PAGE, parameters)
        return [
            dict(zip(("id", "orchestrator", *COLUMNS), values, strict=True)) for values in cursor.fetchall()
        ]
