"""The SQL that all are measured with: the server's own heartbeat, and the shortest closing of a segment."""

from itertools import count

from sessions_app.services.heartbeats import APPLY, ONE, RETURN

HEARTBEAT = ONE + APPLY + RETURN

# All that closing a segment writes, in one statement: what a program could do that knew nothing of late
# events, silence, moves, gates or repeated requests. (pgbench takes `:compute` for a variable.)
CLOSE = """
WITH closed AS (
    UPDATE sessions_app_streamsession AS session SET
        last_seen_at = %s, updated_at = %s, heartbeat_count = heartbeat_count + 1,
        last_billed_at = last_billed_at + interval '2400 s', segment_index = segment_index + 1,
        billed_ms = billed_ms + 2400000, billed_wei = billed_wei + 24000000000000000,
        last_credited_wei = 24000000000000000
    FROM billing_orchestrator AS host
    WHERE session_id = %s AND is_newest AND ended_at IS NULL AND host.id = session.orchestrator_id
    RETURNING session.*, host.orchestrator_id AS host_id
), entry AS (
    INSERT INTO billing_entry
        (key, kind, reason, metadata, orchestrator_id, effective_at, recorded_at, actor)
    SELECT concat_ws(':', 'session', session_id, 1, segment_index - 1), 'session_segment',
        'session_time',
        jsonb_build_object('session_id', session_id, 'event', 'heartbeat', 'trigger', 'segment',
            'duration_ms', '2400000', 'edge_id', edge_id), orchestrator_id, last_billed_at, updated_at, ''
    FROM closed
    RETURNING id, orchestrator_id, effective_at
), owed AS (
    UPDATE billing_account SET balance = balance + 24000000000000000
    FROM entry WHERE address = concat_ws(':', 'orchestrator', entry.orchestrator_id, 'owed') AND asset = 'ETH'
    RETURNING billing_account.id, balance
), legs AS (
    INSERT INTO billing_leg (entry_id, account_id, asset, amount, balance_after, kind, effective_at)
    SELECT entry.id, owed.id, 'ETH', 24000000000000000, balance, 'session_segment', effective_at
    FROM entry, owed
    UNION ALL
    SELECT entry.id, account.id, 'ETH', -24000000000000000, NULL, 'session_segment', effective_at
    FROM entry, billing_account AS account
    WHERE address = concat_ws(':', 'platform', 'compute') AND asset = 'ETH'
), segment AS (
    INSERT INTO sessions_app_segment
        (session_id, segment_index, orchestrator_id, trigger, started_at, ended_at, duration_ms, amount_wei,
         edge_id, streamer_id, uncredited_reason, entry_id)
    SELECT closed.id, segment_index - 1, closed.orchestrator_id, 'segment',
        last_billed_at - interval '2400 s', last_billed_at, 2400000, 24000000000000000,
        edge_id, streamer_id, '', entry.id
    FROM closed, entry
)
SELECT last_seen_at, edge_id, streamer_id, started_at, last_billed_at, billed_ms, billed_wei,
    heartbeat_count, generation, host_id AS orchestrator_id, last_credited_wei AS credited
FROM closed
"""


def heartbeat() -> str:
    """The server's statement with numbered parameters, as asyncpg and `PREPARE` want them."""
    return numbered(HEARTBEAT)


def close() -> str:
    """Closing a segment; parameters: session id, moment."""
    return CLOSE.replace("%s", "$2", 2).replace("%s", "$1")


def numbered(statement: str) -> str:
    numbers = count(1)
    first, *rest = statement.split("%s")
    return first + "".join(f"${next(numbers)}{part}" for part in rest)
