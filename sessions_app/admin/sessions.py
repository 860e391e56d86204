"""Stream sessions: who served, how long, what was credited, and everything that happened on the way."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from core import display as show
from core.admin import ReadOnlyAdmin
from core.admin.lists import ExactFilter
from core.admin.panels import Column, Facts, Figure, Figures, Moment, Panel, Table, Timeline
from core.display import Html
from sessions_app.admin.segments import proof_button
from sessions_app.admin.states import credit, state
from sessions_app.admin.strip import strip
from sessions_app.models import Segment, SessionEvent, StreamSession

SHOWN = 200
"""How many segments and events of one session a page draws."""

EVENTS = {
    "start": ("Started", "play_arrow", "good"),
    "heartbeat": ("Heartbeat", "favorite", "info"),
    "end": ("Ended", "stop", "calm"),
    "timeout": ("Fell silent", "hourglass_disabled", "warn"),
    "reattribution": ("Moved to another host", "swap_horiz", "warn"),
}


class StateFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("open", "Open"), ("silent", "Open but silent"), ("ended", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StreamSession]) -> QuerySet[StreamSession]:
        idle = timezone.now() - timedelta(seconds=settings.SESSION_IDLE_TIMEOUT_SECONDS)
        conditions: dict[str, dict[str, Any]] = {
            "live": {"ended_at": None, "is_newest": True, "last_seen_at__gte": idle},
            "open": {"ended_at": None, "is_newest": True},
            "silent": {"ended_at": None, "is_newest": True, "last_seen_at__lt": idle},
            "ended": {"ended_at__isnull": False},
        }
        return queryset.filter(**conditions.get(self.value() or "", {}))


class EdgeFilter(ExactFilter):
    title, parameter_name, field = "edge", "edge", "edge_id"


@admin.register(StreamSession)
class StreamSessionAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "state_shown",
        "orchestrator_link",
        "edge",
        "started",
        "seen",
        "billed",
        "credited",
    )
    list_filter = (StateFilter, ("orchestrator", AutocompleteSelectFilter), EdgeFilter)
    list_select_related = ("orchestrator",)
    search_fields = ("session_id__exact",)
    search_help_text = "Session id"
    date_hierarchy = "started_at"
    ordering = ("-started_at", "-id")

    def listed(self, rows: QuerySet[StreamSession]) -> QuerySet[StreamSession]:
        # Earlier lives of a session id are reached from its newest one; the list's index leaves them out.
        return rows.filter(is_newest=True)

    @admin.display(description="session")
    def name(self, session: StreamSession) -> Html:
        return str(session)

    @admin.display(description="state")
    def state_shown(self, session: StreamSession) -> SafeString:
        return state(session)

    @admin.display(description="orchestrator")
    def orchestrator_link(self, session: StreamSession) -> SafeString:
        return show.link(session.orchestrator)

    @admin.display(description="edge")
    def edge(self, session: StreamSession) -> Html:
        return session.edge_id or show.NOTHING

    @admin.display(description="started")
    def started(self, session: StreamSession) -> SafeString:
        return show.when(session.started_at)

    @admin.display(description="last event")
    def seen(self, session: StreamSession) -> SafeString:
        return show.when(session.last_seen_at)

    @admin.display(description="billed")
    def billed(self, session: StreamSession) -> SafeString:
        return show.duration(session.billed_ms)

    @admin.display(description="credited")
    def credited(self, session: StreamSession) -> SafeString:
        return show.eth(session.billed_wei)

    def headline(self, record: StreamSession) -> Html:
        return format_html(
            "{} {}", state(record), show.link(record.orchestrator) if record.orchestrator else "no host"
        )

    def panels(self, request: HttpRequest, record: StreamSession) -> list[Panel]:
        closed = Segment.objects.filter(session=record).select_related("entry", "orchestrator", "session")
        segments = list(closed.order_by("-segment_index")[:SHOWN])[::-1]
        log = SessionEvent.objects.filter(session_id=record.session_id, generation=record.generation)
        events = list(log.order_by("-id")[:SHOWN])[::-1]
        panels: list[Panel] = [
            _figures(record),
            strip(record, segments),
            _segments(record, segments),
            _timeline(record, events, segments),
            _facts(record),
        ]
        others = list(
            StreamSession.objects.filter(session_id=record.session_id).exclude(pk=record.pk)[:SHOWN]
        )
        return [*panels, _generations(others)] if others else panels


def _figures(session: StreamSession) -> Figures:
    until = session.ended_at or session.last_seen_at
    lasted = int((until - session.started_at) / timedelta(milliseconds=1))
    return Figures(
        [
            Figure(
                "Lasted",
                show.duration(lasted),
                note="until it ended" if session.ended_at else "until the last event",
            ),
            Figure("Billed", show.duration(session.billed_ms), note="in credited segments"),
            Figure("Credited", show.headline_eth(session.billed_wei), note="to the host's account"),
            Figure("Heartbeats", f"{session.heartbeat_count:,}"),
        ]
    )


def _segments(session: StreamSession, segments: list[Segment]) -> Table:
    columns = [
        Column("No."),
        Column("Started"),
        Column("Length"),
        Column("Closed by"),
        Column("Earned by"),
        Column("Credited", number=True),
        Column("Proof hash"),
        Column(""),
    ]
    rows = [
        [
            show.link(segment, str(segment.segment_index)),
            show.at(segment.started_at),
            show.duration(segment.duration_ms),
            segment.get_trigger_display(),
            show.link(segment.orchestrator),
            credit(segment),
            show.digest(segment.proof_hash),
            proof_button(segment),
        ]
        for segment in segments
    ]
    note = f"The latest {SHOWN} segments." if len(segments) == SHOWN else ""
    return Table("Segments", columns, rows, empty="No segment has closed yet.", note=note)


def _timeline(session: StreamSession, events: list[SessionEvent], segments: list[Segment]) -> Timeline:
    dated: list[tuple[datetime, int, Moment]] = []
    for event in events:
        title, icon, tone = EVENTS.get(event.event, (show.words(event.event), "bolt", "calm"))
        late = event.received_at - event.occurred_at
        details = [f"from {event.edge_id}"] if event.edge_id else []
        if late > timedelta(seconds=5):
            details.append(f"arrived {show.duration_text(int(late.total_seconds()) * 1000)} late")
        dated.append(
            (
                event.occurred_at,
                event.event != "start",
                Moment(show.at(event.occurred_at), title, icon, tone, ", ".join(details)),
            )
        )
    for segment in segments:
        title = format_html("Segment {} closed", show.link(segment, str(segment.segment_index)))
        details_html = format_html(
            "<span>{}</span><span>{}</span><span>{}</span>",
            segment.get_trigger_display(),
            show.duration(segment.duration_ms),
            credit(segment),
        )
        icon, tone = ("paid", "info") if segment.entry_id else ("money_off", "warn")
        dated.append(
            (segment.ended_at, 0, Moment(show.at(segment.ended_at), title, icon, tone, details_html))
        )
    if session.heartbeat_count:
        dated.append((session.last_seen_at, -1, _heartbeats(session)))
    dated.sort(key=lambda one: one[:2])
    return Timeline("What happened", [moment for _, _, moment in dated], empty="Nothing recorded.")


def _heartbeats(session: StreamSession) -> Moment:
    """Plain heartbeats leave no row each, so they are one line: how many, and how often."""
    seconds = (session.last_seen_at - session.started_at).total_seconds()
    every = f"one every {seconds / session.heartbeat_count:.0f} s on average" if seconds >= 1 else ""
    title = f"{session.heartbeat_count:,} heartbeats until here"
    return Moment(show.at(session.last_seen_at), title, "favorite", "calm", every)


def _facts(session: StreamSession) -> Facts:
    return Facts(
        "Session",
        [
            ("Session id", show.copyable(session.session_id, what="session id")),
            ("Generation", f"{session.generation}{'' if session.is_newest else ' (an earlier life)'}"),
            ("Orchestrator", show.link(session.orchestrator)),
            ("Edge", session.edge_id or show.NOTHING),
            ("Streamer", session.streamer_id or show.NOTHING),
            ("Upstream", show.code(f"{session.upstream_addr}:{session.upstream_port}")),
            ("Reported by", show.code(session.reported_ip)),
            ("Started", show.at(session.started_at)),
            (
                "Last event",
                format_html("{} {}", show.words(session.last_event), show.when(session.last_seen_at)),
            ),
            ("Received", show.at(session.updated_at)),
            ("Ended", show.at(session.ended_at)),
            ("Open segment since", show.at(session.last_billed_at) if not session.ended_at else show.NOTHING),
        ],
    )


def _generations(others: list[StreamSession]) -> Table:
    return Table(
        "Other lives of this session id",
        [
            Column("Generation"),
            Column("State"),
            Column("Started"),
            Column("Ended"),
            Column("Credited", number=True),
        ],
        [
            [
                show.link(one, str(one.generation)),
                state(one),
                show.at(one.started_at),
                show.at(one.ended_at),
                show.eth(one.billed_wei),
            ]
            for one in others
        ],
        empty="",
    )
