"""What each kind of entry means: its line in the journal, its column in the statistics, its rights."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from billing.models import Kind


class Line(StrEnum):
    """How an entry reads in the journal."""

    CREDIT = "credit"
    """The balance changed by `amount`, which may be negative."""
    SET_BALANCE = "set_balance"
    """Value left for good: `amount` is the balance after."""


class Column(StrEnum):
    """Where an entry counts in an orchestrator's statistics, besides the net."""

    SESSION = "session"
    WORKLOAD = "workload"
    PASSIVE = "passive"
    ADJUSTMENTS = "adjustments"
    PAYOUTS = "payouts"


@dataclass(frozen=True, slots=True)
class Meaning:
    """`line` None: the entry moves value inside one balance and the journal is silent about it.

    `may_overdraw`: the entry may take an account that has no floor below zero, or further below.
    """

    line: Line | None
    column: Column | None
    may_overdraw: bool = False


MEANINGS: Mapping[Kind, Meaning] = {
    Kind.SESSION_SEGMENT: Meaning(Line.CREDIT, Column.SESSION),
    Kind.ADJUSTMENT: Meaning(Line.CREDIT, Column.ADJUSTMENTS, may_overdraw=True),
}

JOURNALLED: tuple[str, ...] = tuple(kind.value for kind, meaning in MEANINGS.items() if meaning.line)
"""The kinds that make a journal line."""
