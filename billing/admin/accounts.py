"""Accounts of the ledger, as staff read them: the balance, and the statement behind it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.models import Account, Leg
from billing.services import balances
from core import display as show
from core.admin import ReadOnlyAdmin
from core.admin.csv import EXPORT, eth_column
from core.admin.panels import Column, Facts, Figure, Figures, Panel, Table
from core.display import Html

_STATEMENT_LINES = 15


def statement(account: Account | None, *, lines: int = _STATEMENT_LINES, title: str = "Statement") -> Table:
    """An account's latest legs, newest first, with the balance after each."""
    legs = (
        Leg.objects.filter(account=account).select_related("entry").order_by("-id")[:lines] if account else ()
    )
    columns = [
        Column("Effective"),
        Column("Entry"),
        Column("Reason"),
        Column("Amount", number=True),
        Column("Balance", number=True),
    ]
    kept = account is not None and account.kept
    return Table(
        title,
        columns if kept else columns[:-1],
        [
            [
                show.at(leg.effective_at),
                show.link(leg.entry, leg.get_kind_display()),
                show.reason(leg.entry.reason),
                show.moved(leg.amount, leg.asset),
                show.amount(leg.balance_after, leg.asset),
            ][: 5 if kept else 4]
            for leg in legs
        ],
        empty="No entry has touched this account yet.",
        more=show.list_of(Leg, account__id__exact=account.pk) if account else "",
        more_text="All legs",
    )


class OwnerKind(admin.SimpleListFilter):
    title, parameter_name = "owner", "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("host", "Hosts"), ("platform", "Platform")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        wanted = {"host": True, "platform": False}.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(kept=wanted)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("address", "orchestrator_link", "asset", "balance_shown", "nature")
    list_filter = (OwnerKind, ("asset", ChoicesDropdownFilter))
    list_select_related = ("orchestrator",)
    search_fields = ("address__startswith", "orchestrator__orchestrator_id__exact")
    search_help_text = "Address begins with, or an orchestrator id"
    ordering = ("kept", "id")
    csv_permission = EXPORT
    csv_columns = (
        ("address", lambda account: account.address),
        ("asset", lambda account: account.asset),
        ("kept", lambda account: account.kept),
        ("balance", balances.of_account),
        ("balance_eth", lambda account: eth_column(account.asset, balances.of_account(account))),
    )

    @admin.display(description="orchestrator")
    def orchestrator_link(self, account: Account) -> SafeString:
        return show.link(account.orchestrator)

    @admin.display(description="balance")
    def balance_shown(self, account: Account) -> SafeString:
        return balance_of(account)

    @admin.display(description="kind")
    def nature(self, account: Account) -> SafeString:
        return nature(account)

    def headline(self, record: Account) -> Html:
        return nature(record)

    def panels(self, request: HttpRequest, record: Any) -> list[Panel]:
        facts: list[tuple[str, Html]] = [
            ("Address", show.copyable(record.address, what="address")),
            ("Asset", record.get_asset_display()),
            ("Orchestrator", show.link(record.orchestrator)),
            ("Floor", show.amount(record.floor, record.asset) if record.floor is not None else "none"),
        ]
        return [
            Figures(
                [
                    Figure(
                        "Balance",
                        balance_of(record),
                        note="kept with each leg" if record.kept else "sum of all legs",
                    )
                ]
            ),
            Facts("Account", facts, wide=True),
            statement(record),
        ]


def balance_of(account: Account) -> SafeString:
    """A host's debt is red; that a contra account stands negative is its nature."""
    balance = balances.of_account(account)
    return show.amount(balance, account.asset) if account.kept else show.mirrored(balance, account.asset)


def nature(account: Account) -> SafeString:
    if account.kept:
        return show.badge("kept", "info", title="Its balance is stored, and locked while it changes")
    return show.badge("contra", title="The platform's side: its balance is the sum of its legs")
