"""What staff see at a glance about sessions. Reads only; each figure is one statement."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection

# The open sessions are few and have an index of their own, which heartbeats do not touch.
_LIVE = """
SELECT count(*), count(DISTINCT orchestrator_id),
       coalesce(sum(heartbeat_count * 60 / greatest(extract(epoch FROM last_seen_at - started_at), 60)), 0)
FROM sessions_app_streamsession
WHERE ended_at IS NULL AND is_newest AND last_seen_at >= %s
"""
_STARTS_AND_ENDS = """
SELECT count(*) FROM sessions_app_sessionevent WHERE received_at >= %s AND event IN ('start', 'end')
"""
_STARTED = """
SELECT date_trunc('hour', started_at AT TIME ZONE 'UTC'), count(*)
FROM sessions_app_streamsession
WHERE is_newest AND started_at >= %s AND started_at < %s
GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Live:
    """The sessions that are being served now."""

    sessions: int
    hosts: int
    events_per_minute: int


@dataclass(frozen=True, slots=True)
class Started:
    """How many sessions started in each hour, oldest first, no hour left out."""

    hours: list[datetime]
    counts: list[int]


def live(*, now: datetime) -> Live:
    """Live sessions, and the pace of their events.

    Heartbeats leave no row each, so their pace is each live session's own average; starts and ends are
    counted over the last minute.
    """
    idle = timedelta(seconds=settings.SESSION_IDLE_TIMEOUT_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(_LIVE, [now - idle])
        sessions, hosts, pace = cursor.fetchone()
        cursor.execute(_STARTS_AND_ENDS, [now - timedelta(minutes=1)])
        (others,) = cursor.fetchone()
    return Live(sessions, hosts, round(pace) + others)


def started_per_hour(*, now: datetime, hours: int) -> Started:
    """Sessions by the hour in which they started, the present hour last."""
    present = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    start = present - timedelta(hours=hours - 1)
    with connection.cursor() as cursor:
        cursor.execute(_STARTED, [start, present + timedelta(hours=1)])
        found = {hour.replace(tzinfo=UTC): count for hour, count in cursor.fetchall()}
    calendar = [start + timedelta(hours=step) for step in range(hours)]
    return Started(calendar, [found.get(hour, 0) for hour in calendar])


def any_sessions() -> bool:
    """Whether a first event ever arrived."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM sessions_app_streamsession)")
        (found,) = cursor.fetchone()
    return bool(found)
