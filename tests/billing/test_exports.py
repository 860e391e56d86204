"""The JSONL exports: every row once, in order, whatever dies in between."""

import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings
from structlog.testing import capture_logs

from billing import tasks
from billing.models import Entry, Export, Orchestrator, RegistryEvent
from billing.services import export_files, exports, journal, ledger
from tests.billing.books import NOON, at_once, commit, host, segment
from tests.servers import PROJECT, shared_environment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def file(settings: Settings, tmp_path: Path) -> Path:
    path = tmp_path / "audit" / "ledger-events.log"
    settings.LEDGER_JOURNAL_PATH = str(path)
    return path


def earn(orchestrator: Orchestrator, *keys: str) -> None:
    commit(*(segment(orchestrator, 10**12, key, metadata={"key": key}) for key in keys))


def keys(file: Path) -> list[str]:
    """The keys of the exported entries; fails on a line that is torn."""
    text = file.read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line)["metadata"]["key"] for line in text.splitlines()]


# --- What is written ------------------------------------------------------------------------------


def test_the_journal_file_holds_the_lines_of_the_journal(file: Path) -> None:
    orchestrator = host()
    earn(orchestrator, "s:1", "s:2")

    assert exports.run(exports.JOURNAL) == 2

    lines = journal.lines(journal.journalled().order_by("id"))
    assert file.read_bytes() == b"".join(
        json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines
    )


def test_a_run_goes_on_where_the_last_one_ended(file: Path) -> None:
    orchestrator = host()
    for number in range(3):
        earn(orchestrator, f"s:{number}")
        assert exports.run(exports.JOURNAL) == 1
    assert exports.run(exports.JOURNAL) == 0

    assert keys(file) == ["s:0", "s:1", "s:2"]


def test_a_backlog_is_written_in_chunks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CHUNK", 10)
    expected = [f"s:{number}" for number in range(30)]
    earn(host(), *expected)

    assert exports.run(exports.JOURNAL) == 30

    assert keys(file) == expected
    assert Export.objects.get().last_row_id == Entry.objects.latest("id").pk


