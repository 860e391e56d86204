"""The JSONL exports: the ledger's journal and the registry's log, each row written exactly once, in order.

The database is authoritative; a file follows it. The `Export` row says which row was written last and
where in the file its line ends. It is committed after the lines are on the disk, so that a crash between
the two leaves lines beyond the recorded end, which the next run cuts off and writes again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from billing.models import Entry, Export, RegistryEvent
from billing.services import export_files, journal, registry_log
from core.db import no_transaction
from core.timestamps import offset
from core.wire import compact

logger = structlog.get_logger(__name__)

CHUNK = 1_000
"""Rows per write. Bounds the memory and the work that a crash can undo, whatever the backlog."""

PATIENCE_SECONDS = 3.0
"""How long to wait for those who are writing. Whoever takes longer is waited for again next time."""

BUDGET_SECONDS = 20.0
"""How long one run may work off a backlog, so that other tasks get their turn."""

# Who writes a table holds this lock on it from before the row gets its number until after the row can be
# seen. Only the lock's holders can still bring a number lower than one that can be seen already.
WRITERS = """
SELECT virtualtransaction FROM pg_locks
WHERE relation = %s::regclass AND mode = 'RowExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """An export: its rows in the order of their ids, and the file they go to (blank: none).

    `read` returns up to `CHUNK` rows with an id above the first and up to the second argument, as pairs
    of id and line. It may leave rows out.
    """

    name: str
    table: str
    path: Callable[[], str]
    read: Callable[[int, int], Sequence[tuple[int, Line]]]


def _journal_lines(after: int, upto: int) -> Sequence[tuple[int, Line]]:
    entries = list(journal.journalled().filter(id__gt=after, id__lte=upto).order_by("id")[:CHUNK])
    return list(zip([entry.pk for entry in entries], journal.lines(entries), strict=True))


def _registry_lines(after: int, upto: int) -> Sequence[tuple[int, Line]]:
    events = RegistryEvent.objects.filter(id__gt=after, id__lte=upto).order_by("id")[:CHUNK]
    return [(event.pk, _registry_line(event)) for event in events]


def _registry_line(event: RegistryEvent) -> Line:
    known = registry_log.KEYS.get(event.event, ())
    return {
        "timestamp": offset(event.recorded_at),
        "event": event.event,
        "orchestrator_id": event.orchestrator_id,
        **{name: event.details[name] for name in known if name in event.details},
        **{name: value for name, value in event.details.items() if name not in known},
    }


JOURNAL = Log("journal", Entry._meta.db_table, lambda: settings.LEDGER_JOURNAL_PATH, _journal_lines)
REGISTRY = Log("registry", RegistryEvent._meta.db_table, lambda: settings.REGISTRY_LOG_PATH, _registry_lines)
LOGS = (JOURNAL, REGISTRY)


@no_transaction
def run(log: Log, *, patience: float = PATIENCE_SECONDS, budget: float = BUDGET_SECONDS) -> int:
    """Append what is new to a log's file; returns how many lines. Safe to start twice.

    :param patience: seconds to wait for transactions whose rows belong before the newest.
    :param budget: seconds after which a backlog is left to the next run.

    :raises OSError: the file cannot be written. Nothing is lost; the next run goes on from the same row.
    """
    path = log.path()
    if not path:
        return 0
    try:
        with export_files.exclusive(Path(path)) as file:
            export = _adopt(log, path, export_files.size(file))
            newest = _newest_settled(log.table, export.last_row_id, patience)
            return _catch_up(log, file, newest, budget)
    except export_files.FileInUse:
        # The run before this one is still busy and will get to what is new.
        return 0


def _adopt(log: Log, path: str, size: int) -> Export:
    """The log's progress. A file other than the one written last is continued at its end, not overwritten."""
    with transaction.atomic(durable=True):
        export, is_new = Export.objects.select_for_update().get_or_create(
            name=log.name, defaults={"path": path, "offset": size, "updated_at": timezone.now()}
        )
        if not is_new and (export.path != path or size < export.offset):
            logger.warning("export.new_file", export=log.name, path=path, size=size, was_at=export.offset)
            export.path, export.offset, export.updated_at = path, size, timezone.now()
            export.save()
    return export


def _newest_settled(table: str, exported: int, patience: float) -> int:
    """The newest row such that no row below it can still appear, or `exported` when nothing is new.

    Row numbers are handed out before they are committed, so a lower number may be seen after a higher
    one. Whoever was writing when we looked is waited for, as `CREATE INDEX CONCURRENTLY` does; writers
    who come later get higher numbers.
    """
    newest = _one(f'SELECT coalesce(max(id), 0) FROM "{table}"')  # noqa: S608 - our own table's name
    if newest <= exported:
        return exported
    deadline = time.monotonic() + patience
    writers = _writers(table)
    while writers:
        if time.monotonic() > deadline:
            logger.warning("export.waiting", table=table, writers=len(writers))
            return exported
        time.sleep(0.02)
        writers &= _writers(table)
    return newest


def _one(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])


def _writers(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(WRITERS, [table])
        return {virtual_transaction for (virtual_transaction,) in cursor.fetchall()}


def _catch_up(log: Log, file: int, upto: int, budget: float) -> int:
    """Write chunk after chunk until the row `upto`, or until somebody else turns out to be doing it."""
    deadline = time.monotonic() + budget
    total = written = _write_chunk(log, file, upto)
    while written == CHUNK and time.monotonic() < deadline:
        written = _write_chunk(log, file, upto)
        total += written
    return total


def _write_chunk(log: Log, file: int, upto: int) -> int:
    with transaction.atomic(durable=True):
        # The row's lock makes this the only exporter; another one skips.
        export = Export.objects.select_for_update(skip_locked=True).filter(name=log.name).first()
        if export is None or export.last_row_id >= upto:
            return 0
        rows = log.read(export.last_row_id, upto)
        if rows:
            lines = b"".join(compact(line).encode() + b"\n" for _, line in rows)
            export.offset = export_files.append(file, lines, offset=export.offset)
        # With fewer rows than asked for, the rest up to the end makes no lines.
        export.last_row_id = rows[-1][0] if len(rows) == CHUNK else upto
        export.updated_at = timezone.now()
        export.save()
        return len(rows)
