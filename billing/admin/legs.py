"""Legs of the ledger, and how far the books have been exported."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from billing.models import Account, Export, Leg
from billing.services import dashboard
from core import display as show
from core.admin import ReadOnlyAdmin
from core.admin.csv import EXPORT, eth_column
from core.admin.panels import Facts, Panel
from core.display import Html


class CreditsFilter(admin.SimpleListFilter):
    """The legs behind the dashboard's "credited" figures."""

    title, parameter_name = "side", "side"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("credits", "Credits to hosts")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Leg]) -> QuerySet[Leg]:
        if self.value() != "credits":
            return queryset
        # As numbers, not as a join: so that the sums' index can be used.
        sources = Account.objects.filter(address__in=dashboard.SOURCES).values_list("pk", flat=True)
        return queryset.filter(account__in=list(sources))


@admin.register(Leg)
class LegAdmin(ReadOnlyAdmin):
    list_display = ("entry_link", "account_link", "amount_shown", "balance", "effective")
    list_filter = (CreditsFilter, ("account", AutocompleteSelectFilter))
    list_select_related = ("entry", "account")
    date_hierarchy = "entry__recorded_at"
    # The date of the entry first: it has the index that finds a day among millions.
    ordering = ("-entry__recorded_at", "-id")
    csv_permission = EXPORT
    csv_columns = (
        ("id", lambda leg: leg.pk),
        ("entry_key", lambda leg: leg.entry.key),
        ("account", lambda leg: leg.account.address),
        ("asset", lambda leg: leg.asset),
        ("kind", lambda leg: leg.kind),
        ("amount", lambda leg: leg.amount),
        ("amount_eth", lambda leg: eth_column(leg.asset, leg.amount)),
        ("balance_after", lambda leg: leg.balance_after),
        ("effective_at", lambda leg: leg.effective_at.isoformat()),
    )

    @admin.display(description="entry")
    def entry_link(self, leg: Leg) -> Html:
        return leg.get_kind_display()

    @admin.display(description="account")
    def account_link(self, leg: Leg) -> SafeString:
        return show.link(leg.account)

    @admin.display(description="amount")
    def amount_shown(self, leg: Leg) -> SafeString:
        return show.moved(leg.amount, leg.asset)

    @admin.display(description="balance after")
    def balance(self, leg: Leg) -> SafeString:
        return show.amount(leg.balance_after, leg.asset)

    @admin.display(description="effective")
    def effective(self, leg: Leg) -> SafeString:
        return show.when(leg.effective_at)

    def panels(self, request: HttpRequest, record: Leg) -> list[Panel]:
        return [
            Facts(
                "Leg",
                [
                    ("Entry", show.link(record.entry)),
                    ("Account", show.link(record.account)),
                    ("Amount", show.moved(record.amount, record.asset)),
                    ("Balance after", show.amount(record.balance_after, record.asset)),
                    ("Kind", record.get_kind_display()),
                    ("Effective", show.at(record.effective_at)),
                ],
                wide=True,
            )
        ]


@admin.register(Export)
class ExportAdmin(ReadOnlyAdmin):
    list_display = ("name", "path", "last_row_id", "offset", "updated")
    ordering = ("name",)

    @admin.display(description="last written")
    def updated(self, export: Export) -> SafeString:
        return show.when(export.updated_at)

    def panels(self, request: HttpRequest, record: Export) -> list[Panel]:
        return [
            Facts(
                "File",
                [
                    ("Path", show.copyable(record.path, what="path")),
                    ("Last row written", f"{record.last_row_id:,}"),
                    ("Bytes written", f"{record.offset:,}"),
                    ("Last written", show.at(record.updated_at)),
                ],
                wide=True,
            )
        ]
