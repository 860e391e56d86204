"""Lists of millions of rows: counted up to a cap, drilled into by date without reading them all.

Template tags use these, so nothing here may import the admin's own classes: unfold renders a template
while it is being imported, and rendering loads the tags.
"""

from datetime import UTC, datetime
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Max, Min, QuerySet
from django.utils.functional import cached_property

COUNT_CAP = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to 10,000 rows and no further, so that no page costs a full scan.

    What lies beyond is reached by filters, search and dates, never by paging.
    """

    template_name = "admin/capped_pagination.html"

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by()[: COUNT_CAP + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self._counted, COUNT_CAP)

    @property
    def is_capped(self) -> bool:
        return self._counted > COUNT_CAP


class DateDrill:
    """Years, then months, then days of a date column: the links above a list.

    Django's own drill-down asks for the distinct dates of all rows; this one asks only for the first and
    the last, which an index answers at once.
    """

    def __init__(self, changelist: Any) -> None:
        self.changelist = changelist
        self.field: str = changelist.date_hierarchy
        self.chosen = {part: self._chosen(part) for part in ("year", "month", "day")}

    def _chosen(self, part: str) -> int | None:
        text = self.changelist.params.get(f"{self.field}__{part}", "")
        text = text[-1] if isinstance(text, list) else text
        return int(text) if str(text).isdecimal() else None

    @property
    def back(self) -> tuple[str, str] | None:
        """One level up."""
        year, month, day = self.chosen.values()
        if day and month and year:
            return self._link(year, month), datetime(year, month, 1, tzinfo=UTC).strftime("%B %Y")
        if month and year:
            return self._link(year), str(year)
        return (self._link(), "All dates") if year else None

    @property
    def choices(self) -> list[tuple[str, str]]:
        """One level down: (link, title)."""
        year, month, day = self.chosen.values()
        if day:
            return []
        first, last = self._bounds()
        if first is None or last is None:
            return []
        if year and month:
            return [
                (self._link(year, month, one), str(one))
                for one in range(1, 32)
                if self._within((year, month, one), first, last, 3)
            ]
        if year:
            return [
                (self._link(year, one), datetime(year, one, 1, tzinfo=UTC).strftime("%b"))
                for one in range(1, 13)
                if self._within((year, one), first, last, 2)
            ]
        return [(self._link(one), str(one)) for one in range(first.year, last.year + 1)]

    @staticmethod
    def _within(parts: tuple[int, ...], first: datetime, last: datetime, depth: int) -> bool:
        """Whether a month or day exists and lies between the first and the last row."""
        try:
            datetime(*parts, *([1] * (3 - depth)), tzinfo=UTC)  # type: ignore[misc, arg-type]
        except ValueError:
            return False
        return first.timetuple()[:depth] <= parts <= last.timetuple()[:depth]

    def _bounds(self) -> tuple[datetime | None, datetime | None]:
        # Of all rows, not of the filtered ones: the ends of an index, whatever the filters are. A date of
        # a related row is asked of that row's own table.
        *relations, column = self.field.split("__")
        rows = self.changelist.root_queryset
        for relation in relations:
            rows = rows.model._meta.get_field(relation).related_model._default_manager.all()
        ends = rows.order_by().aggregate(first=Min(column), last=Max(column))
        return ends["first"], ends["last"]

    def _link(self, *parts: int) -> str:
        drop = [name for name in self.changelist.params if name.startswith(f"{self.field}__")]
        names = (f"{self.field}__{part}" for part in ("year", "month", "day"))
        query: str = self.changelist.get_query_string(dict(zip(names, map(str, parts), strict=False)), drop)
        return query
