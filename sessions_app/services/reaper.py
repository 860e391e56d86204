"""Ends sessions that fell silent, and forgets answers that nobody will ask for again."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction

from core.db import no_transaction
from sessions_app.models import StreamSession
from sessions_app.services import engine, gate
from sessions_app.services.crediting import ProbeNeeded

log = structlog.get_logger(__name__)

CHUNK = 500
RESULTS_KEPT = timedelta(days=35)

# Answers are forgotten in chunks, so that no transaction is long. A heartbeat's row has no other use, but
# for the one that began a generation: it is where the session's timeline starts.
FORGET_HEARTBEATS = """
DELETE FROM sessions_app_sessionevent WHERE id IN (
    SELECT heartbeat.id FROM sessions_app_sessionevent AS heartbeat
    WHERE heartbeat.received_at < %s AND heartbeat.event = 'heartbeat' AND heartbeat.event_id IS NOT NULL
        AND EXISTS (
            SELECT FROM sessions_app_sessionevent AS earlier
            WHERE earlier.session_id = heartbeat.session_id AND earlier.id < heartbeat.id
                AND earlier.generation = heartbeat.generation
        )
    LIMIT %s
)
"""
FORGET_RESULTS = """
UPDATE sessions_app_sessionevent SET event_id = NULL, result = NULL WHERE id IN (
    SELECT id FROM sessions_app_sessionevent WHERE received_at < %s AND event_id IS NOT NULL LIMIT %s
)
"""


@no_transaction
def close_silent_sessions(*, now: datetime) -> int:
    """End every open session that was silent for longer than the maximum gap; returns how many.

    Safe to run twice at once: locked sessions are left to whoever locked them.
    """
    gap = settings.SESSION_MAX_GAP_SECONDS
    if not gap:
        return 0
    awake: dict[int, bool] = {}
    closed = 0
    while True:
        try:
            with transaction.atomic(durable=True):
                silent = list(
                    StreamSession.objects.silent(now=now, gap=timedelta(seconds=gap))
                    .order_by("pk")
                    .select_for_update(skip_locked=True, no_key=True)[:CHUNK]
                )
                engine.time_out(silent, now=now, awake=awake)
        except ProbeNeeded as needed:
            awake.update(gate.ask(needed.orchestrator_pks))
            continue
        closed += len(silent)
        if len(silent) < CHUNK:
            if closed:
                log.info("sessions.timed_out", sessions=closed)
            return closed


def forget_event_results(*, now: datetime) -> int:
    """Drop answers older than 35 days; returns how many rows were touched."""
    forgotten = 0
    for statement in (FORGET_HEARTBEATS, FORGET_RESULTS):
        while True:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement, [now - RESULTS_KEPT, CHUNK])
                touched = cursor.rowcount
            forgotten += touched
            if touched < CHUNK:
                break
    return forgotten
