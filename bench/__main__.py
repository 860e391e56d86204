"""`python -m bench [part ...]`: measures everything, or the parts that are named, and prints tables."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import django

from bench.report import Table, say, write

SERVER = os.environ["DATABASE_URL"]
TOKEN = "bench-token-of-no-other-use"
DATABASE = SERVER.rpartition("/")[0] + "/embody_bench"

# The same for everybody who measures, whatever their own `.env` says.
os.environ.update(
    {
        "DATABASE_URL": DATABASE,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PAYMENTS_API_ADMIN_TOKEN": TOKEN,
        "PAYMENTS_SESSION_REPORTER_TOKEN": TOKEN,
        "PAYMENTS_SESSION_CREDIT_ETH_PER_MINUTE": "0.0006",
        "PAYMENTS_LEDGER_JOURNAL_PATH": "",
        "PAYMENTS_AUDIT_LOG_PATH": "",
    }
)
django.setup()

# These import models, so they come after Django's set-up.
from bench import batches, books, flatness, heartbeats, reads  # noqa: E402

PARTS = ("heartbeats", "batches", "flatness", "reads")
MILLION = 1_000_000


def main() -> int:
    options = _parse()
    parts = options.parts or PARTS
    began = time.monotonic()
    books.create(SERVER)
    try:
        tables = _quick(parts) if options.quick else _thorough(parts)
    finally:
        books.drop(SERVER)
    say(f"All of this took {time.monotonic() - began:.0f} s on {_machine()}.")
    if options.write:
        write(options.write, tables, where=f"{_machine()}, {datetime.now(UTC):%Y-%m-%d}")
    return 0


def _thorough(parts: Sequence[str]) -> list[Table]:
    return _run(parts, rounds=5, seconds=3, sizes=(1_000, 100_000, MILLION), legs=MILLION, reading=2)


def _quick(parts: Sequence[str]) -> list[Table]:
    return _run(parts, rounds=1, seconds=1, sizes=(1_000, 10_000), legs=10_000, reading=0.2)


def _run(
    parts: Sequence[str], *, rounds: int, seconds: float, sizes: tuple[int, ...], legs: int, reading: float
) -> list[Table]:
    """The parts in the order in which the books grow."""
    tables: list[Table] = []

    def show(table: Table) -> None:
        tables.append(table)
        say(table.markdown())

    books.grow(sizes[0])
    if "heartbeats" in parts:
        show(heartbeats.measure(DATABASE, TOKEN, rounds=rounds, seconds=seconds))
    if "batches" in parts:
        show(batches.measure(DATABASE, TOKEN, rounds=rounds, seconds=seconds))
    if "flatness" in parts:
        show(flatness.measure(DATABASE, TOKEN, sizes=sizes, rounds=min(rounds, 3), seconds=seconds))
    if "reads" in parts:
        took = books.grow(sizes[-1]) + books.credit(legs)
        say(f"Filled the books with {sizes[-1]:,} sessions and {legs:,} legs, in the last {took:.0f} s.")
        for table in reads.measure(DATABASE, TOKEN, seconds=reading):
            show(table)
    return tables


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="half a minute that only shows that it works")
    parser.add_argument("--write", type=Path, help="put the tables into this file, between its marks")
    return parser.parse_args()


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    processor = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{cores} cores of {processor}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
