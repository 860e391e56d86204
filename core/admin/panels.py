"""The parts of a record's page. Each knows its template and nothing about where its content came from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from core.display import Html


class Panel(Protocol):
    """A part of a page: anything that names the template which draws it."""

    template: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that matters: what it is, its value, what stands behind it."""

    label: str
    value: Html
    note: Html = ""
    href: str = ""
    tip: str = ""
    live: str = ""
    """The key under which the live JSON brings a fresh value."""


@dataclass(frozen=True, slots=True)
class Figures:
    template: ClassVar[str] = "admin/panels/figures.html"
    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Facts:
    """A definition table."""

    template: ClassVar[str] = "admin/panels/facts.html"
    title: str
    facts: Sequence[tuple[str, Html]]
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows beside each other; `more` links to the list they were taken from."""

    template: ClassVar[str] = "admin/panels/table.html"
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Html]]
    empty: str
    more: str = ""
    more_text: str = "Show all"
    note: str = ""
    wide: bool = True

    @property
    def cells(self) -> list[list[tuple[Column, Html]]]:
        """Each row's cells beside their columns, for phones, where a row becomes a card."""
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a chart. Values are whole numbers as text (wei do not fit a JavaScript number)."""

    name: str
    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of whole numbers, with the same numbers as a table for those who cannot see it.

    `unit` is `eth` for wei (plotted in ETH, exact wei on hover) or `count`.
    """

    template: ClassVar[str] = "admin/panels/chart.html"
    key: str
    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    unit: str = "eth"
    kind: str = "bar"
    horizontal: bool = False
    links: Sequence[str] = field(default_factory=list)
    note: str = ""
    wide: bool = True
    label_title: str = "Day (UTC)"

    @property
    def data(self) -> dict[str, Any]:
        """What the browser draws."""
        return {
            "kind": self.kind,
            "unit": self.unit,
            "horizontal": self.horizontal,
            "labels": list(self.labels),
            "links": list(self.links),
            "series": [
                {"name": one.name, "values": [str(value) for value in one.values]} for one in self.series
            ],
        }

    @property
    def rows(self) -> list[tuple[str, list[int]]]:
        return [
            (label, [one.values[index] for one in self.series]) for index, label in enumerate(self.labels)
        ]

    @property
    def is_empty(self) -> bool:
        return not any(value for one in self.series for value in one.values)


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened, on a timeline."""

    at: Html
    title: Html
    icon: str
    tone: str = "calm"
    details: Html = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    template: ClassVar[str] = "admin/panels/timeline.html"
    title: str
    moments: Sequence[Moment]
    empty: str
    note: str = ""
    wide: bool = False
