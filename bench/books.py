"""Books to measure on: a database of its own, filled by set-based SQL under all constraints and triggers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from django.core.management import call_command
from django.db import connection

DATABASE = "embody_bench"
HOSTS = 200
PLAIN = 600
DUE = 400
LIVE = PLAIN + DUE
"""Sessions that are being served: heartbeats reach the first ones, and close segments of the others."""

_HOSTS = """
INSERT INTO billing_orchestrator
    (orchestrator_id, address, address_verified, host_public_ip, last_seen_ip, last_session_upstream_addr,
     last_session_seen_at, last_contact_source, is_top_100, denylisted, first_seen, last_seen,
     registration_count)
SELECT 'orch-' || n, '0x' || lpad(to_hex(n), 40, '0'), false, ip, ip, ip, now(), 'session', true, false,
    now() - interval '90 days', now(), 1
FROM generate_series(1, %s) AS n,
LATERAL (SELECT ('10.0.' || n / 250 || '.' || n %% 250 + 1)::inet AS ip) AS place
"""
_ACCOUNTS = """
INSERT INTO billing_account (address, asset, kept, balance, orchestrator_id)
SELECT 'orchestrator:' || id || ':owed', 'ETH', true, 0, id FROM billing_orchestrator
UNION ALL SELECT 'platform:compute', 'ETH', false, NULL, NULL
"""
# The first are live; the others began over the last 90 days, in order, and ended after half an hour.
_SESSIONS = """
INSERT INTO sessions_app_streamsession
    (session_id, generation, is_newest, orchestrator_id, upstream_addr, upstream_port, edge_id, streamer_id,
     started_at, last_seen_at, ended_at, ended_seen_at, updated_at, last_event, heartbeat_count,
     last_billed_at, segment_index, billed_ms, billed_wei, last_credited_wei)
SELECT 'stream-' || n, 1, true, host.id, host.host_public_ip, 8000 + n %% 32, 'edge-' || n %% 3,
    'viewer-' || n %% 5000, start, ending, CASE WHEN n > %(live)s THEN ending END,
    CASE WHEN n > %(live)s THEN ending END, ending, CASE WHEN n > %(live)s THEN 'end' ELSE 'heartbeat' END,
    120, ending, 1, 1800000, 18000000000000000, 0
FROM generate_series(%(first)s::int, %(last)s::int) AS n
JOIN billing_orchestrator AS host ON host.orchestrator_id = 'orch-' || n %% %(hosts)s + 1,
LATERAL (SELECT now() - interval '90 days' * (1 - n / %(total)s::float8) - interval '1 hour' AS start),
LATERAL (SELECT start + interval '30 minutes' AS ending)
"""
_ENTRIES = """
INSERT INTO billing_entry
    (key, kind, reason, metadata, orchestrator_id, effective_at, recorded_at, actor)
SELECT 'session:' || session_id || ':1:0', 'session_segment', 'session_time',
    jsonb_build_object('session_id', session_id, 'event', 'end', 'trigger', 'end', 'segment_index', '0',
        'duration_ms', '1800000', 'upstream_addr', host(upstream_addr), 'upstream_port', upstream_port,
        'edge_id', edge_id, 'credit_unit', 'eth', 'streamer_id', streamer_id,
        'proof_hash', 'sha256:' || encode(sha256(session_id::bytea), 'hex')),
    orchestrator_id, ended_at, ended_at, ''
FROM sessions_app_streamsession
WHERE ended_at IS NOT NULL
ORDER BY id LIMIT %s
"""
_LEGS = """
INSERT INTO billing_leg (entry_id, account_id, asset, amount, balance_after, kind, effective_at)
SELECT entry.id, account.id, 'ETH', amount,
    balance + amount * row_number() OVER (PARTITION BY account.id ORDER BY entry.id),
    entry.kind, entry.effective_at
FROM billing_entry AS entry
CROSS JOIN (VALUES (18000000000000000::numeric), (-18000000000000000)) AS side (amount)
JOIN billing_account AS account ON account.address = CASE
    WHEN amount > 0 THEN 'orchestrator:' || entry.orchestrator_id || ':owed' ELSE 'platform:compute' END
