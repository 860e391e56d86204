import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import processes
from launcher.messages import LauncherError
from launcher.services import Service
from launcher.supervisor import Supervisor


class Enough(Exception):
    """Ends a supervision from inside, as a signal would."""


def supervise(*services: Service, until: Callable[[], bool]) -> None:
    def enough() -> None:
        raise Enough

    with pytest.raises(Enough):
        Supervisor(services, os.environ, Path("/")).run(is_up=until, announce=enough)


def python(name: str, program: str, **options: bool) -> Service:
    return Service(name, (sys.executable, "-u", "-c", program), **options)


def pids(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_log_lines_carry_the_name_of_their_process(capfd: pytest.CaptureFixture[str]) -> None:
    printed = ""

    def both_have_spoken() -> bool:
        nonlocal printed
        printed += capfd.readouterr().out
        return "hello" in printed and "again" in printed

    wait = "; import time; time.sleep(60)"
    supervise(
        python("web", f"print('hello'){wait}"),
        python("worker", f"print('a\\nagain'){wait}"),
        until=both_have_spoken,
    )

    assert set(printed.splitlines()) == {"web    | hello", "worker | a", "worker | again"}


def test_a_child_that_crashed_starts_again_and_leaves_nobody_behind(tmp_path: Path) -> None:
    log, helpers = tmp_path / "log", tmp_path / "helpers"
    program = f"""
import os, subprocess, sys, time
helper = subprocess.Popen(["sleep", "60"])
open({str(helpers)!r}, "a").write(f"{{helper.pid}}\\n")
open({str(log)!r}, "a").write(f"{{os.getpid()}}\\n")
if len(open({str(log)!r}).readlines()) == 1:
    os.kill(os.getpid(), 9)
time.sleep(60)
"""

    supervise(python("web", program), until=lambda: len(pids(log)) == 2)

    assert len(set(pids(log))) == 2
    everybody = pids(log) + pids(helpers)
    assert len(everybody) == 4
    assert processes.wait_until(lambda: not any(map(processes.command_of, everybody)), seconds=5)


def test_a_child_that_never_gets_going_ends_everything_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("launcher.child._LONGEST_PAUSE", 0.01)
    broken = python("worker", "import sys; print('no broker'); sys.exit(3)")
    supervisor = Supervisor([broken], os.environ, Path("/"))

    with pytest.raises(LauncherError, match=r"worker ended 5 times right after its start \(exit code 3\)"):
        supervisor.run(is_up=lambda: False, announce=lambda: None)

    printed = capfd.readouterr()
    assert printed.out.count("worker | no broker") == 5
    assert printed.err.count("It starts again in") == 4


def test_a_child_that_may_finish_is_left_at_that(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    program = f"import os; open({str(log)!r}, 'a').write(f'{{os.getpid()}}\\n')"

    supervise(
        python("simulator", program, may_finish=True),
        until=lambda: "simulator has finished." in capfd.readouterr().err,
    )

    assert len(pids(log)) == 1


def test_a_child_that_ignores_the_request_to_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.supervisor._PATIENCE", 0.2)
    log = tmp_path / "log"
    program = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({str(log)!r}, "a").write(f"{{os.getpid()}}\\n")
time.sleep(60)
"""

    supervise(python("web", program), until=lambda: len(pids(log)) == 1)

    assert processes.command_of(pids(log)[0]) is None


def test_when_what_the_children_stand_on_is_gone_they_end_and_it_is_said() -> None:
    supervisor = Supervisor([python("web", "import time; time.sleep(60)")], os.environ, Path("/"))
    checks = iter([None, None])

    def check() -> None:
        if next(checks, "gone") == "gone":
            raise LauncherError("Valkey ended by itself")

    with pytest.raises(LauncherError, match="Valkey ended by itself"):
        supervisor.run(is_up=lambda: False, announce=lambda: None, check=check)
