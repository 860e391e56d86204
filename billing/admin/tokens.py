"""Tokens of orchestrators: minted once, shown once, revoked for good."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from billing.models import Orchestrator, OrchestratorToken
from billing.services import tokens
from core import display as show
from core.admin import Done, ReasonForm, ServiceAdmin, Verb
from core.admin.panels import Facts, Panel
from core.display import Html


class MintForm(ReasonForm):
    """How long the token lives, and why it is needed."""

    days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=3650,
        label="Expires after days",
        help_text="Leave empty for a token that does not expire.",
        widget=UnfoldAdminIntegerFieldWidget(),
    )
    field_order = ["days", "reason"]


def _mint(host: Orchestrator, answers: Mapping[str, Any], actor: str) -> Done:
    now = timezone.now()
    expires_at = now + timedelta(days=answers["days"]) if answers["days"] else None
    minted = tokens.mint(host, expires_at=expires_at, now=now)
    return Done(
        f"Minted token {minted.token.token_id} for {host}.",
        secret=minted.secret,
        label="Orchestrator token",
    )


def _revoke(token: OrchestratorToken, answers: Mapping[str, Any], actor: str) -> Done:
    tokens.revoke(token.orchestrator, token_id=token.token_id, now=timezone.now())
    return Done(f"Revoked token {token.token_id}.")


MINT = Verb(
    name="mint-token",
    title="Mint token",
    icon="key",
    permission="billing.mint_token",
    form=MintForm,
    explain=lambda host: (
        f"A new credential with which {host} proves who it is. Tokens it already has stay valid."
    ),
    run=_mint,
)
REVOKE = Verb(
    name="revoke",
    title="Revoke",
    icon="key_off",
    permission="billing.revoke_token",
    danger=True,
    explain=lambda token: f"{token.orchestrator} can no longer use this token, from now on and for good.",
    available=lambda token: token.revoked_at is None,
    run=_revoke,
)


def state(token: OrchestratorToken) -> SafeString:
    if token.revoked_at:
        return show.badge("revoked", "bad", title=show.exact(token.revoked_at))
    if token.expires_at and token.expires_at <= timezone.now():
        return show.badge("expired", "warn", title=show.exact(token.expires_at))
    return show.badge("live", "good")


class StateFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("expired", "Expired"), ("revoked", "Revoked")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[OrchestratorToken]
    ) -> QuerySet[OrchestratorToken]:
        now = timezone.now()
        conditions = {
            "live": Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now)),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "revoked": Q(revoked_at__isnull=False),
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(OrchestratorToken)
class TokenAdmin(ServiceAdmin):
    list_display = ("token_id", "orchestrator_link", "state_shown", "created", "expires", "last_used")
    list_filter = (StateFilter, ("orchestrator", AutocompleteSelectFilter))
    list_select_related = ("orchestrator",)
    search_fields = ("token_id__exact", "orchestrator__orchestrator_id__exact")
    search_help_text = "Token id or orchestrator id"
    ordering = ("-id",)
    verbs = (REVOKE,)

    @admin.display(description="orchestrator")
    def orchestrator_link(self, token: OrchestratorToken) -> SafeString:
        return show.link(token.orchestrator)

    @admin.display(description="state")
    def state_shown(self, token: OrchestratorToken) -> SafeString:
        return state(token)

    @admin.display(description="created")
    def created(self, token: OrchestratorToken) -> SafeString:
        return show.when(token.created_at)

    @admin.display(description="expires")
    def expires(self, token: OrchestratorToken) -> Html:
        return show.when(token.expires_at) if token.expires_at else "never"

    @admin.display(description="last used")
    def last_used(self, token: OrchestratorToken) -> Html:
        return show.when(token.last_seen_at) if token.last_seen_at else "not yet"

    def headline(self, record: OrchestratorToken) -> Html:
        return state(record)

    def panels(self, request: HttpRequest, record: OrchestratorToken) -> list[Panel]:
        return [
            Facts(
                "Token",
                [
                    ("Token id", show.copyable(record.token_id, what="token id")),
                    ("Orchestrator", show.link(record.orchestrator)),
                    ("Created", show.at(record.created_at)),
                    ("Expires", show.at(record.expires_at) if record.expires_at else "never"),
                    ("Revoked", show.at(record.revoked_at)),
                    ("Last used", show.when(record.last_seen_at) if record.last_seen_at else "not yet"),
                ],
                wide=True,
            )
        ]
