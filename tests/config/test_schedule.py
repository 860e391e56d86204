"""The beat table: it names tasks that exist, and none runs unlimited."""

import pytest

from config.celery import app
from config.schedule import SCHEDULE


@pytest.mark.parametrize("name", SCHEDULE)
def test_what_beat_starts_is_a_task_of_a_worker(name: str) -> None:
    app.loader.import_default_modules()

    assert SCHEDULE[name]["task"] in app.tasks


@pytest.mark.parametrize("name", SCHEDULE)
def test_a_task_that_was_not_started_in_time_is_dropped(name: str) -> None:
    assert SCHEDULE[name]["options"]["expires"] > 0


def test_beat_reads_the_table() -> None:
    assert app.conf.beat_schedule == SCHEDULE


@pytest.mark.parametrize("name", SCHEDULE)
def test_a_task_is_asked_to_stop_before_it_is_killed(name: str) -> None:
    app.loader.import_default_modules()
    task = app.tasks[SCHEDULE[name]["task"]]

    hard = task.time_limit or app.conf.task_time_limit
    soft = task.soft_time_limit or app.conf.task_soft_time_limit

    assert 0 < soft < hard < app.conf.broker_transport_options["visibility_timeout"]
