import re
from pathlib import Path

import pytest

from launcher.environment import DEVELOPMENT, PROJECT, RUNTIME
from launcher.progress import Progress

PIN = re.compile(r"^([\w.-]+)(?:\[.*\])?==(\S+)", re.MULTILINE)


@pytest.mark.parametrize("locked", [RUNTIME, DEVELOPMENT])
def test_every_package_is_locked_by_hash_and_says_who_wants_it(locked: Path) -> None:
    blocks = re.split(r"\n(?=\S)", locked.read_text().split("\n", 2)[2])

    for block in blocks:
        assert PIN.match(block), block
        assert "--hash=sha256:" in block, block
        assert "# via" in block, block
    assert "://" not in locked.read_text()


def test_development_runs_on_the_very_packages_that_are_deployed() -> None:
    runtime, development = (dict(PIN.findall(path.read_text())) for path in (RUNTIME, DEVELOPMENT))

    assert runtime.items() <= development.items()


@pytest.mark.parametrize("name", ["requirements.in", "requirements-dev.in"])
def test_every_wanted_package_says_why(name: str) -> None:
    groups = re.split(r"\n\s*\n|\n(?=#)", (PROJECT / name).read_text())

    for group in groups:
        assert group.startswith("#"), group


def test_progress_counts_in_pips_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(2)

    for line in (
        "Collecting amqp==5.4.2\n",
        "  Using cached amqp",
        "Requirement already satisfied: vine==5.1.0 in y",
    ):
        progress.read(line)
    progress.read("Installing collected packages: amqp")

    assert capsys.readouterr().out.splitlines() == [
        "  [  1/2] amqp==5.4.2",
        "  [  2/2] vine==5.1.0",
        "  All there. Unpacking.",
    ]
