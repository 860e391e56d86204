"""Which account runs PostgreSQL, which refuses to run as root.

An ordinary user runs it plainly. Root drops to an unprivileged account that exists already, if that account
can reach both the programs and the data; otherwise it enters a user namespace, where root's own files
belong to somebody who is not root. No account is created and no directory above ours changes.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.messages import LauncherError

_CANDIDATES = ("postgres", "nobody")
_NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")


@dataclass(frozen=True)
class Account:
    """How to start a program so that its files belong to `uid`."""

    uid: int
    prefix: tuple[str, ...] = ()
    drop: bool = False

    def command(self, *words: str | Path) -> list[str]:
        return [*self.prefix, *(str(word) for word in words)]

    @property
    def popen(self) -> dict[str, Any]:
        """Arguments to `subprocess` that make the child this account."""
        if not self.drop:
            return {}
        return {"user": self.uid, "group": _group_of(self.uid), "extra_groups": []}

    def give(self, path: Path) -> None:
        if self.drop:
            os.chown(path, self.uid, _group_of(self.uid))


def choose(program: Path, directory: Path) -> Account:
    """The account for a new cluster in `directory`."""
    if os.geteuid() != 0:
        return Account(os.geteuid())
    for name in _CANDIDATES:
        try:
            account = Account(pwd.getpwnam(name).pw_uid, drop=True)
        except KeyError:
            continue
        if _reaches(account, program, directory):
            return account
    return _namespace(program, directory)


def owner_of(cluster: Path, program: Path) -> Account:
    """The account that a cluster already belongs to: PostgreSQL insists on the owner of its directory."""
    uid = cluster.stat().st_uid
    if os.geteuid() != 0:
        if uid != os.geteuid():
            raise LauncherError(
                f"The database in {cluster} belongs to {_name(uid)}. Start as that user (or as root), "
                "or set PAYMENTS_DATA_DIR to another place."
            )
        return Account(uid)
    if uid == 0:
        return _namespace(program, cluster.parent)
    account = Account(uid, drop=True)
    if not _reaches(account, program, cluster.parent):
        raise LauncherError(
            f"The database in {cluster} belongs to {_name(uid)}, who cannot reach {program} "
            f"or {cluster.parent}. Let that user enter the directories above them, or start "
            "from where the database was created."
        )
    return account


def _namespace(program: Path, directory: Path) -> Account:
    account = Account(0, prefix=_NAMESPACE)
    if shutil.which(_NAMESPACE[0]) and _reaches(account, program, directory):
        return account
    raise LauncherError(
        "PostgreSQL does not run as root, and neither the users postgres and nobody nor a user namespace can "
        f"reach {program} and {directory}. Start as an ordinary user, move the project to a directory "
        "that other users may enter, or set DATABASE_URL to a server of your own."
    )


def _reaches(account: Account, program: Path, directory: Path) -> bool:
    """Try it: enter the directory and run the program."""
    attempt = 'cd "$1" && exec "$2" --version'
    trial = account.command("sh", "-c", attempt, "sh", directory, program)
    try:
        done = subprocess.run(
            trial, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False, **account.popen
        )
    except (PermissionError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _group_of(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid


def _name(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user id {uid}"
