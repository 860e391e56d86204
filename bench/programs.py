"""The programs under measurement: our web server, the reference application, and pgbench."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from urllib.parse import urlsplit

import httpx

from bench import books, statements
from bench.traffic import CLOSES_ONE_IN
from launcher import ports, postgres, processes, services

PROJECT = Path(__file__).resolve().parent.parent
WORKERS = 2
_LATENCY = re.compile(r"latency average = ([\d.]+)")
_SPEED = re.compile(r"tps = ([\d.]+) \(without initial")


@dataclass(frozen=True, slots=True)
class Server:
    """A running web server."""

    port: int
    pid: int

    def worker_pids(self) -> list[int]:
        """Its processes, without the one that only watches over them."""
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True, check=True
        )
        return [int(pid) for pid in children.stdout.split()]


@contextmanager
def ours(url: str) -> Iterator[Server]:
    """The web server as `make run` starts it."""
    port = ports.any_free()
    with _running(
        services.web(host="127.0.0.1", port=port, workers=WORKERS).command, port, url, {}
    ) as server:
        yield server


@contextmanager
def reference(url: str) -> Iterator[Server]:
    """The reference application, with as many processes."""
    port = ports.any_free()
    command = (
        *(sys.executable, "-m", "uvicorn", "bench.reference.app:app", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", str(WORKERS), "--no-access-log", "--log-level", "warning"),
    )
    sql = {"REFERENCE_HEARTBEAT": statements.heartbeat(), "REFERENCE_CLOSE": statements.close()}
    with _running(command, port, url, sql) as server:
        yield server


@contextmanager
def _running(command: tuple[str, ...], port: int, url: str, variables: Mapping[str, str]) -> Iterator[Server]:
    with tempfile.TemporaryFile() as log:
        environment = {**os.environ, "DATABASE_URL": url, **variables}
        process = processes.start(command, env=environment, output=log, cwd=PROJECT)
        try:
            if not processes.wait_until(lambda: _answers(port), seconds=60, pause=0.1):
                log.seek(0)
                raise RuntimeError(log.read().decode())
            yield Server(port, process.pid)
        finally:
            processes.stop(process, SIGTERM, patience=15)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@dataclass(frozen=True, slots=True)
class Raw:
    """What pgbench measured."""

    per_second: float
    latency: float


def pgbench(url: str, *, clients: int, seconds: float) -> Raw:
    """The same statements without any program around them."""
    binary = postgres._binaries() / "pgbench"
    with tempfile.TemporaryDirectory() as name:
        # PostgreSQL's own client may run as any account.
        plain, close = Path(name) / "heartbeat.sql", Path(name) / "close.sql"
        plain.write_text(_as_script(statements.HEARTBEAT, _heartbeat_values()))
        close.write_text(
            _as_script(statements.CLOSE, ["now()", "now()", "'stream-' || :n"], first=books.PLAIN + 1)
        )
        done = subprocess.run(
            [
                *(str(binary), "--no-vacuum", "--protocol=prepared", "--random-seed=1"),
                *("--client", str(clients), "--jobs", "2", "--time", str(round(seconds))),
                *("--file", f"{plain}@{CLOSES_ONE_IN - 1}", "--file", f"{close}@1"),
                url,
            ],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PGPASSWORD": urlsplit(url).password or ""},
        )
    return Raw(float(_SPEED.findall(done.stdout)[0]), float(_LATENCY.findall(done.stdout)[0]))


def _heartbeat_values() -> list[str]:
    return [
        *("0", "'stream-' || :n", "NULL", "'10.0.0.' || (:n % 200 + 2)", "8000 + :n % 32"),
        *("'edge-' || :n % 3", "'viewer-' || :n", "NULL", "now()", "false"),
        *("now()", "'127.0.0.1'", "'180 s'", "'2400 s'"),
    ]


def _as_script(statement: str, values: list[str], *, first: int = 1) -> str:
    """A pgbench script: one statement on one line, about a live session chosen by chance."""
    parts = statement.split("%s")
    text = parts[0] + "".join(f"({value}){part}" for value, part in zip(values, parts[1:], strict=True))
    last = books.PLAIN if first == 1 else books.LIVE
    return f"\\set n random({first}, {last})\n{' '.join(text.split())};\n"
