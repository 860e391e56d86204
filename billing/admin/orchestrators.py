"""Orchestrators: what a host is owed, whether it may be paid, and what staff may do about it."""

import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing.admin import registry, tokens
from billing.admin.ledger import statement
from billing.models import Account, Kind, Orchestrator, OrchestratorToken, RegistryEvent
from billing.services import adjustments, dashboard, denylist
from core import display as show
from core.admin import Done, ReasonForm, ServiceAdmin, Verb
from core.admin.panels import Chart, Column, Facts, Figure, Figures, Panel, Series, Table
from core.admin.verbs import url_of
from core.display import Html
from core.fields import AmountField
from core.money import MAX_WEI, eth_from_wei, wei_from_eth

_ROWS = 10
_CHART_DAYS = 30


class AdjustForm(ReasonForm):
    """An amount in ETH, plus or minus, exact to the wei."""

    amount_eth = forms.CharField(
        label="Amount in ETH",
        max_length=100,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        help_text="Positive credits the host, negative takes back. At most 18 decimals.",
    )
    notes = forms.CharField(
        required=False,
        max_length=1024,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept with the entry.",
    )
    # Pressing the button twice posts once.
    once = forms.UUIDField(initial=uuid.uuid4, widget=forms.HiddenInput())
    field_order = ["amount_eth", "reason", "notes"]

    def clean_amount_eth(self) -> int:
        """The amount in whole wei."""
        try:
            eth = Decimal(self.cleaned_data["amount_eth"].strip())
            # Looked at by magnitude first: 1e999999999 must not be written out to be found too large.
            wei = wei_from_eth(eth) if eth.is_finite() and eth.adjusted() <= 60 else MAX_WEI + 1
        except (ValueError, ArithmeticError):
            raise forms.ValidationError("Enter an amount in ETH with at most 18 decimals.") from None
        if not wei:
            raise forms.ValidationError("The amount must not be zero.")
        if abs(wei) > MAX_WEI:
            raise forms.ValidationError("This amount is too large.")
        return wei


def _adjust(host: Orchestrator, answers: Mapping[str, Any], actor: str) -> Done:
    adjustment = adjustments.post(
        orchestrator_id=host.orchestrator_id,
        amount_wei=answers["amount_eth"],
        reason=answers["reason"],
        reference_workload_id=None,
        notes=answers["notes"],
        idempotency_key=f"staff {answers['once']}",
        actor=actor,
        now=timezone.now(),
    )
    balance = eth_from_wei(adjustment.balance_wei)
    return Done(
        f"Adjusted the balance of {host} by {eth_from_wei(adjustment.delta_wei)} ETH to {balance} ETH."
    )


def _put_on(host: Orchestrator, answers: Mapping[str, Any], actor: str) -> Done:
    denylist.put_on(orchestrator_pk=host.pk, reason=answers["reason"], actor=actor, now=timezone.now())
    return Done(f"{host} is on the denylist.")


def _take_off(host: Orchestrator, answers: Mapping[str, Any], actor: str) -> Done:
    denylist.take_off(orchestrator_pk=host.pk, reason=answers["reason"], actor=actor, now=timezone.now())
    return Done(f"{host} is off the denylist.")


ADJUST = Verb(
    name="adjust-balance",
    title="Adjust balance",
    icon="exposure",
    permission="billing.adjust_balance",
    form=AdjustForm,
    explain=lambda host: f"Posts an entry between the platform's adjustments and what {host} is owed.",
    run=_adjust,
)
PUT_ON = Verb(
    name="denylist",
    title="Put on denylist",
    icon="block",
    permission="billing.denylist_orchestrator",
    danger=True,
    explain=lambda host: (
        f"{host} earns nothing and is paid nothing while it is on the denylist. "
        "What it earned before stays on its account."
    ),
    available=lambda host: not host.denylisted,
    run=_put_on,
)
TAKE_OFF = Verb(
    name="take-off-denylist",
    title="Take off denylist",
    icon="check_circle",
    permission="billing.denylist_orchestrator",
    explain=lambda host: f"{host} earns again from now on. What it served meanwhile is not credited later.",
    available=lambda host: host.denylisted,
    run=_take_off,
)


