"""The commands of our own processes: web, worker, beat, and the simulator of a demo."""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Service:
    """A process to keep running, and the word that marks its log lines."""

    name: str
    command: tuple[str, ...]
    may_finish: bool = False
    needs_web: bool = False


def web(*, host: str, port: int, workers: int = 2, threads: int = 4) -> Service:
    """The WSGI server. A few blocking threads per process: more would only queue for the interpreter."""
    return Service(
        "web",
        (
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"),
            *("--host", host, "--port", str(port)),
            *("--workers", str(workers), "--blocking-threads", str(threads)),
            *("--workers-kill-timeout", "10"),
            "config.wsgi:application",
        ),
    )


def worker(*, concurrency: int = 2, log_level: str = "warning") -> Service:
    """Runs tasks. Tasks log what they do; that each was received and done, every few seconds, is noise."""
    options = ("--loglevel", log_level, "--concurrency", str(concurrency), "--without-mingle")
    return Service("worker", (*_celery("worker"), *options))


def beat(data: Path) -> Service:
    """The clock of scheduled tasks. Its file only remembers when each last ran."""
    options = ("--loglevel", "warning", "--schedule", str(data / "beat-schedule"), "--pidfile=")
    return Service("beat", (*_celery("beat"), *options))


def simulator(address: str, *options: str) -> Service:
    return Service(
        "simulator", manage("simulate", "--url", address, *options), may_finish=True, needs_web=True
    )


def manage(*arguments: str) -> tuple[str, ...]:
    """A Django management command."""
    return (sys.executable, "manage.py", *arguments)


def _celery(program: str) -> tuple[str, ...]:
    # Root is a fair choice for a container or a trial, and our tasks are JSON: nothing in them can run code.
    calm = "ignore:You're running the worker with superuser privileges"
    return (
        *(sys.executable, "-W", calm, "-m", "celery", "--app", "config.celery", "--quiet"),
        program,
    )
