"""Entries of the ledger, as staff read them. One verb: reversing."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter

from billing.models import Entry
from billing.services import ledger
from core import display as show
from core.admin import Done, ServiceAdmin, Verb
from core.admin.csv import EXPORT
from core.admin.panels import Column, Facts, Panel, Table
from core.display import Html


class ReversedFilter(admin.SimpleListFilter):
    title, parameter_name = "reversals", "reversal"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Reversals only")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:
        return queryset.filter(reverses__isnull=False) if self.value() == "yes" else queryset


def _reverse(entry: Entry, answers: Mapping[str, Any], actor: str) -> Done:
    mirror = ledger.reverse(
        entry,
        key=f"reversal:{entry.pk}",
        reason=answers["reason"],
        actor=actor,
        effective_at=timezone.now(),
    )
    return Done(f"Reversed by entry {mirror.pk}.")


REVERSE = Verb(
    name="reverse",
    title="Reverse",
    icon="undo",
    permission="billing.reverse_entry",
    danger=True,
    explain=lambda entry: (
        "This posts the mirror image of the entry, now. The entry itself stays. It can be reversed only once."
    ),
    available=lambda entry: not hasattr(entry, "reversed_by") and entry.reverses_id is None,
    run=_reverse,
)


@admin.register(Entry)
class EntryAdmin(ServiceAdmin):
    """Apps above add panels with what an entry was made from."""

    more_panels: ClassVar[list[Callable[[HttpRequest, Entry], list[Panel]]]] = []
    list_display = (
        "kind_shown",
        "orchestrator_link",
        "legs_shown",
        "effective",
        "recorded",
        "actor_shown",
    )
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("orchestrator", AutocompleteSelectFilter),
        ReversedFilter,
    )
    list_select_related = ("orchestrator", "reversed_by")
    search_fields = ("key__exact", "key__startswith")
    search_help_text = "Idempotency key begins with"
    date_hierarchy = "recorded_at"
    ordering = ("-recorded_at", "-id")
    verbs = (REVERSE,)
    csv_permission = EXPORT
    csv_columns = (
        ("id", lambda entry: entry.pk),
        ("key", lambda entry: entry.key),
        ("kind", lambda entry: entry.kind),
        ("reason", lambda entry: entry.reason),
        ("orchestrator_id", lambda entry: entry.orchestrator.orchestrator_id if entry.orchestrator else ""),
        ("effective_at", lambda entry: entry.effective_at.isoformat()),
        ("recorded_at", lambda entry: entry.recorded_at.isoformat()),
        ("actor", lambda entry: entry.actor),
        ("reverses", lambda entry: entry.reverses_id),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        rows: QuerySet[Entry] = super().get_queryset(request)
        return rows.prefetch_related("legs__account")

    @admin.display(description="kind")
    def kind_shown(self, entry: Entry) -> SafeString:
        """The kind, and below it what a person wrote; the system's own reasons only repeat the kind."""
        mark: Html = ""
        if entry.reverses_id:
            mark = show.badge("reversal", "warn")
        elif hasattr(entry, "reversed_by"):
            mark = show.badge("reversed")
        told = format_html('<span class="ep-reason">{}</span>', entry.reason) if entry.actor else ""
        return format_html("{} {}{}", entry.get_kind_display(), mark, told)

    @admin.display(description="orchestrator")
    def orchestrator_link(self, entry: Entry) -> SafeString:
        return show.link(entry.orchestrator)

    @admin.display(description="legs")
    def legs_shown(self, entry: Entry) -> SafeString:
        return format_html(
            '<span class="ep-legs">{}</span>',
            format_html_join(
                "",
                "<span>{} {}</span>",
                (
                    (show.link(leg.account), show.moved(leg.amount, leg.asset))
                    for leg in sorted(entry.legs.all(), key=lambda leg: leg.amount, reverse=True)
                ),
            ),
        )

    @admin.display(description="effective")
    def effective(self, entry: Entry) -> SafeString:
        return show.when(entry.effective_at)

    @admin.display(description="recorded")
    def recorded(self, entry: Entry) -> SafeString:
        return show.when(entry.recorded_at)

    @admin.display(description="by")
    def actor_shown(self, entry: Entry) -> Html:
        return entry.actor or "system"

    def headline(self, record: Entry) -> Html:
        parts = [show.badge(record.get_kind_display(), "info")]
        if record.reverses_id:
            parts.append(show.badge("reversal", "warn"))
        if hasattr(record, "reversed_by"):
            parts.append(show.badge("reversed", "bad"))
        return format_html_join("", "{}", ((part,) for part in parts))

    def panels(self, request: HttpRequest, record: Entry) -> list[Panel]:
        facts: list[tuple[str, Html]] = [
            ("Idempotency key", show.copyable(record.key, what="key")),
            ("Kind", record.get_kind_display()),
            ("Reason", show.reason(record.reason)),
            ("Orchestrator", show.link(record.orchestrator)),
            ("Effective", show.at(record.effective_at)),
            ("Recorded", show.at(record.recorded_at)),
            ("By", record.actor or "the system itself"),
        ]
        if record.reverses:
            facts.append(("Reverses", show.link(record.reverses)))
        if hasattr(record, "reversed_by"):
            facts.append(("Reversed by", show.link(record.reversed_by)))
        legs = sorted(record.legs.all(), key=lambda leg: leg.amount, reverse=True)
        return [
            Table(
                "Legs",
                [
                    Column("Account"),
                    Column("Asset"),
                    Column("Amount", number=True),
                    Column("Balance after", number=True),
                ],
                [
                    [
                        show.link(leg.account),
                        leg.asset,
                        show.moved(leg.amount, leg.asset),
                        show.amount(leg.balance_after, leg.asset),
                    ]
                    for leg in legs
                ],
                empty="No legs.",
                note="Legs of an entry sum to zero per asset; PostgreSQL holds them to it.",
            ),
            Facts("Entry", facts),
            Facts(
                "Metadata", [(show.words(key), show.plain(value)) for key, value in record.metadata.items()]
            )
            if record.metadata
            else Facts("Metadata", [("Facts", "none")]),
            *(panel for more in self.more_panels for panel in more(request, record)),
        ]
