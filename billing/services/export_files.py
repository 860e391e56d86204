"""The file side of an export: lines are appended so that a crash at any instant can be made good."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileInUse(Exception):
    """Another process is writing this file."""


@contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """A file descriptor for `path`, which is made with its directories, and which nobody else writes now.

    The database already lets one exporter through; this lock also holds when a process has lost its
    database connection without noticing, and when two installations were pointed at one file.

    :raises FileInUse: somebody else has it.
    :raises OSError: the file cannot be made or opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileInUse(str(path)) from None
        if is_new:
            _remember_name(path)
        yield file
    finally:
        os.close(file)


def size(file: int) -> int:
    return os.fstat(file).st_size


def append(file: int, lines: bytes, *, offset: int) -> int:
    """Write `lines` at `offset` and return where they end, once they are safely on the disk.

    What lies beyond the offset was written by somebody who could not say so any more: it is cut off.
    """
    os.ftruncate(file, offset)
    if offset and os.pread(file, 1, offset - 1) != b"\n":
        # Found like this, by whoever wrote here before us. Our first line shall not continue theirs.
        lines = b"\n" + lines
    remaining = memoryview(lines)
    while remaining:
        written = os.pwrite(file, remaining, offset)
        remaining, offset = remaining[written:], offset + written
    os.fsync(file)
    return offset


def _remember_name(path: Path) -> None:
    """A new file survives a power cut only once its directory was written too."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
