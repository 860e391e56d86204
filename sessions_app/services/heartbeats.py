"""The plain heartbeat: one prepared statement for the event that nearly all events are.

It applies heartbeats that change nothing but time: the session is open and was heard of lately, no segment
is due, and host and address are what they were. Whatever else an event may mean it leaves untouched, and
the engine takes over. `tests/sessions_app/test_heartbeats.py` holds the two together.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from core.db import prepared
from sessions_app.machine import Rules
from sessions_app.services.engine import Incoming
from sessions_app.snapshots import Snapshot

# One event and many are the same statement over another source. A lone event must not be an array of one:
# the planner takes any array for ten rows, finds a plan made for the real values cheaper, and so would plan
# again at every heartbeat, which costs more than to run it.
ONE = """
WITH report AS NOT MATERIALIZED (
    SELECT %s::int AS place, %s::text AS session_id, %s::text AS orchestrator_id, %s::inet AS address,
        %s::int AS port, %s::text AS edge_id, %s::text AS streamer_id, %s::text AS event_id,
        %s::timestamptz AS at, %s::bool AS exact
)"""

MANY = """
WITH report AS (
    SELECT * FROM unnest(
        %s::int[], %s::text[], %s::text[], %s::inet[], %s::int[], %s::text[], %s::text[], %s::text[],
        %s::timestamptz[], %s::bool[]
    ) AS report (place, session_id, orchestrator_id, address, port, edge_id, streamer_id, event_id, at, exact)
)"""

# `host` is the session's present orchestrator, whose addresses must already be the event's: then there is
# nothing to learn. The cascade's first two sources are asked, because they could name somebody else.
# The `+ 0` keeps the planner from going to a session by way of all open sessions of its host.
# An event id takes part in the same statement: it is refused by the unique index if it was used before.
APPLY = """
, applied AS (
    UPDATE sessions_app_streamsession AS session SET
        last_seen_at = GREATEST(report.at, session.last_seen_at),
        updated_at = %s,
        heartbeat_count = session.heartbeat_count + 1,
        last_event = 'heartbeat',
        upstream_port = report.port,
        edge_id = COALESCE(report.edge_id, session.edge_id),
        streamer_id = COALESCE(report.streamer_id, session.streamer_id),
        last_credited_wei = 0,
        reported_ip = %s::inet,
        lease_hidden_at = NULL
    FROM report, billing_orchestrator AS host
    WHERE session.session_id = report.session_id AND session.is_newest AND session.ended_at IS NULL
        AND session.upstream_addr = report.address
        AND (report.at >= session.last_seen_at OR NOT report.exact)
        AND report.at <= session.last_seen_at + %s::interval
        AND GREATEST(report.at, session.last_seen_at) < session.last_billed_at + %s::interval
        AND host.id = session.orchestrator_id + 0
        AND host.last_contact_source = 'session'
        AND host.last_seen_ip = report.address
        AND host.last_session_upstream_addr = report.address
        AND (
            host.orchestrator_id = report.orchestrator_id
            OR NOT EXISTS (
                SELECT FROM billing_orchestrator AS named WHERE named.orchestrator_id = report.orchestrator_id
            ) AND host.id = COALESCE(
                (SELECT id FROM billing_orchestrator WHERE host_public_ip = report.address),
                (SELECT min(id) FROM billing_orchestrator WHERE last_seen_ip = report.address)
            )
        )
        AND (
            report.event_id IS NULL
            OR NOT EXISTS (
                SELECT FROM sessions_app_sessionevent AS event
                WHERE event.session_id = report.session_id AND event.event_id = report.event_id
            )
        )
    RETURNING report.place, session.last_seen_at, session.edge_id, session.streamer_id, session.started_at,
        session.last_billed_at, session.billed_ms, session.billed_wei, session.heartbeat_count,
        session.generation, host.orchestrator_id
)
"""

RETURN = "SELECT * FROM applied"

REMEMBER = """
, remembered AS (
    INSERT INTO sessions_app_sessionevent
        (session_id, event_id, generation, event, occurred_at, received_at, edge_id, result)
    SELECT report.session_id, report.event_id, applied.generation, 'heartbeat', applied.last_seen_at, %s,
        report.edge_id, jsonb_build_object(
            'session_id', report.session_id, 'generation', applied.generation,
            'upstream_addr', host(report.address), 'upstream_port', report.port,
            'edge_id', applied.edge_id, 'streamer_id', applied.streamer_id,
            'billed_ms', applied.billed_ms, 'billed_wei', applied.billed_wei, 'last_credited_wei', 0,
            'heartbeat_count', applied.heartbeat_count, 'last_event', 'heartbeat',
            'started_at', applied.started_at, 'last_seen_at', applied.last_seen_at, 'ended_at', NULL,
            'last_billed_at', applied.last_billed_at, 'updated_at', %s::timestamptz,
            'orchestrator', applied.orchestrator_id
        )
    FROM applied JOIN report USING (place) WHERE report.event_id IS NOT NULL
)
SELECT * FROM applied
"""

_FOREVER = timedelta(days=36_500)


def apply(
    events: Mapping[int, Incoming], *, now: datetime, caller_ip: str | None, rules: Rules
) -> dict[int, Snapshot]:
    """Apply the plain ones among these heartbeats, of different sessions; returns the sessions they left.

    :param events: heartbeats by any number of the caller's, with which the results come back.
    :raises IntegrityError: another process applied the same event id at this moment.
    """
    usable = sorted(
        ((place, event) for place, event in events.items() if event.upstream_addr),
        key=lambda item: item[1].session_id,
    )
    if not usable:
        return {}
    source = ONE if len(usable) == 1 else MANY
    parameters: list[Any] = [
        *(_values(*usable[0]) if source is ONE else _columns(usable)),
        now,
        caller_ip,
        rules.max_gap or _FOREVER,
        rules.segment,
    ]
    if any(event.event_id for _, event in usable):
        rows = prepared(source + APPLY + REMEMBER, [*parameters, now, now])
    else:
        rows = prepared(source + APPLY + RETURN, parameters)
    return {row[0]: _snapshot(events[row[0]], row, now) for row in rows}


def _values(place: int, event: Incoming) -> tuple[Any, ...]:
    return (
        place,
        event.session_id,
        event.orchestrator_id,
        event.upstream_addr,
        event.upstream_port,
        event.edge_id,
        event.streamer_id,
        event.event_id,
        event.at,
        event.exact,
    )


def _columns(events: Sequence[tuple[int, Incoming]]) -> list[list[Any]]:
    return [list(column) for column in zip(*(_values(*event) for event in events), strict=True)]


def _snapshot(event: Incoming, row: tuple[Any, ...], now: datetime) -> Snapshot:
    return {
        "session_id": event.session_id,
        "upstream_addr": event.upstream_addr,
        "upstream_port": event.upstream_port,
        "last_seen_at": row[1],
        "edge_id": row[2],
        "streamer_id": row[3],
        "started_at": row[4],
        "last_billed_at": row[5],
        "billed_ms": row[6],
        "billed_wei": row[7],
        "heartbeat_count": row[8],
        "generation": row[9],
        "orchestrator": row[10],
        "last_credited_wei": 0,
        "ended_at": None,
        "last_event": "heartbeat",
        "updated_at": now,
    }
