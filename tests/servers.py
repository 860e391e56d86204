"""The real web server and worker, as processes of their own, on the database of the running test."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from urllib.parse import urlsplit

import httpx
from django.db import connection

from launcher import ports, processes, services
from launcher.services import Service

PROJECT = Path(__file__).resolve().parent.parent


@dataclass
class Running:
    """A process under test. `url` is where the web server answers."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""

    def kill(self) -> None:
        """SIGKILL to it and all its children: what a power cut looks like."""
        os.killpg(self.process.pid, SIGKILL)
        self.process.wait()


@contextmanager
def running_server(
    workers: int = 1, env: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[Running]:
    """The web server on a free loopback port. Another connection: use it with `transaction=True`."""
    port = port or ports.any_free()
    with _running(services.web(host="127.0.0.1", port=port, workers=workers), env or {}) as server:
        server.url = f"http://127.0.0.1:{port}"
        started = processes.wait_until(
            lambda: server.process.poll() is not None or _answers(server.url), seconds=60, pause=0.05
        )
        assert started, server.log.read_text()
        assert server.process.poll() is None, server.log.read_text()
        yield server


@contextmanager
def running_worker(env: Mapping[str, str] | None = None, concurrency: int = 1) -> Iterator[Running]:
    """A Celery worker on the broker of this test process."""
    with _running(services.worker(concurrency=concurrency, log_level="info"), env or {}) as worker:
        started = processes.wait_until(
            lambda: worker.process.poll() is not None or " ready." in worker.log.read_text(),
            seconds=60,
            pause=0.05,
        )
        assert started, worker.log.read_text()
        assert worker.process.poll() is None, worker.log.read_text()
        yield worker


def shared_environment() -> dict[str, str]:
    """The environment in which another process reaches the same database and broker as this test."""
    name = connection.settings_dict["NAME"]
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    return {**os.environ, "DATABASE_URL": database}


@contextmanager
def _running(service: Service, env: Mapping[str, str]) -> Iterator[Running]:
    with tempfile.NamedTemporaryFile(prefix=f"{service.name}-", suffix=".log") as log:
        process = processes.start(
            service.command, env={**shared_environment(), **env}, output=log.file, cwd=PROJECT
        )
        try:
            yield Running(process, Path(log.name))
        finally:
            processes.stop(process, SIGTERM, patience=15)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
