"""Child processes that never outlive us, whatever kills us."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from launcher.messages import LauncherError

Process = subprocess.Popen[bytes]

_PR_SET_PDEATHSIG = 1
# Loaded here because a forked child should do as little as possible before it becomes another program.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def start(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    output: int | IO[bytes] | None = None,
    farewell: signal.Signals = signal.SIGTERM,
    cwd: str | Path = "/",
    **account: Any,
) -> Process:
    """Start a child in a process group of its own, which gets the `farewell` signal when we die.

    Its own group keeps a terminal's Ctrl-C away from it: we pass signals on, in the right order.
    """
    return subprocess.Popen(
        [str(word) for word in command],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        process_group=0,
        # Safe here: the launcher is single-threaded, so no lock can be held by a thread that the fork lost.
        preexec_fn=_die_with_parent(os.getpid(), farewell),  # noqa: PLW1509
        **account,
    )


def run(command: Sequence[str | Path], *, env: Mapping[str, str], cwd: str | Path) -> int:
    """Run a child to its end, on our own output, and return its exit code."""
    child = start(command, env=env, cwd=cwd)
    try:
        return child.wait()
    finally:
        stop(child, signal.SIGTERM, patience=10)


def stop(process: Process, sign: signal.Signals, *, patience: float) -> None:
    """Ask a child to end, wait, and then end its whole group, so that none of its own children stays."""
    if process.poll() is None:
        process.send_signal(sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    sweep(process)


def sweep(process: Process) -> None:
    """Kill whatever is left of a child's process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_leftover(pid: int, sign: signal.Signals, *, name: str) -> None:
    """End a server of ours whose launcher is gone. The kernel may have told it already; elsewhere we do."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)
    if not wait_until(lambda: command_of(pid) is None, seconds=30):
        raise LauncherError(f"An earlier {name} (process {pid}) does not end. Stop it and try again.")


def command_of(pid: int) -> str | None:
    """The command line of a running process; None when there is none."""
    if sys.platform != "linux":
        command = ["ps", "-o", "command=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return words.replace(b"\0", b" ").decode(errors="replace").strip() or None


def wait_until(condition: Callable[[], bool], *, seconds: float, pause: float = 0.02) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def _die_with_parent(parent: int, farewell: signal.Signals) -> Callable[[], None] | None:
    libc = _libc
    if libc is None:
        return None

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(farewell), 0, 0, 0)
        if os.getppid() != parent:  # The parent died between the fork and the line above.
            os._exit(1)

    return ask_the_kernel
