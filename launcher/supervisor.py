"""Keeps web, worker and beat running until somebody says stop."""

import selectors
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from launcher import processes
from launcher.child import Child
from launcher.messages import complain
from launcher.services import Service

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 12.0  # seconds; a little more than granian gives its own workers


class Supervisor:
    """The children, and the loop that watches them."""

    def __init__(self, services: Sequence[Service], variables: Mapping[str, str], project: Path) -> None:
        width = max(len(service.name) for service in services)
        self._children = [Child(service, width) for service in services]
        self._variables, self._project = variables, project
        self._outputs = selectors.DefaultSelector()

    def run(
        self,
        *,
        is_up: Callable[[], bool],
        announce: Callable[[], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Run until a signal raises KeyboardInterrupt. Calls `announce` once, when `is_up` first agrees.

        :param check: raises a LauncherError when what the children stand on is gone.
        :raises LauncherError: a child failed too often, or `check` says so.
        """
        announced = False
        try:
            while True:
                self._start_due(web_is_up=announced)
                self._pass_on(0.5 if announced else 0.1)
                self._bury_dead()
                check()
                if not announced and is_up():
                    announced = True
                    announce()
        finally:
            self._stop()

    def _start_due(self, *, web_is_up: bool) -> None:
        for child in self._children:
            if child.is_due and (web_is_up or not child.service.needs_web):
                descriptor = child.start(self._variables, self._project)
                self._outputs.register(descriptor, selectors.EVENT_READ, child)

    def _pass_on(self, timeout: float) -> None:
        for key, _ in self._outputs.select(timeout):
            if not key.data.pass_on():
                self._outputs.unregister(key.fd)

    def _bury_dead(self) -> None:
        for child in self._children:
            if child.process is not None and child.has_ended:
                # Its own children may still hold the pipe; without them the last words come to an end.
                processes.sweep(child.process)
                self._hear_out(child)
                complain(child.bury())

    def _hear_out(self, child: Child) -> None:
        for key in list(self._outputs.get_map().values()):
            if key.data is child:
                while child.pass_on():
                    pass
                self._outputs.unregister(key.fd)

    def _stop(self) -> None:
        """Ask all at once, pass on what they say while they end, and kill what has not ended in time."""
        running = [child for child in self._children if child.process is not None]
        for child in running:
            child.ask_to_stop()
        deadline = time.monotonic() + _PATIENCE
        while not all(child.has_ended for child in running) and time.monotonic() < deadline:
            self._pass_on(0.1)
        self._outputs.close()
        for child in running:
            child.clear()


def stop_on_signals() -> None:
    """Turn every request to stop into one KeyboardInterrupt; later ones do not disturb the ending."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for each in _STOPS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in _STOPS:
        signal.signal(each, stop)
