"""`make run` as people meet it: in a checkout of its own, with a space in its name."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from launcher import environment, ports, processes
from tests.servers import PROJECT

LEFT_OUT = shutil.ignore_patterns(".*", "data", "tests", "docs", "bench", "__pycache__", "staticfiles")


LAUNCH = [sys.executable, "-m", "launcher", "run"]


def bare_environment(port: int) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PAYMENTS_API_PORT": str(port)}


class Launched:
    """A launcher at work in a checkout, and what it has said."""

    def __init__(self, checkout: Path, port: int) -> None:
        self.checkout = checkout
        self._log = checkout / "said"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                LAUNCH,
                cwd=checkout,
                env={**bare_environment(port), "EMBODY_TEST": str(checkout)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def wait_for(self, words: str) -> None:
        processes.wait_until(
            lambda: self.process.poll() is not None or words in self.said, seconds=90, pause=0.1
        )
        assert words in self.said, self.said

    def family(self) -> set[int]:
        """Every living process that this checkout started, whoever its parent is now."""
        return {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if self._is_ours(entry)}

    def _is_ours(self, entry: Path) -> bool:
        try:
            if f"EMBODY_TEST={self.checkout}".encode() in (entry / "environ").read_bytes():
                return True
            return (
                str(self.checkout).encode()
                in (entry / "cmdline").read_bytes() + os.readlink(entry / "cwd").encode()
            )
        except OSError:
            return False


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of the project, with the packages that are installed already."""
    parent = Path(tempfile.mkdtemp(prefix="embody-run-"))
    parent.chmod(0o711)  # PostgreSQL may run as another account than ours and has to pass through.
    directory = parent / "a checkout"
    shutil.copytree(PROJECT, directory, ignore=LEFT_OUT)
    (directory / ".venv").symlink_to(environment.VENV)
    yield directory
    shutil.rmtree(parent, ignore_errors=True)


@contextmanager
def launched(checkout: Path, port: int) -> Iterator[Launched]:
    launcher = Launched(checkout, port)
    try:
        yield launcher
    finally:
        if launcher.process.poll() is None:
            launcher.process.terminate()
        launcher.process.wait(60)


def refused(checkout: Path, port: int) -> str:
    """What a launcher says that does not get to run."""
    with launched(checkout, port) as launcher:
        assert launcher.process.wait(60) == 1
        assert "Traceback" not in launcher.said
        return launcher.said


def test_from_nothing_to_a_first_event_and_through_every_kind_of_ending(checkout: Path) -> None:
    port = ports.any_free()

    with launched(checkout, port) as first:
        first.wait_for("Embody Payments is running")
        assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600
        paste_the_lines_it_printed(first)
        assert "is running on" in refused_beside(first, port)
        # The launcher, PostgreSQL, Valkey, web, worker and beat, most of them with processes of their own.
        assert len(first.family()) > 8

        first.process.terminate()

        assert first.process.wait(60) == 0
        assert first.family() == set()

    with launched(checkout, port) as second:
        second.wait_for("Embody Payments is running")
        assert hosts_known_to(second, port) == ["orch-a"]

        second.process.kill()
        second.process.wait()
        # At once: nothing has had time to end by itself.
        with launched(checkout, port) as third:
            third.wait_for("Embody Payments is running")
            assert hosts_known_to(third, port) == ["orch-a"]
            third.process.send_signal(signal.SIGHUP)
            assert third.process.wait(60) == 0
            assert third.family() == set()


def test_a_port_in_use_gets_a_sentence(checkout: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        said = refused(checkout, port)

    assert f"Something else listens on 127.0.0.1:{port} already" in said
    assert f"PAYMENTS_API_PORT={port + 1} make run" in said


def test_a_broken_data_directory_gets_a_sentence(checkout: Path) -> None:
    (checkout / "data" / "postgres" / "cluster").mkdir(parents=True)

    assert "is not a PostgreSQL database" in refused(checkout, ports.any_free())


def refused_beside(running: Launched, port: int) -> str:
    beside = subprocess.run(
        LAUNCH,
        cwd=running.checkout,
        env=bare_environment(port),
        capture_output=True,
        text=True,
        check=False,
    )
    assert beside.returncode == 1
    return beside.stderr


def paste_the_lines_it_printed(running: Launched) -> None:
    lines = re.search(r"^    set -a.*?(?=^$|^\S)", running.said, re.MULTILINE | re.DOTALL)
    assert lines is not None, running.said
    script = lines[0].replace("curl ", "curl --silent --show-error --fail-with-body ")
    pasted = subprocess.run(
        ["bash", "-e", "-c", script], cwd=running.checkout, capture_output=True, text=True, check=False
    )
    assert pasted.returncode == 0, pasted.stdout + pasted.stderr
    assert "Registered orchestrator" in pasted.stdout
    assert "session-1" in pasted.stdout


def hosts_known_to(running: Launched, port: int) -> list[str]:
    token = re.search(
        r"^PAYMENTS_API_ADMIN_TOKEN=(.+)$", (running.checkout / ".env").read_text(), re.MULTILINE
    )
    assert token is not None
    answer = httpx.get(
        f"http://127.0.0.1:{port}/api/orchestrators", headers={"X-Admin-Token": token[1]}
    ).json()
    assert "orchestrators" in answer, running.said[-6000:]
    return [host["orchestrator_id"] for host in answer["orchestrators"]]
