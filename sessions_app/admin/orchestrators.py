"""What sessions add to the page of an orchestrator, and to the list of them."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html

from billing.admin.orchestrators import OrchestratorAdmin
from billing.models import Orchestrator
from core import display as show
from core.admin.panels import Column, Panel, Table
from core.display import Html
from sessions_app.admin.states import state
from sessions_app.models import ActivityLease, StreamSession

_ROWS = 10


def with_open_sessions(hosts: QuerySet[Any]) -> QuerySet[Any]:
    """Annotate how many sessions of each host are open, from the index of open sessions."""
    mine = StreamSession.objects.open().filter(orchestrator=OuterRef("pk")).order_by().values("orchestrator")
    counted: QuerySet[Any] = hosts.annotate(
        open_sessions=Coalesce(Subquery(mine.annotate(n=Count("pk")).values("n")), 0)
    )
    return counted


@admin.display(description="open sessions")
def open_sessions(host: Any) -> Html:
    if not host.open_sessions:
        return show.NOTHING
    url = show.list_of(StreamSession, orchestrator__id__exact=host.pk, state="open")
    return format_html('<a class="ep-link" href="{}">{}</a>', url, f"{host.open_sessions:,}")


def recent_sessions(request: HttpRequest, host: Orchestrator) -> list[Panel]:
    if not request.user.has_perm("sessions_app.view_streamsession"):
        return []
    sessions = StreamSession.objects.filter(orchestrator=host)[:_ROWS]
    columns = [
        Column("Session"),
        Column("State"),
        Column("Edge"),
        Column("Started"),
        Column("Billed", number=True),
        Column("Credited", number=True),
    ]
    rows = [
        [
            show.link(session),
            state(session),
            session.edge_id or show.NOTHING,
            show.when(session.started_at),
            show.duration(session.billed_ms),
            show.eth(session.billed_wei),
        ]
        for session in sessions
    ]
    more = show.list_of(StreamSession, orchestrator__id__exact=host.pk)
    return [Table("Sessions", columns, rows, empty="This host has served no session yet.", more=more)]


def live_leases(request: HttpRequest, host: Orchestrator) -> list[Panel]:
    if not request.user.has_perm("sessions_app.view_activitylease"):
        return []
    leases = ActivityLease.objects.filter(orchestrator=host)[:_ROWS]
    if not leases:
        return []
    columns = [Column("Lease"), Column("Kind"), Column("Last seen"), Column("Expires"), Column("Revoked")]
    rows = [
        [
            show.link(lease),
            lease.kind,
            show.when(lease.last_seen_at),
            show.when(lease.expires_at),
            show.when(lease.revoked_at),
        ]
        for lease in leases
    ]
    more = show.list_of(ActivityLease, orchestrator__id__exact=host.pk)
    return [Table("Activity leases", columns, rows, empty="", more=more)]


OrchestratorAdmin.more_annotations.append(with_open_sessions)
OrchestratorAdmin.more_columns.append(open_sessions)
OrchestratorAdmin.more_panels.extend([recent_sessions, live_leases])