def eligibility(host: Orchestrator) -> SafeString:
    """Whether payments may go out, and if not, the first reason that forbids them."""
    now = timezone.now()
    if host.denylisted:
        return show.badge("denylisted", "bad", title="On the denylist until staff take it off")
    if host.in_cooldown(now=now):
        assert host.cooldown_expires_at is not None
        return show.badge("cooldown", "warn", title=f"Until {show.exact(host.cooldown_expires_at)}")
    if not host.is_eligible(now=now):
        return show.badge("not in top set", "warn", title=f"Not ranked by {settings.TOP_CONTRACT_ADDRESS}")
    return show.badge("eligible", "good", title="Payments may go out")


class StandingFilter(admin.SimpleListFilter):
    title, parameter_name = "standing", "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("online", "Online"),
            ("denylisted", "Denylisted"),
            ("cooldown", "In cooldown"),
            ("owed", "Owed something"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Orchestrator]) -> QuerySet[Orchestrator]:
        now = timezone.now()
        conditions = {
            "online": Q(last_seen__gte=now - dashboard.ONLINE_FOR),
            "denylisted": Q(denylisted=True),
            "cooldown": Q(cooldown_expires_at__gt=now),
            "owed": Q(owed_wei__gt=0),
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(Orchestrator)
class OrchestratorAdmin(ServiceAdmin):
    """Apps above add what they know about a host: panels to its page, annotated columns to the list."""

    list_display = ("orchestrator_id", "address_shown", "owed", "standing", "seen")
    list_filter = (StandingFilter,)
    search_fields = ("orchestrator_id__istartswith", "address__iexact")
    search_help_text = "Orchestrator id begins with, or an address"
    ordering = ("-last_seen", "-id")
    verbs = (tokens.MINT, ADJUST, PUT_ON, TAKE_OFF)
    more_panels: ClassVar[list[Callable[[HttpRequest, Orchestrator], list[Panel]]]] = []
    more_annotations: ClassVar[list[Callable[[QuerySet[Any]], QuerySet[Any]]]] = []
    more_columns: ClassVar[list[Callable[[Any], Html]]] = []

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [*self.list_display[:3], *self.more_columns, *self.list_display[3:]]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Orchestrator]:
        account = Account.objects.filter(orchestrator=OuterRef("pk"), kept=True, address__endswith=":owed")
        owed = Subquery(account.values("balance")[:1], output_field=AmountField())
        rows: QuerySet[Orchestrator] = super().get_queryset(request)
        rows = rows.annotate(owed_wei=Coalesce(owed, 0, output_field=AmountField()))
        for annotate in self.more_annotations:
            rows = annotate(rows)
        return rows

    @admin.display(description="address")
    def address_shown(self, host: Orchestrator) -> SafeString:
        return show.address(host.address)

    @admin.display(description="owed")
    def owed(self, host: Any) -> SafeString:
        return show.eth(host.owed_wei)

    @admin.display(description="payments")
    def standing(self, host: Orchestrator) -> SafeString:
        return eligibility(host)

    @admin.display(description="last seen")
    def seen(self, host: Orchestrator) -> SafeString:
        return show.when(host.last_seen)

    def headline(self, record: Orchestrator) -> Html:
        return format_html("{} {}", eligibility(record), show.address(record.address))

    def panels(self, request: HttpRequest, record: Any) -> list[Panel]:
        accounts = {account.address.rpartition(":")[2]: account for account in record.accounts.all()}
        credited = dashboard.credited_per_day(now=timezone.now(), days=_CHART_DAYS, orchestrator_pk=record.pk)
        panels: list[Panel] = [
            _figures(record, accounts, credited),
            _identity(record),
            _contact(record),
            _chart(credited),
            statement(accounts.get("owed")),
        ]
        for more in self.more_panels:
            panels += more(request, record)
        if request.user.has_perm("billing.view_orchestratortoken"):
            panels.append(_tokens(request, record))
        if request.user.has_perm("billing.view_registryevent"):
            panels.append(_registry(record))
        return panels


