"""The virtual environment: made once, filled with exactly the locked packages, mended when half done."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from launcher.messages import LauncherError, step
from launcher.progress import Progress

PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
PYTHON = VENV / "bin" / "python"
RUNTIME, DEVELOPMENT = PROJECT / "requirements.txt", PROJECT / "requirements-dev.txt"
# There while packages are being installed. If it is there at the start, the last time was interrupted.
_UNFINISHED = VENV / "unfinished"


def prepare(*, development: bool) -> None:
    """Make sure that the virtual environment holds what is locked. Takes no time when it does already."""
    if _UNFINISHED.exists():
        step("The last installation was interrupted: starting it over.")
        shutil.rmtree(VENV)
    if not _works():
        _create()
    wanted = DEVELOPMENT if development else RUNTIME
    if _stamp(wanted).is_file() and _stamp(wanted).read_text() == _fingerprint(wanted):
        return
    _UNFINISHED.touch()
    _install(wanted)
    # The development list contains the other one, at the same versions.
    for installed in {RUNTIME, wanted}:
        _stamp(installed).write_text(_fingerprint(installed))
    _UNFINISHED.unlink()


def is_active() -> bool:
    """Whether this very process runs in the virtual environment."""
    return Path(sys.prefix).resolve() == VENV.resolve()


def enter(arguments: list[str]) -> None:
    """Become the launcher inside the virtual environment, where the servers' wheels are."""
    os.execv(PYTHON, [str(PYTHON), "-m", "launcher", *arguments])  # noqa: S606


def _works() -> bool:
    """False for none, and for one whose base Python has gone away since."""
    if is_active():
        return True
    try:
        done = subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _create() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        raise LauncherError(
            "This Python comes without pip. On Debian and Ubuntu `apt-get install python3-venv` adds it; "
            "or name a complete Python, for example: make run PYTHON=python3.12"
        )
    step(f"Creating a virtual environment for Python {sys.version.split()[0]} in {VENV}.")
    shutil.rmtree(VENV, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "venv", VENV],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LauncherError(f"The virtual environment could not be created: {_last_line(done.stdout)}")


def _install(requirements: Path) -> None:
    total = len(re.findall(r"^[\w.-]+(?:\[.*\])?==", requirements.read_text(), re.MULTILINE))
    step(f"Installing the {total} packages of {requirements.name}, each checked against its locked hash.")
    progress = Progress(total)
    errors = []
    with subprocess.Popen(
        [
            *(PYTHON, "-m", "pip", "install", "--require-hashes", "--requirement", requirements),
            *("--no-input", "--disable-pip-version-check", "--progress-bar", "off"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
    ) as pip:
        for line in pip.stdout or ():
            progress.read(line)
            if line.startswith("ERROR:"):
                errors.append(line.removeprefix("ERROR:").strip())
    if pip.returncode != 0:
        raise LauncherError(
            f"The packages could not be installed: {' '.join(errors) or 'pip gave no reason.'} "
            "Check that pip reaches its package index, and start again; finished downloads are kept."
        )


def _stamp(requirements: Path) -> Path:
    return VENV / f"{requirements.stem}.installed"


def _fingerprint(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes()).hexdigest() + "\n"


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["no reason given."])[-1]
