"""Files and directories with secrets in them: private from the first byte, replaced in one move."""

import os
from pathlib import Path

from launcher.messages import LauncherError


def make_directory(path: Path, mode: int = 0o777) -> Path:
    """Create a directory that we can write to, or say why we cannot."""
    try:
        path.mkdir(mode, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise LauncherError(
            f"{path} is needed as a directory but something else is in its place. "
            "Move that away, or set PAYMENTS_DATA_DIR to another place."
        ) from None
    except OSError as problem:
        raise _unwritable(path, problem.strerror) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise _unwritable(path, "Permission denied")
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whatever the umask; readers see all of it or nothing."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def lines_of(path: Path) -> list[str]:
    """The lines of a log; none if it was never written."""
    if not path.is_file():
        return []
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _unwritable(path: Path, reason: str | None) -> LauncherError:
    return LauncherError(
        f"{path} cannot be written ({reason}). Give the user who starts this that directory, "
        "or set PAYMENTS_DATA_DIR to another place."
    )
