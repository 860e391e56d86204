"""One service under supervision: its process, its log lines, and how often it has failed in a row."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from launcher import processes
from launcher.messages import LauncherError
from launcher.processes import Process
from launcher.services import Service

_QUICK = 20.0  # seconds; a child that lives shorter than this has failed to start
_ATTEMPTS = 5
_LONGEST_PAUSE = 30.0


class Child:
    def __init__(self, service: Service, width: int) -> None:
        self.service = service
        self.process: Process | None = None
        self._prefix = f"{service.name:<{width}} | ".encode()
        self._unfinished_line = b""
        self._started_at = 0.0
        self._due_at: float | None = 0.0
        self._failures = 0

    @property
    def is_due(self) -> bool:
        return self._due_at is not None and self._due_at <= time.monotonic()

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def start(self, variables: Mapping[str, str], project: Path) -> int:
        """Start it, and return the descriptor that its log lines come from."""
        process = processes.start(self.service.command, env=variables, output=subprocess.PIPE, cwd=project)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self.process, self._started_at, self._due_at = process, time.monotonic(), None
        return process.stdout.fileno()

    def pass_on(self) -> bool:
        """Print what it has said, line by line, marked with its name. False once nothing more can come."""
        assert self.process is not None
        assert self.process.stdout is not None
        try:
            output = os.read(self.process.stdout.fileno(), 65_536)
        except BlockingIOError:
            return True
        *lines, self._unfinished_line = (self._unfinished_line + output).split(b"\n")
        with contextlib.suppress(OSError):
            for line in lines:
                sys.stdout.buffer.write(self._prefix + line + b"\n")
            sys.stdout.buffer.flush()
        return bool(output)

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def clear(self) -> int:
        """Kill what is left of it and of its own children; returns its exit code."""
        assert self.process is not None
        assert self.process.stdout is not None
        processes.sweep(self.process)
        code = self.process.returncode
        self.process.stdout.close()
        self.process = None
        return code

    def bury(self) -> str:
        """Clean up after its end and plan the next start. Returns a sentence to report.

        :raises LauncherError: it failed too often, too soon.
        """
        lived, code = time.monotonic() - self._started_at, self.clear()
        if code == 0 and self.service.may_finish:
            return f"{self.service.name} has finished."
        self._failures = self._failures + 1 if lived < _QUICK else 1
        if self._failures >= _ATTEMPTS:
            raise LauncherError(
                f"{self.service.name} ended {self._failures} times right after its start ({_ending(code)}). "
                "Its last lines above say why. Mend that and start again."
            )
        pause = min(2.0 ** (self._failures - 1), _LONGEST_PAUSE)
        self._due_at = time.monotonic() + pause
        return f"{self.service.name} ended ({_ending(code)}). It starts again in {pause:.0f} s."


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
