"""What beat starts, and when. Every task here is safe to start twice, so a second beat does no harm.

A task that could not be started before the next one was due is dropped: the next one does its work too.
"""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab


def _every(task: str, seconds: int) -> dict[str, Any]:
    return {"task": task, "schedule": timedelta(seconds=seconds), "options": {"expires": seconds}}


def _daily(task: str, *, hour: int, minute: int) -> dict[str, Any]:
    """Once a day, at a time in UTC."""
    return {
        "task": task,
        "schedule": crontab(hour=str(hour), minute=str(minute)),
        "options": {"expires": 12 * 3600},
    }


SCHEDULE: dict[str, dict[str, Any]] = {
    "export the journal and the registry log": _every("billing.tasks.export_logs", 5),
    "close sessions that fell silent": _every("sessions_app.tasks.close_silent_sessions", 30),
    "forget results of old events": _daily("sessions_app.tasks.forget_event_results", hour=3, minute=10),
    "prove the books": _daily("billing.tasks.check_ledger", hour=4, minute=40),
}
