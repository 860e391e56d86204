"""Template tags of the staff pages."""

from typing import Any

from django import template
from django.utils.safestring import SafeString

from core import display
from core.paging import COUNT_CAP, DateDrill

register = template.Library()


@register.filter
def eth(wei: int) -> SafeString:
    """An amount in ETH with the exact wei on hover."""
    return display.eth(wei)


@register.simple_tag
def date_drill(changelist: Any) -> DateDrill:
    return DateDrill(changelist)


@register.simple_tag
def shown_rows(changelist: Any) -> dict[str, Any]:
    """Which rows of how many a page shows, and its neighbours."""
    paginator = changelist.paginator
    size, page = changelist.list_per_page, changelist.page_num
    first = (page - 1) * size + 1 if paginator.count else 0
    return {
        "first": first,
        "last": min(page * size, paginator.count),
        "total": f"{COUNT_CAP:,}+" if getattr(paginator, "is_capped", False) else f"{paginator.count:,}",
        "previous": changelist.get_query_string({"p": page - 1}) if page > 1 else "",
        "next": changelist.get_query_string({"p": page + 1}) if page * size < paginator.count else "",
    }
