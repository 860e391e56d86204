"""The books, as staff read them: accounts, entries, legs. One verb: reversing an entry."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter

from billing.models import Account, Entry, Export, Leg
from billing.services import balances, dashboard, ledger
from core import display as show
from core.admin import Done, ReadOnlyAdmin, ServiceAdmin, Verb
from core.admin.panels import Column, Facts, Figure, Figures, Panel, Table
from core.display import Html
from core.money import eth_from_wei

EXPORT = "billing.export_ledger"
_STATEMENT_LINES = 15


def _eth_or_blank(asset: str, value: int | None) -> str:
    return eth_from_wei(value) if asset == "ETH" and value is not None else ""


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
        ("balance_eth", lambda account: _eth_or_blank(account.asset, balances.of_account(account))),
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
        ("amount_eth", lambda leg: _eth_or_blank(leg.asset, leg.amount)),
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
