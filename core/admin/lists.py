"""Filters of the staff lists."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import TextFilter


class ExactFilter(TextFilter):  # type: ignore[misc]
    """A filter that takes the whole value of a text column."""

    field: str

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        # PostgreSQL text cannot hold U+0000, so nothing can match it.
        if value and "\x00" in value:
            return queryset.none()
        return queryset.filter(**{self.field: value.strip()}) if value and value.strip() else queryset
