"""The scheduled work of sessions."""

from celery import shared_task
from django.utils import timezone

from sessions_app.services import reaper


@shared_task(soft_time_limit=110, time_limit=120)
def close_silent_sessions(**_: object) -> None:
    reaper.close_silent_sessions(now=timezone.now())


@shared_task
def forget_event_results(**_: object) -> None:
    reaper.forget_event_results(now=timezone.now())