def _figures(host: Orchestrator, accounts: Mapping[str, Account], credited: dashboard.Credited) -> Figures:
    owed, in_flight = accounts.get("owed"), accounts.get("in_flight")
    return Figures(
        [
            Figure(
                "Owed",
                show.headline_eth(owed.balance if owed else 0),
                note="earned and not paid",
                href=show.page_of(owed) if owed else "",
            ),
            Figure(
                "In flight",
                show.headline_eth(in_flight.balance if in_flight else 0),
                note="on its way to the host",
            ),
            Figure("Credited today", show.headline_eth(credited.last(1)), note="since midnight UTC"),
            Figure(
                "Credited in 30 days", show.headline_eth(credited.last(30)), note="by the day it was earned"
            ),
        ]
    )


def _identity(host: Orchestrator) -> Facts:
    verified = show.badge("verified", "good") if host.address_verified else show.badge("not proven")
    return Facts(
        "Host",
        [
            ("Orchestrator id", show.copyable(host.orchestrator_id, what="orchestrator id")),
            ("Payout address", format_html("{} {}", show.copyable(host.address, what="address"), verified)),
            ("Capability", host.capability or show.NOTHING),
            ("Contact", host.contact_email or show.NOTHING),
            ("Host name", host.host_name or show.NOTHING),
            ("Public IP", show.code(host.host_public_ip)),
            ("Health URL", show.code(host.health_url)),
            ("Monitored services", show.plain(host.monitored_services)),
            (
                "Least uptime",
                f"{host.min_service_uptime:g} %" if host.min_service_uptime is not None else show.NOTHING,
            ),
        ],
    )


def _contact(host: Orchestrator) -> Facts:
    facts: list[tuple[str, Html]] = [
        ("Payments", eligibility(host)),
        ("Cooldown until", show.at(host.cooldown_expires_at)),
        ("First seen", show.at(host.first_seen)),
        ("Last seen", show.when(host.last_seen)),
        ("Heard through", show.words(host.last_contact_source) if host.last_contact_source else show.NOTHING),
        ("Last seen from", show.code(host.last_seen_ip)),
        ("Last session", show.when(host.last_session_seen_at)),
        ("Last healthy", show.when(host.last_healthy_at)),
        ("Registrations", f"{host.registration_count:,}"),
    ]
    if host.forwarder_data:
        facts.append(("Health report", show.plain(host.forwarder_data)))
    return Facts("Standing and contact", facts)


def _chart(credited: dashboard.Credited) -> Chart:
    return Chart(
        "credited",
        f"Credited per day, last {_CHART_DAYS} days",
        [f"{day:%-d %b}" for day in credited.days],
        [Series(Kind(kind).label, values) for kind, values in credited.by_kind.items()],
    )


def _tokens(request: HttpRequest, host: Orchestrator) -> Table:
    may_revoke = tokens.REVOKE.permitted(request)
    rows = [
        [
            show.link(token),
            tokens.state(token),
            show.when(token.created_at),
            show.when(token.expires_at) if token.expires_at else "never",
            show.when(token.last_seen_at) if token.last_seen_at else "not yet",
            format_html('<a class="ep-link" href="{}">Revoke</a>', url_of(token, tokens.REVOKE))
            if may_revoke and token.revoked_at is None
            else "",
        ]
        for token in host.tokens.all()[:_ROWS]
    ]
    columns = [Column(title) for title in ("Token", "State", "Created", "Expires", "Last used", "")]
    more = show.list_of(OrchestratorToken, orchestrator__id__exact=host.pk)
    return Table("Tokens", columns, rows, empty="No token was ever minted for this host.", more=more)


def _registry(host: Orchestrator) -> Table:
    events = RegistryEvent.objects.filter(orchestrator_id=host.orchestrator_id)[:_ROWS]
    return Table(
        "Registry log",
        [Column("Event"), Column("Details"), Column("When")],
        [
            [registry.event_badge(event), registry.summary(event), show.at(event.recorded_at)]
            for event in events
        ],
        empty="Nothing recorded yet.",
        more=show.list_of(RegistryEvent, orchestrator_id=host.orchestrator_id),
    )
