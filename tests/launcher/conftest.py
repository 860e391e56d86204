"""A data directory that PostgreSQL can reach whichever account it runs as."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data() -> Iterator[Path]:
    """An empty directory with a space in its name; pytest's own would be closed to other accounts."""
    parent = Path(tempfile.mkdtemp(prefix="embody launcher-"))
    parent.chmod(0o711)
    yield parent
    shutil.rmtree(parent, ignore_errors=True)