def test_a_long_backlog_is_worked_off_in_several_runs(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CHUNK", 10)
    expected = [f"s:{number}" for number in range(25)]
    earn(host(), *expected)

    assert [exports.run(exports.JOURNAL, budget=0) for _ in range(4)] == [10, 10, 5, 0]

    assert keys(file) == expected


def test_balances_in_the_file_are_those_of_their_time(file: Path) -> None:
    orchestrator = host()
    earn(orchestrator, "s:1")
    exports.run(exports.JOURNAL)
    earn(orchestrator, "s:2", "s:3")
    exports.run(exports.JOURNAL)

    balances = [json.loads(line)["balance"] for line in file.read_text().splitlines()]
    assert balances == ["0.000001", "0.000002", "0.000003"]


def test_text_is_utf_8_and_a_line_stays_a_line(file: Path) -> None:
    commit(segment(host("höst"), 1, "s:1", metadata={"key": "a\nb\u2028c", "notes": "é"}))

    exports.run(exports.JOURNAL)

    assert file.read_bytes().count(b"\n") == 1
    line = json.loads(file.read_text(encoding="utf-8"))
    assert (line["orchestrator_id"], line["metadata"]) == ("höst", {"notes": "é", "key": "a\nb\u2028c"})


def test_the_registry_log_has_its_keys_in_the_contracts_order(settings: Settings, tmp_path: Path) -> None:
    settings.REGISTRY_LOG_PATH = str(tmp_path / "registry.log")
    details = {
        "address": "0x1",
        "first_registration": True,
        "registration_count": 1,
        "is_top_100": True,
        "eligible_for_payments": True,
        "denylisted": False,
    }
    with transaction.atomic():
        RegistryEvent.objects.create(
            recorded_at=NOON, event="register", orchestrator_id="orch-a", details=details
        )
        RegistryEvent.objects.create(
            recorded_at=NOON + timedelta(microseconds=5), event="cooldown_cleared", orchestrator_id="orch-a"
        )

    assert exports.run(exports.REGISTRY) == 2

    assert (tmp_path / "registry.log").read_text() == (
        '{"timestamp":"2026-11-20T12:00:00+00:00","event":"register","orchestrator_id":"orch-a","address":"0x1",'
        '"first_registration":true,"registration_count":1,"is_top_100":true,"eligible_for_payments":true,'
        '"denylisted":false}\n'
        '{"timestamp":"2026-11-20T12:00:00.000005+00:00","event":"cooldown_cleared","orchestrator_id":"orch-a"}\n'
    )


def test_a_blank_path_switches_the_export_off(settings: Settings) -> None:
    settings.LEDGER_JOURNAL_PATH = ""
    earn(host(), "s:1")

    assert exports.run(exports.JOURNAL) == 0
    assert not Export.objects.exists()


# --- The file changes under us --------------------------------------------------------------------


def test_a_file_that_was_there_before_is_continued(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"metadata":{"key":"old"}}\n')
    earn(host(), "s:1")

    exports.run(exports.JOURNAL)

    assert keys(file) == ["old", "s:1"]


def test_a_line_that_somebody_left_open_is_closed_before_ours(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"metadata":{"key":"old"}}')
    earn(host(), "s:1")

    exports.run(exports.JOURNAL)

    assert keys(file) == ["old", "s:1"]


def test_a_rotated_file_is_followed_by_a_new_one(file: Path) -> None:
    orchestrator = host()
    earn(orchestrator, "s:1", "s:2")
    exports.run(exports.JOURNAL)
    file.rename(file.with_suffix(".1"))
    earn(orchestrator, "s:3")

    with capture_logs() as logs:
        exports.run(exports.JOURNAL)
    earn(orchestrator, "s:4")
    exports.run(exports.JOURNAL)

    assert keys(file.with_suffix(".1")) == ["s:1", "s:2"]
    assert keys(file) == ["s:3", "s:4"]
    assert [(log["event"], log["export"]) for log in logs] == [("export.new_file", "journal")]


def test_a_file_that_shrank_is_continued_at_its_end(file: Path) -> None:
    orchestrator = host()
    earn(orchestrator, "s:1", "s:2")
    exports.run(exports.JOURNAL)
    first_line = file.read_bytes().index(b"\n") + 1
    os.truncate(file, first_line)
    earn(orchestrator, "s:3")

    exports.run(exports.JOURNAL)

    assert keys(file) == ["s:1", "s:3"]


def test_another_path_starts_from_the_current_position(file: Path, settings: Settings) -> None:
    orchestrator = host()
    earn(orchestrator, "s:1")
    exports.run(exports.JOURNAL)
    elsewhere = file.with_name("elsewhere.log")
    settings.LEDGER_JOURNAL_PATH = str(elsewhere)
    earn(orchestrator, "s:2")

    exports.run(exports.JOURNAL)

    assert (keys(file), keys(elsewhere)) == (["s:1"], ["s:2"])


def test_a_file_that_cannot_be_written_is_logged_and_caught_up_later(
    file: Path, settings: Settings, tmp_path: Path
) -> None:
    orchestrator = host()
    (tmp_path / "blocked").write_text("a file, where a directory should be")
    settings.LEDGER_JOURNAL_PATH = str(tmp_path / "blocked" / "journal.log")
    settings.REGISTRY_LOG_PATH = str(tmp_path / "registry.log")
    earn(orchestrator, "s:1")

    with capture_logs() as logs:
        tasks.export_logs()

    assert [(log["event"], log["export"]) for log in logs] == [("export.failed", "journal")]
    assert (tmp_path / "registry.log").exists()
    settings.LEDGER_JOURNAL_PATH = str(file)
    tasks.export_logs()
    assert keys(file) == ["s:1"]


def test_a_full_disk_leaves_no_torn_line_behind(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orchestrator = host()
    earn(orchestrator, "s:1")
    exports.run(exports.JOURNAL)
    earn(orchestrator, "s:2", "s:3")
    write = os.pwrite

    def full(descriptor: int, data: Any, offset: int) -> int:
        write(descriptor, bytes(data)[: len(data) // 2], offset)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            exports.run(exports.JOURNAL)
    exports.run(exports.JOURNAL)

    assert keys(file) == ["s:1", "s:2", "s:3"]


# --- Death ----------------------------------------------------------------------------------------

KILLED_EXPORT = """
import os, signal
import django
django.setup()
from django.db import connection
from billing.services import export_files, exports

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

write, exports.CHUNK = os.pwrite, 4
instant = os.environ["DIE"]
if instant == "before the write":
    os.pwrite = die
elif instant == "in the middle of the write":
    os.pwrite = lambda file, data, offset: write(file, bytes(data)[:len(data) // 2], offset) and die()
elif instant == "after the write":
    os.fsync = die
elif instant == "before the commit":
    exports.export_files.append = lambda *a, append=export_files.append, **k: (append(*a, **k), die())
elif instant == "after the first chunk":
    chunk = exports._write_chunk
    exports._write_chunk = lambda *a: (chunk(*a), die())
exports.run(exports.JOURNAL)
"""
INSTANTS = (
    "before the write",
    "in the middle of the write",
    "after the write",
    "before the commit",
    "after the first chunk",
)


def _export_and_die(instant: str, path: Path) -> None:
    environment = shared_environment() | {"PAYMENTS_LEDGER_JOURNAL_PATH": str(path), "DIE": instant}
    process = subprocess.run(
        [sys.executable, "-c", KILLED_EXPORT], cwd=PROJECT, env=environment, timeout=60, check=False
    )
    assert process.returncode == -SIGKILL


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_process_killed_at_any_instant_loses_and_repeats_nothing(file: Path, instant: str) -> None:
    orchestrator = host()
    earn(orchestrator, "s:0")
    exports.run(exports.JOURNAL)
    expected = [f"s:{number}" for number in range(11)]
    earn(orchestrator, *expected[1:])

    _export_and_die(instant, file)
    exports.run(exports.JOURNAL)

    assert keys(file) == expected


def test_deaths_one_after_another_lose_and_repeat_nothing(file: Path) -> None:
    expected = [f"s:{number}" for number in range(23)]
    earn(host(), *expected)

    for instant in INSTANTS:
        _export_and_die(instant, file)
    exports.run(exports.JOURNAL)

    assert keys(file) == expected


# --- Others at the same time ----------------------------------------------------------------------


def test_exporters_at_the_same_time_write_each_line_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CHUNK", 3)
    orchestrator = host()
    expected = [f"s:{number}" for number in range(60)]

    def write() -> None:
        for key in expected:
            earn(orchestrator, key)

    def export() -> None:
        for _ in range(40):
            exports.run(exports.JOURNAL)

    assert at_once(write, export, export, export) == [None] * 4
    exports.run(exports.JOURNAL)

    assert keys(file) == expected


def test_a_file_in_use_is_left_to_its_user(file: Path) -> None:
    earn(host(), "s:1")

    with export_files.exclusive(file):
        assert exports.run(exports.JOURNAL) == 0
    assert exports.run(exports.JOURNAL) == 1


def test_an_exporter_elsewhere_that_holds_the_cursor_is_not_disturbed(file: Path) -> None:
    orchestrator = host()
    earn(orchestrator, "s:1")
    exports.run(exports.JOURNAL)
    earn(orchestrator, "s:2")
    with export_files.exclusive(file) as descriptor, transaction.atomic():
        Export.objects.select_for_update().get()

        (written,) = at_once(lambda: exports._write_chunk(exports.JOURNAL, descriptor, 10**9))

    assert written == 0


class LateWriter:
    """A transaction in another thread that posts early and commits late."""

    def __init__(self, orchestrator: Orchestrator, key: str) -> None:
        self.posted, self.may_commit = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, args=(orchestrator, key))

    def _run(self, orchestrator: Orchestrator, key: str) -> None:
        with transaction.atomic():
            ledger.post_many([segment(orchestrator, 10**12, key, metadata={"key": key})])
            self.posted.set()
            self.may_commit.wait(timeout=30)
        connection.close()

    def __enter__(self) -> "LateWriter":
        self.thread.start()
        assert self.posted.wait(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        self.commit()

    def commit(self) -> None:
        self.may_commit.set()
        self.thread.join(timeout=10)


@pytest.fixture
def two_hosts(file: Path) -> tuple[Orchestrator, Orchestrator]:
    """Both with an account already, so that they do not wait for each other; their lines are out."""
    anna, bert = host("anna", 1), host("bert", 2)
    earn(anna, "s:a")
    earn(bert, "s:b")
    exports.run(exports.JOURNAL)
    return anna, bert


def test_a_lower_number_that_is_committed_late_comes_first(
    file: Path, two_hosts: tuple[Orchestrator, Orchestrator]
) -> None:
    anna, bert = two_hosts

    with LateWriter(anna, "s:early") as late:
        earn(bert, "s:later")
        assert exports.run(exports.JOURNAL, patience=0.2) == 0
        assert keys(file) == ["s:a", "s:b"]
        late.commit()
        assert exports.run(exports.JOURNAL) == 2

    assert keys(file) == ["s:a", "s:b", "s:early", "s:later"]


def test_an_export_waits_for_a_writer_who_is_almost_done(
    file: Path, two_hosts: tuple[Orchestrator, Orchestrator]
) -> None:
    anna, bert = two_hosts

    with LateWriter(anna, "s:early") as late:
        earn(bert, "s:later")
        timer = threading.Timer(0.3, late.may_commit.set)
        timer.start()
        assert exports.run(exports.JOURNAL, patience=10) == 2
        timer.join()

    assert keys(file) == ["s:a", "s:b", "s:early", "s:later"]


def test_a_writer_who_gives_up_leaves_a_gap_that_nobody_waits_for(file: Path) -> None:
    anna, bert = host("anna", 1), host("bert", 2)
    earn(anna, "s:1")
    with transaction.atomic():
        ledger.post_many([segment(anna, 1, "s:gone", metadata={"key": "s:gone"})])
        transaction.set_rollback(True)
    earn(bert, "s:2")

    exports.run(exports.JOURNAL)

    assert keys(file) == ["s:1", "s:2"]


def test_writers_of_other_tables_are_not_waited_for(file: Path) -> None:
    earn(host(), "s:1")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Orchestrator.objects.update(capability="x")
            held.set()
            release.wait(timeout=30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(timeout=10)

    written = exports.run(exports.JOURNAL, patience=0)
    release.set()
    thread.join()

    assert written == 1
