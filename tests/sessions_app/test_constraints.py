"""What PostgreSQL promises about sessions, attacked in SQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from sessions_app.models import Segment, SessionEvent, StreamSession
from tests.sessions_app.edges import after, host, incoming, report

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _a_life() -> None:
    """s1 was served for a minute, ended and began again; s2 is served."""
    host("orch-a", "192.0.2.1")
    for word, seconds in (("start", 0), ("end", 60), ("start", 90)):
        report(incoming("s1", word, at=after(seconds), event_id=word + str(seconds)))
    report(incoming("s2", "start"))


@contextmanager
def refused_by(promise: str) -> Iterator[None]:
    with pytest.raises(IntegrityError, match=f'"{promise}"'), transaction.atomic():
        yield


def sql(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        assert cursor.rowcount > 0, "the attack hit nothing"


def copied(model: type[Any], pk: int, **changes: str) -> str:
    """SQL that inserts a copy of a row with some columns replaced."""
    columns = [field.column for field in model._meta.concrete_fields if field.column != "id"]
    values = [changes.get(column, column) for column in columns]
    table = model._meta.db_table
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table} WHERE id = {pk}"
    )


def generation(number: int) -> StreamSession:
    return StreamSession.objects.get(session_id="s1", generation=number)


def test_a_generation_is_unique() -> None:
    with refused_by("sessions_generation_is_unique"):
        sql(copied(StreamSession, generation(1).pk))


def test_one_generation_is_the_newest() -> None:
    with refused_by("sessions_one_generation_is_newest"):
        sql("UPDATE sessions_app_streamsession SET is_newest = true WHERE session_id = 's1'")


def test_a_session_does_not_end_before_it_starts() -> None:
    with refused_by("sessions_end_after_they_start"):
        sql(
            "UPDATE sessions_app_streamsession SET ended_at = started_at - interval '1 s' WHERE id = %s",
            generation(1).pk,
        )


@pytest.mark.parametrize("number", [1, 2])
def test_the_time_by_which_ended_sessions_are_listed_is_when_they_were_seen(number: int) -> None:
    with refused_by("sessions_ended_seen_at_repeats_last_seen_at"):
        sql(
            "UPDATE sessions_app_streamsession SET ended_seen_at = now() WHERE id = %s",
            generation(number).pk,
        )


def test_an_older_generation_has_ended() -> None:
    with refused_by("sessions_older_generations_have_ended"):
        sql(
            "UPDATE sessions_app_streamsession SET ended_at = NULL, ended_seen_at = NULL WHERE id = %s",
            generation(1).pk,
        )


@pytest.mark.parametrize("column", ["billed_wei", "billed_ms"])
def test_a_session_never_owes(column: str) -> None:
    with refused_by("sessions_never_owe"):
        sql(f"UPDATE sessions_app_streamsession SET {column} = -1")


def test_a_segment_closes_once() -> None:
    with refused_by("sessions_segment_closes_once"):
        sql(
            copied(
                Segment, Segment.objects.get().pk, entry_id="NULL", amount_wei="0", uncredited_reason="'x'"
            )
        )


@pytest.mark.parametrize(
    "change", ["ended_at = started_at", "ended_at = started_at - interval '1 s'", "duration_ms = 0"]
)
def test_a_segment_has_length(change: str) -> None:
    with refused_by("sessions_segment_has_length"):
        sql(f"UPDATE sessions_app_segment SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        "entry_id = NULL",
        "amount_wei = 0",
        "uncredited_reason = 'no_rate'",
        "entry_id = NULL, amount_wei = 0",
        "entry_id = NULL, uncredited_reason = 'no_rate'",
    ],
)
def test_a_segment_is_credited_or_says_why_not(change: str) -> None:
    with refused_by("sessions_segment_is_credited_or_says_why_not"):
        sql(f"UPDATE sessions_app_segment SET {change}")


def test_an_entry_pays_for_one_segment() -> None:
    with refused_by("sessions_app_segment_entry_id_key"):
        sql(copied(Segment, Segment.objects.get().pk, segment_index="1"))


def test_an_event_id_is_applied_once_per_session() -> None:
    with refused_by("sessions_event_id_is_applied_once"):
        sql(copied(SessionEvent, SessionEvent.objects.earliest("id").pk))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("sessions_app_segment", "session_id"),
        ("sessions_app_segment", "orchestrator_id"),
        ("sessions_app_segment", "entry_id"),
        ("sessions_app_streamsession", "orchestrator_id"),
    ],
)
def test_nobody_points_at_what_is_not_there(table: str, column: str) -> None:
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic():
        sql(f"SET CONSTRAINTS ALL IMMEDIATE; UPDATE {table} SET {column} = 999999999")
