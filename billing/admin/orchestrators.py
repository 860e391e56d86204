"""Orchestrators: what a host is owed, whether it may be paid, and what staff may do about it."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.admin import host_parts as parts
from billing.admin import tokens
from billing.admin.accounts import statement
from billing.admin.host_verbs import ADJUST, PUT_ON, TAKE_OFF
from billing.models import Account, Orchestrator
from billing.services import dashboard
from core import display as show
from core.admin import ServiceAdmin
from core.admin.panels import Panel
from core.display import Html
from core.fields import AmountField

_CHART_DAYS = 30


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
        return parts.eligibility(host)

    @admin.display(description="last seen")
    def seen(self, host: Orchestrator) -> SafeString:
        return show.when(host.last_seen)

    def headline(self, record: Orchestrator) -> Html:
        return format_html("{} {}", parts.eligibility(record), show.address(record.address))

    def panels(self, request: HttpRequest, record: Any) -> list[Panel]:
        accounts = {account.address.rpartition(":")[2]: account for account in record.accounts.all()}
        credited = dashboard.credited_per_day(now=timezone.now(), days=_CHART_DAYS, orchestrator_pk=record.pk)
        panels: list[Panel] = [
            parts.figures_part(record, accounts, credited),
            parts.identity_part(record),
            parts.contact_part(record),
            parts.chart_part(credited),
            statement(accounts.get("owed")),
        ]
        for more in self.more_panels:
            panels += more(request, record)
        if request.user.has_perm("billing.view_orchestratortoken"):
            panels.append(parts.tokens_part(request, record))
        if request.user.has_perm("billing.view_registryevent"):
            panels.append(parts.registry_part(record))
        return panels
