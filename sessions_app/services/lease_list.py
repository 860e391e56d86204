"""The list of activity leases: rows, and the leases that sessions are, in one order and one statement.

Three sources are each sorted by when they were last seen, cut to a page, and merged: lease rows from an
index, ended sessions from an index, and the open sessions sorted as they are, because heartbeats move them
all the time and they are few. PostgreSQL drops what the filters rule out before it plans.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from pydantic_core import from_json

from core.net import normalise_ip
from core.timestamps import parse
from sessions_app.services.leases import SESSION_PREFIX

Row = dict[str, Any]
FOREVER = "infinity"

PAGE = """
WITH wanted AS (
    SELECT id FROM billing_orchestrator WHERE orchestrator_id = %(orchestrator_id)s::text
), lease_rows AS (
    SELECT * FROM sessions_app_activitylease
    WHERE (last_seen_at, lease_id) < (%(before)s::timestamptz, %(before_lease)s)
        AND (%(orchestrator_id)s::text IS NULL OR orchestrator_id = (SELECT id FROM wanted))
        AND (NOT %(active_only)s OR revoked_at IS NULL AND expires_at > %(now)s)
    ORDER BY last_seen_at DESC, lease_id DESC LIMIT %(limit)s
), open_sessions AS (
    SELECT * FROM sessions_app_streamsession
    WHERE is_newest AND orchestrator_id IS NOT NULL AND ended_at IS NULL
        AND (last_seen_at, session_id) < (%(before_session_at)s::timestamptz, %(before_session)s)
        AND (%(orchestrator_id)s::text IS NULL OR orchestrator_id = (SELECT id FROM wanted))
        AND (NOT %(active_only)s OR lease_hidden_at IS NULL AND last_seen_at + %(session_lease)s > %(now)s)
    ORDER BY last_seen_at DESC, session_id DESC LIMIT %(limit)s
), ended_sessions AS (
    SELECT * FROM sessions_app_streamsession
    WHERE is_newest AND orchestrator_id IS NOT NULL AND ended_seen_at IS NOT NULL
        AND (ended_seen_at, session_id) < (%(before_session_at)s::timestamptz, %(before_session)s)
        AND (%(orchestrator_id)s::text IS NULL OR orchestrator_id = (SELECT id FROM wanted))
        AND NOT %(active_only)s
    ORDER BY ended_seen_at DESC, session_id DESC LIMIT %(limit)s
), merged AS (
    SELECT lease_id, orchestrator_id, upstream_addr, kind, metadata, issued_at, last_seen_at,
        host(last_seen_ip) AS last_seen_ip, expires_at, revoked_at
    FROM lease_rows
    UNION ALL
    SELECT 'session:' || session_id, orchestrator_id, host(upstream_addr), 'session',
        jsonb_build_object(
            'session_id', session_id, 'edge_id', edge_id, 'streamer_id', streamer_id,
            'upstream_addr', host(upstream_addr), 'upstream_port', upstream_port
        ),
        started_at, last_seen_at, host(reported_ip), last_seen_at + %(session_lease)s,
        COALESCE(ended_at, lease_hidden_at)
    FROM (TABLE open_sessions UNION ALL TABLE ended_sessions) AS sessions
)
SELECT lease_id, host.orchestrator_id, upstream_addr, kind, metadata, issued_at, merged.last_seen_at,
    merged.last_seen_ip, expires_at, revoked_at
FROM merged JOIN billing_orchestrator AS host ON host.id = merged.orchestrator_id
ORDER BY merged.last_seen_at DESC, lease_id DESC LIMIT %(limit)s
"""

COLUMNS = (
    "lease_id",
    "orchestrator_id",
    "upstream_addr",
    "kind",
    "metadata",
    "issued_at",
    "last_seen_at",
    "last_seen_ip",
    "expires_at",
    "revoked_at",
)


def fetch(
    *,
    orchestrator_id: str | None,
    active_only: bool,
    after: tuple[str, str] | None,
    limit: int,
    now: datetime,
) -> list[Row]:
    """Leases by the contract's field names, last seen first.

    :param after: `last_seen_at` and id of the last lease of the page before.
    """
    parameters = {
        "orchestrator_id": orchestrator_id,
        "active_only": active_only,
        "limit": limit,
        "now": now,
        "session_lease": timedelta(seconds=settings.ACTIVITY_LEASE_SECONDS),
        **_bounds(after),
    }
    with connection.cursor() as cursor:
        cursor.execute(PAGE, parameters)
        return [_row(dict(zip(COLUMNS, values, strict=True))) for values in cursor.fetchall()]


def _bounds(after: tuple[str, str] | None) -> Mapping[str, Any]:
    """Where each source continues; sessions are sorted by their own id, the lease's without its prefix."""
    if after is None:
        before: datetime | str = FOREVER
        return {"before": before, "before_lease": "", "before_session_at": before, "before_session": ""}
    last_seen_at, lease_id = parse(after[0]), after[1]
    session_at, session_id = last_seen_at, lease_id.removeprefix(SESSION_PREFIX)
    if not lease_id.startswith(SESSION_PREFIX):
        # Of the leases seen at this very moment, sessions come either all before this one or all after it.
        session_id = ""
        session_at += timedelta(microseconds=int(lease_id > SESSION_PREFIX))
    return {
        "before": last_seen_at,
        "before_lease": lease_id,
        "before_session_at": session_at,
        "before_session": session_id,
    }


def _row(row: Row) -> Row:
    # A raw cursor gives jsonb as text, and PostgreSQL spells a few IPv6 forms in its own way.
    row["metadata"] = from_json(row["metadata"])
    row["last_seen_ip"] = row["last_seen_ip"] and normalise_ip(row["last_seen_ip"])
    if row["lease_id"].startswith(SESSION_PREFIX):
        row["upstream_addr"] = row["metadata"]["upstream_addr"] = normalise_ip(row["upstream_addr"])
    return row