WHERE entry.id > %s
ORDER BY entry.id
"""
_BALANCES = """
UPDATE billing_account SET balance = total
FROM (SELECT account_id, sum(amount) AS total FROM billing_leg GROUP BY 1) AS moved
WHERE kept AND id = account_id
"""
_SEGMENTS = """
INSERT INTO sessions_app_segment
    (session_id, segment_index, orchestrator_id, trigger, started_at, ended_at, duration_ms, amount_wei,
     edge_id, streamer_id, proof_hash, uncredited_reason, entry_id)
SELECT session.id, 0, session.orchestrator_id, 'end', session.started_at, session.ended_at, 1800000,
    18000000000000000, session.edge_id, session.streamer_id, entry.metadata ->> 'proof_hash', '', entry.id
FROM billing_entry AS entry
JOIN sessions_app_streamsession AS session ON session.session_id = entry.metadata ->> 'session_id'
WHERE entry.id > %s
"""
_REARM = """
UPDATE sessions_app_streamsession SET
    last_seen_at = now(), updated_at = now(),
    last_billed_at = CASE WHEN session_id = ANY (%s) THEN now() - interval '2400 s' ELSE now() END
WHERE ended_at IS NULL
"""


CROWD = 100_000_000
"""The number of the first session of a crowd."""


def url(server: str) -> str:
    """The address of our database on a PostgreSQL server."""
    return urlsplit(server)._replace(path=f"/{DATABASE}").geturl()


def create(server: str) -> None:
    """Begin anew: an empty database with the schema of this version, and its hosts."""
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {DATABASE}")
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(_HOSTS, [HOSTS])
        cursor.execute(_ACCOUNTS)


def drop(server: str) -> None:
    connection.close()
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def grow(sessions: int) -> float:
    """Add sessions until there are so many. Returns how long it took."""
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sessions_app_streamsession")
        (stored,) = cursor.fetchone()
        facts = {"first": stored + 1, "last": sessions, "total": sessions, "live": LIVE, "hosts": HOSTS}
        cursor.execute(_SESSIONS, facts)
        cursor.execute("VACUUM ANALYZE sessions_app_streamsession, billing_orchestrator")
        cursor.execute(
            "CHECKPOINT"
        )  # What filling the books still owes the disk is not the heartbeats' debt.
    return time.monotonic() - began


@contextmanager
def crowd(sessions: int) -> Iterator[range]:
    """Many more live sessions for a while; yields their numbers."""
    numbers = range(CROWD, CROWD + sessions)
    facts = {
        "first": numbers[0],
        "last": numbers[-1],
        "total": numbers[-1],
        "live": numbers[-1],
        "hosts": HOSTS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS, facts)
        cursor.execute("VACUUM ANALYZE sessions_app_streamsession")
        yield numbers
        cursor.execute(
            "DELETE FROM sessions_app_streamsession WHERE session_id = ANY (%s)",
            [[f"stream-{number}" for number in numbers]],
        )
        cursor.execute("VACUUM ANALYZE sessions_app_streamsession")


def credit(legs: int) -> float:
    """Give the oldest ended sessions their segments, entries and legs. Returns how long it took."""
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SET work_mem = '256MB'")
        cursor.execute("SELECT coalesce(max(id), 0) FROM billing_entry")
        (before,) = cursor.fetchone()
        cursor.execute(_ENTRIES, [legs // 2])
        cursor.execute(_LEGS, [before])
        cursor.execute(_BALANCES)
        cursor.execute(_SEGMENTS, [before])
        cursor.execute("VACUUM ANALYZE billing_entry, billing_leg, billing_account, sessions_app_segment")
    return time.monotonic() - began


def rearm() -> None:
    """Live sessions were heard of just now, and a segment of those that are to close one is due."""
    with connection.cursor() as cursor:
        cursor.execute(_REARM, [[f"stream-{n}" for n in range(PLAIN + 1, LIVE + 1)]])


def address_of(session: int) -> str:
    """The address of the host that serves a session."""
    host = session % HOSTS + 1
    return f"10.0.{host // 250}.{host % 250 + 1}"
