"""Who owns the transaction: doorways open one, services that write require it, outside calls refuse it."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import psycopg
from django.db import IntegrityError, OperationalError, connection, models
from psycopg import errors

P = ParamSpec("P")
R = TypeVar("R")


def transaction_required(service: Callable[P, R]) -> Callable[P, R]:
    """Refuse to run outside a transaction: half of a verb must never be committed."""

    @wraps(service)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not connection.in_atomic_block:
            raise RuntimeError(f"{service.__qualname__} writes and needs a transaction around it")
        return service(*args, **kwargs)

    return guarded


def no_transaction(service: Callable[P, R]) -> Callable[P, R]:
    """Refuse to run inside a transaction: the outside world is slow and cannot be rolled back."""

    @wraps(service)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        # The block that Django's TestCase wraps around a test is no transaction of the product's;
        # `atomic(durable=True)` makes the same exception.
        blocks = connection.atomic_blocks
        if blocks and not blocks[-1]._from_testcase:  # type: ignore[attr-defined]
            raise RuntimeError(f"{service.__qualname__} talks to the outside and must not hold a transaction")
        return service(*args, **kwargs)

    return guarded


def retry_on_race(verb: Callable[[int], R], *, attempts: int = 6) -> R:
    """Run `verb(attempt)` again when it lost a race: a unique key taken meanwhile, or a deadlock broken.

    `verb` opens its own transaction, so that a lost one leaves nothing behind.
    """
    for attempt in range(attempts - 1):
        try:
            return verb(attempt)
        except (IntegrityError, OperationalError) as lost:
            if not isinstance(lost.__cause__, errors.UniqueViolation | errors.DeadlockDetected):
                raise
    return verb(attempts - 1)


def prepared(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run one statement as a server-side prepared statement of this thread's connection.

    Django's own cursor binds on the client, so that the server parses and plans every time. This is for the
    few statements that carry nearly all traffic. Placeholders are `%s`, types are cast in the SQL.
    """
    if connection.queries_logged:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, prepare=True, binary=True)
        return cursor.fetchall()


def update_many(rows: Sequence[models.Model], fields: Sequence[str]) -> None:
    """Write `fields` of many rows in one statement, whatever their number; rows are locked in id order."""
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: row.pk)
    meta = ordered[0]._meta
    columns = [meta.get_field(name) for name in fields]
    assert all(isinstance(column, models.Field) for column in columns)
    names = ", ".join(f'"{column.column}"' for column in columns)  # type: ignore[union-attr]
    types = ", ".join(f"%s::{_sql_type(column)}[]" for column in columns)
    assignments = ", ".join(f'"{column.column}" = fresh."{column.column}"' for column in columns)  # type: ignore[union-attr]
    statement = (
        f'UPDATE "{meta.db_table}" AS stored SET {assignments} '  # noqa: S608 - names come from the model
        f"FROM unnest(%s::bigint[], {types}) AS fresh (id, {names}) WHERE stored.id = fresh.id"
    )
    values = [[_prepared_value(column, row) for row in ordered] for column in columns]
    with connection.cursor() as cursor:
        cursor.execute(statement, [[row.pk for row in ordered], *values])


def _sql_type(field: Any) -> str:
    return str(field.target_field.db_type(connection) if field.remote_field else field.db_type(connection))


def _prepared_value(field: Any, row: models.Model) -> Any:
    return field.get_db_prep_save(getattr(row, field.attname), connection)
