"""The commands behind `make`."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from launcher import checks, chromium, configuration, environment, first_run, processes, serve, servers
from launcher.environment import PROJECT
from launcher.messages import LauncherError, complain, say, step
from launcher.supervisor import stop_on_signals

_COMMANDS = {
    "install": "set up the virtual environment and nothing else",
    "run": "set up what is missing and serve",
    "demo": "serve invented books, fed by a simulator; further options go to it",
    "test": "run the whole test suite; further options go to pytest",
    "check": "format, lint, types, import contracts, migrations, deployment",
    "bench": "measure; further options go to the benchmark",
}
_DEVELOPMENT = frozenset({"test", "check", "bench"})
_PASSING_ON = frozenset({"demo", "test", "bench"})


def main(arguments: list[str]) -> int:
    """Run one command. Every anticipated failure is a sentence on standard error."""
    command, options = _parse(arguments)
    os.chdir(PROJECT)
    stop_on_signals()
    try:
        environment.prepare(development=command in _DEVELOPMENT)
        if not environment.is_active():
            environment.enter(arguments)
        return _run(command, options)
    except LauncherError as problem:
        complain(f"\n{problem}")
        return 1
    except PermissionError as problem:
        complain(f"\n{problem.filename} may not be changed by the user who starts this. Correct its owner.")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        # Being told to stop is how a server ends well; anything else did not get to its end.
        return 0 if command in {"run", "demo"} else 130


def _parse(arguments: list[str]) -> tuple[str, list[str]]:
    parser = argparse.ArgumentParser(prog="python3 -m launcher", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, meaning in _COMMANDS.items():
        commands.add_parser(name, help=meaning, add_help=name not in _PASSING_ON)
    known, rest = parser.parse_known_args(arguments)
    if rest and known.command not in _PASSING_ON:
        parser.error(f"{known.command} takes no options, and was given {' '.join(rest)}")
    return known.command, rest


def _run(command: str, options: Sequence[str]) -> int:
    match command:
        case "run":
            return serve.run()
        case "demo":
            return serve.demo(options)
        case "test":
            return _test(options)
        case "check":
            return _check()
        case "bench":
            return _bench(options)
        case _:
            step("Everything is installed. `make run` starts the server.")
            return 0


def _test(options: Sequence[str]) -> int:
    variables = dict(os.environ)
    browser = chromium.provide(variables)
    if browser:
        variables["PLAYWRIGHT_CHROMIUM"] = browser
    step("Running the tests, one process per core.")
    os.execve(sys.executable, [sys.executable, "-m", "pytest", "-n", "auto", *options], variables)  # noqa: S606


def _check() -> int:
    """On an empty database of its own: some checks ask it what was migrated."""
    with tempfile.TemporaryDirectory(prefix="embody-check-") as name:
        home = Path(name)
        home.chmod(0o711)  # PostgreSQL may run as another account than ours and has to pass through.
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PAYMENTS_")}
        setup = configuration.load({**variables, "PAYMENTS_DATA_DIR": str(home)}, PROJECT)
        with servers.embedded(setup, fsync=False) as complete:
            return min(checks.run(complete), 1)


def _bench(options: Sequence[str]) -> int:
    """On servers that write to disk as carefully as for real books, beside them."""
    variables, _ = first_run.variables(PROJECT / ".env", os.environ)
    given = {name: value for name, value in variables.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    setup = configuration.load(given, PROJECT, subdirectory="bench")
    with servers.locked(setup.data), servers.embedded(setup) as complete:
        return processes.run((sys.executable, "-m", "bench", *options), env=complete, cwd=PROJECT)
