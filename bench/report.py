"""Tables, for the terminal and for the documentation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Table:
    """One measurement: a heading, the names of its columns, and its rows."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table as Markdown that is also readable as it is."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        body = [_line(self.columns, widths), "| " + " | ".join(rule) + " |"]
        return "\n".join([f"### {self.heading}", "", *body, *(_line(row, widths) for row in self.rows), ""])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]) + " |"


START, END = "<!-- measured -->", "<!-- end of measured -->"


def say(text: str) -> None:
    print(text, flush=True)


def write(path: Path, tables: Sequence[Table], *, where: str) -> None:
    """Put tables into a page, in place of those that were between its marks before."""
    before, _, rest = path.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    body = "\n".join(table.markdown() for table in tables)
    path.write_text(f"{before}{START}\n\nMeasured on {where}.\n\n{body}\n{END}{after}", encoding="utf-8")
