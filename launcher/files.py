"""Files and directories with secrets in them: made private from the first byte, replaced in one move."""

import getpass
import os
from pathlib import Path

from launcher.messages import Trouble


def make_directory(path: Path) -> Path:
    """Create a directory that we can write to, or say why we cannot."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise Trouble(
            f"{path} is needed as a directory but something else is in its place. "
            "Move that away, or set PAYMENTS_DATA_DIR to another place."
        ) from None
    except OSError as problem:
        raise _unwritable(path, problem) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise _unwritable(path, None)
    return path


def write_private(path: Path, text: str, *, owner: int | None = None) -> None:
    """Write a file that only its owner can read, whatever the umask; readers see all of it or nothing."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if owner is not None:
        os.chown(draft, owner, -1)
    draft.replace(path)


def last_lines(path: Path, count: int = 200) -> list[str]:
    if not path.is_file():
        return []
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]


def _unwritable(path: Path, problem: OSError | None) -> Trouble:
    reason = f" ({problem.strerror})" if problem and problem.strerror else ""
    return Trouble(
        f"{path} cannot be written by the user {_user()}{reason}. "
        "Give that user the directory, or set PAYMENTS_DATA_DIR to another place."
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
