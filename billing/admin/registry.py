"""The registry's audit trail, as staff read it."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from billing.models import RegistryEvent
from core import display as show
from core.admin import ReadOnlyAdmin
from core.admin.csv import EXPORT
from core.admin.lists import ExactFilter
from core.admin.panels import Facts, Panel
from core.display import Html, Tone

EVENTS: dict[str, tuple[str, Tone]] = {
    "register": ("Registered", "good"),
    "register_denied": ("Registration refused", "bad"),
    "cooldown_started": ("Cooldown started", "warn"),
    "cooldown_cleared": ("Cooldown over", "good"),
    "denylisted": ("Put on the denylist", "bad"),
    "denylist_cleared": ("Taken off the denylist", "good"),
}


def event_badge(event: RegistryEvent) -> SafeString:
    text, tone = EVENTS.get(event.event, (show.words(event.event), "calm"))
    return show.badge(text, tone)


def summary(event: RegistryEvent) -> Html:
    """What a record says beyond its name, on one line."""
    told = (
        f"{show.words(key)}: {show.yes_no(value)}"
        for key, value in event.details.items()
        if value not in (None, "")
    )
    return " · ".join(told) or show.NOTHING


class OrchestratorIdFilter(ExactFilter):
    title, parameter_name, field = "orchestrator id", "orchestrator_id", "orchestrator_id"


@admin.register(RegistryEvent)
class RegistryEventAdmin(ReadOnlyAdmin):
    list_display = ("shown", "orchestrator_id", "details_shown", "recorded")
    list_filter = (OrchestratorIdFilter,)
    search_fields = ("orchestrator_id__exact",)
    search_help_text = "Orchestrator id"
    ordering = ("-id",)
    csv_permission = EXPORT
    csv_columns = (
        ("recorded_at", lambda event: event.recorded_at.isoformat()),
        ("event", lambda event: event.event),
        ("orchestrator_id", lambda event: event.orchestrator_id),
        ("details", lambda event: " · ".join(f"{key}={value}" for key, value in event.details.items())),
    )

    @admin.display(description="event")
    def shown(self, event: RegistryEvent) -> SafeString:
        return event_badge(event)

    @admin.display(description="details")
    def details_shown(self, event: RegistryEvent) -> Html:
        return summary(event)

    @admin.display(description="recorded")
    def recorded(self, event: RegistryEvent) -> SafeString:
        return show.when(event.recorded_at)

    def headline(self, record: RegistryEvent) -> Html:
        return event_badge(record)

    def panels(self, request: HttpRequest, record: RegistryEvent) -> list[Panel]:
        facts: list[tuple[str, Html]] = [
            ("Orchestrator id", show.copyable(record.orchestrator_id, what="orchestrator id")),
            ("Recorded", show.at(record.recorded_at)),
        ]
        facts += [(show.words(key), show.plain(value)) for key, value in record.details.items()]
        return [Facts("Record", facts, wide=True)]
