"""`make run` and `make demo`: from nothing to a server that answers, and back to nothing on a signal."""

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from launcher import assets, configuration, first_run, ports, processes, servers, services, welcome
from launcher.configuration import Configuration
from launcher.environment import PROJECT
from launcher.messages import LauncherError, say, step
from launcher.services import Service
from launcher.supervisor import Supervisor

# What a demo never shares with real books: it has servers and exports of its own.
_REAL = frozenset({"DATABASE_URL", "REDIS_URL", "PAYMENTS_LEDGER_JOURNAL_PATH", "PAYMENTS_AUDIT_LOG_PATH"})
_DEMO = {
    "PAYMENTS_SESSION_CREDIT_ETH_PER_MINUTE": "0.0006",
    # Marks the books as ones that may be filled with inventions.
    "PAYMENTS_TEST_RUN_ID": "demo",
    # The simulator plays the front proxy, so that each of its hosts calls from an address of its own.
    "PAYMENTS_TRUSTED_PROXY_CIDRS": "127.0.0.1/32 ::1/128",
}
_DEMO_OPTIONS = ("SPEED", "ORCHESTRATORS")


def run() -> int:
    """The server on real books."""
    variables, first_time = first_run.variables(PROJECT / ".env", os.environ)
    return _serve(configuration.load(variables, PROJECT), first_time=first_time)


def demo(options: Sequence[str]) -> int:
    """The same server on invented books, fed by the simulator."""
    variables, first_time = first_run.variables(PROJECT / ".env", os.environ)
    given = {name: value for name, value in variables.items() if name not in _REAL}
    wanted = {name: value for name, value in _DEMO.items() if not given.get(name, "").strip()}
    setup = configuration.load({**given, **wanted}, PROJECT, subdirectory="demo")
    wishes = [f"--{name.lower()}={variables[name]}" for name in _DEMO_OPTIONS if setup.has(name)]
    return _serve(setup, services.simulator(setup.address, *wishes, *options), first_time=first_time)


def _serve(setup: Configuration, *more: Service, first_time: bool) -> int:
    started_at = time.monotonic()
    with servers.locked(setup.data) as clean:
        # After a crash the old web server may need a moment to let go of its port.
        _require_port(setup, patience=0 if clean else 15)
        with servers.embedded(setup) as variables:
            _prepare(variables)
            step("Starting web, worker and beat.")
            web = services.web(host=setup.host, port=setup.port, workers=setup.web_workers)
            Supervisor([web, services.worker(), services.beat(setup.data), *more], variables, PROJECT).run(
                is_up=lambda: _answers(setup.address),
                check=variables.check,
                announce=lambda: say(
                    welcome.text(setup, first_time=first_time, seconds=time.monotonic() - started_at)
                ),
            )
    return 0


def _require_port(setup: Configuration, *, patience: float) -> None:
    if not processes.wait_until(lambda: ports.is_free(setup.port, setup.host), seconds=patience):
        raise LauncherError(
            f"Something else listens on {setup.host}:{setup.port} already. Stop it, or choose another port: "
            f"PAYMENTS_API_PORT={setup.port + 1} make run"
        )


def _prepare(variables: Mapping[str, str]) -> None:
    """Bring database and files to where this version of the code wants them."""
    step("Bringing the database up to date.")
    if processes.run((sys.executable, "-m", "launcher.preparation"), env=variables, cwd=PROJECT) != 0:
        raise LauncherError("The database could not be brought up to date; the lines above say why.")
    assets.collect(variables)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
