"""Wiring. Celery's application is loaded with it, so that every process binds tasks to the same broker."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
