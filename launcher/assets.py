"""The admin's static files: collected again when a package or one of our own files changed."""

import hashlib
from collections.abc import Mapping

from launcher import processes
from launcher.environment import PROJECT, RUNTIME
from launcher.messages import LauncherError, step
from launcher.services import manage

_STAMP = PROJECT / "staticfiles" / ".fingerprint"


def collect(variables: Mapping[str, str]) -> None:
    fingerprint = _fingerprint()
    if _STAMP.is_file() and _STAMP.read_text() == fingerprint:
        return
    step("Collecting the admin's static files.")
    command = manage("collectstatic", "--noinput", "--clear", "--verbosity", "0")
    if processes.run(command, env=variables, cwd=PROJECT) != 0:
        raise LauncherError("The static files could not be collected; the lines above say why.")
    _STAMP.write_text(fingerprint)


def _fingerprint() -> str:
    """Changes with the locked packages, which bring most of the files, and with our own."""
    digest = hashlib.sha256(RUNTIME.read_bytes())
    for path in sorted((PROJECT / "static").rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(PROJECT)).encode() + path.read_bytes())
    return digest.hexdigest()
