"""PostgreSQL and Valkey for those who brought none, in a data directory that one launcher at a time holds."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from launcher import files, postgres, valkey
from launcher.configuration import Configuration
from launcher.messages import LauncherError, step
from launcher.postgres import Postgres
from launcher.valkey import Valkey


class Embedded(dict[str, str]):
    """The variables of our processes, with the addresses of both servers; and the servers that are ours."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.running: dict[str, Postgres | Valkey] = {}

    def check(self) -> None:
        """Everything stands on these servers: when one is gone, saying so and ending beats limping on.

        :raises LauncherError: one of them ended by itself.
        """
        for name, server in self.running.items():
            if server.process.poll() is not None:
                raise LauncherError(
                    f"{name} ended by itself, or was killed; its log is in the data directory. "
                    "Nothing that was committed is lost: start again with the same command."
                )


@contextmanager
def embedded(configuration: Configuration, *, fsync: bool = True) -> Iterator[Embedded]:
    """Start what DATABASE_URL and REDIS_URL leave to us; yields the variables with both set."""
    variables = Embedded(configuration.variables)
    with ExitStack() as stack:
        if not configuration.has("DATABASE_URL"):
            step("Starting PostgreSQL.")
            database = postgres.start(configuration.data / "postgres", fsync=fsync)
            stack.callback(database.stop)
            variables["DATABASE_URL"] = database.url
            variables.running["PostgreSQL"] = database
        if not configuration.has("REDIS_URL"):
            step("Starting Valkey.")
            broker = valkey.start(configuration.data / "valkey")
            stack.callback(broker.stop)
            variables["REDIS_URL"] = broker.url
            variables.running["Valkey"] = broker
        yield variables


@contextmanager
def locked(data: Path) -> Iterator[bool]:
    """Hold the data directory; yields whether the last holder let go of it in good order.

    The kernel drops the lock with its holder, so a lock file that a crash left behind is in nobody's way.
    """
    path = files.make_directory(data) / "launcher.lock"
    with path.open("a+", encoding="ascii") as lock:
        _take(lock, data)
        lock.seek(0)
        clean = not lock.read().strip()
        _write(lock, str(os.getpid()))
        try:
            yield clean
        finally:
            _write(lock, "")


def _take(lock: IO[str], data: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise LauncherError(
            f"Another launcher (process {lock.read().strip() or 'unknown'}) is running on {data}. "
            "Stop that one first, or set PAYMENTS_DATA_DIR and PAYMENTS_API_PORT to run a second one."
        ) from None


def _write(lock: IO[str], text: str) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(text)
    lock.flush()
