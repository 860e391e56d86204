"""Activity leases, as staff read them, and their revocation."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from core import display as show
from core.admin import Done, ServiceAdmin, Verb
from core.admin.panels import Facts, Panel
from core.display import Html
from sessions_app.models import ActivityLease
from sessions_app.services import leases


def _revoke(lease: ActivityLease, answers: Mapping[str, Any], actor: str) -> Done:
    leases.revoke(lease_id=lease.lease_id, now=timezone.now())
    return Done(f"Revoked lease {lease.lease_id}.")


REVOKE = Verb(
    name="revoke",
    title="Revoke",
    icon="timer_off",
    permission="sessions_app.revoke_lease",
    danger=True,
    explain=lambda lease: (
        f"Watchers may put {lease.orchestrator} to sleep, unless something else keeps it busy."
    ),
    available=lambda lease: lease.revoked_at is None,
    run=_revoke,
)


def state(lease: ActivityLease) -> SafeString:
    if lease.revoked_at:
        return show.badge("revoked", "bad", title=show.exact(lease.revoked_at))
    if lease.expires_at <= timezone.now():
        return show.badge("expired", title=show.exact(lease.expires_at))
    return show.badge("live", "good", title=f"Until {show.exact(lease.expires_at)}")


class StateFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("expired", "Expired"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ActivityLease]) -> QuerySet[ActivityLease]:
        now = timezone.now()
        conditions = {
            "live": Q(revoked_at=None, expires_at__gt=now),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "revoked": Q(revoked_at__isnull=False),
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(ActivityLease)
class ActivityLeaseAdmin(ServiceAdmin):
    """Leases of live sessions are not rows; they are the sessions themselves."""

    list_display = (
        "lease_id",
        "orchestrator_link",
        "state_shown",
        "kind",
        "upstream_addr",
        "seen",
        "expires",
    )
    list_filter = (StateFilter, ("orchestrator", AutocompleteSelectFilter))
    list_select_related = ("orchestrator",)
    search_fields = ("lease_id__exact", "orchestrator__orchestrator_id__exact")
    search_help_text = "Lease id or orchestrator id"
    ordering = ("-last_seen_at", "-lease_id")
    verbs = (REVOKE,)

    @admin.display(description="orchestrator")
    def orchestrator_link(self, lease: ActivityLease) -> SafeString:
        return show.link(lease.orchestrator)

    @admin.display(description="state")
    def state_shown(self, lease: ActivityLease) -> SafeString:
        return state(lease)

    @admin.display(description="last seen")
    def seen(self, lease: ActivityLease) -> SafeString:
        return show.when(lease.last_seen_at)

    @admin.display(description="expires")
    def expires(self, lease: ActivityLease) -> SafeString:
        return show.when(lease.expires_at)

    def headline(self, record: ActivityLease) -> Html:
        return state(record)

    def panels(self, request: HttpRequest, record: ActivityLease) -> list[Panel]:
        facts: list[tuple[str, Html]] = [
            ("Lease id", show.copyable(record.lease_id, what="lease id")),
            ("Orchestrator", show.link(record.orchestrator)),
            ("Kind", record.kind),
            ("Upstream", show.code(record.upstream_addr)),
            ("Issued", show.at(record.issued_at)),
            ("Last seen", show.at(record.last_seen_at)),
            ("Last seen from", show.code(record.last_seen_ip)),
            ("Expires", show.at(record.expires_at)),
            ("Revoked", show.at(record.revoked_at)),
        ]
        extra = [(show.words(key), show.plain(value)) for key, value in record.metadata.items()]
        return [Facts("Lease", facts), Facts("Metadata", extra or [("Metadata", "none")])]
