"""Billed segments and the events of sessions, as staff read them; and the check of a segment's proof."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from billing.admin.entries import EntryAdmin
from billing.models import Entry
from core import display as show
from core.admin import ReadOnlyAdmin
from core.admin.lists import ExactFilter
from core.admin.panels import Facts, Panel
from core.display import Html
from sessions_app.admin.states import credit
from sessions_app.models import Segment, SessionEvent, StreamSession
from sessions_app.services import proving


def proof_button(segment: Segment) -> SafeString:
    """A link to the proof; the page's script checks it in place."""
    if not segment.proof_hash:
        return show.NOTHING
    url = reverse("admin:sessions_app_segment_proof", args=[segment.pk])
    return format_html('<a class="ep-button ep-small ep-proof" data-proof href="{}">Check proof</a>', url)


class CreditFilter(admin.SimpleListFilter):
    title, parameter_name = "credit", "credit"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("credited", "Credited"), ("not", "Not credited")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Segment]) -> QuerySet[Segment]:
        missing = {"credited": False, "not": True}.get(self.value() or "")
        return queryset if missing is None else queryset.filter(entry__isnull=missing)


@admin.register(Segment)
class SegmentAdmin(ReadOnlyAdmin):
    list_display = ("name", "orchestrator_link", "closed_by", "started", "length", "credit_shown", "proof")
    list_filter = (CreditFilter, ("orchestrator", AutocompleteSelectFilter))
    list_select_related = ("session", "orchestrator", "entry")
    search_fields = ("session__session_id__exact",)
    search_help_text = "Session id"
    ordering = ("-id",)

    @admin.display(description="segment")
    def name(self, segment: Segment) -> Html:
        return f"{segment.session} · {segment.segment_index}"

    @admin.display(description="orchestrator")
    def orchestrator_link(self, segment: Segment) -> SafeString:
        return show.link(segment.orchestrator)

    @admin.display(description="closed by")
    def closed_by(self, segment: Segment) -> Html:
        return segment.get_trigger_display()

    @admin.display(description="started")
    def started(self, segment: Segment) -> SafeString:
        return show.when(segment.started_at)

    @admin.display(description="length")
    def length(self, segment: Segment) -> SafeString:
        return show.duration(segment.duration_ms)

    @admin.display(description="credited")
    def credit_shown(self, segment: Segment) -> SafeString:
        return credit(segment)

    @admin.display(description="proof")
    def proof(self, segment: Segment) -> SafeString:
        return show.digest(segment.proof_hash)

    def headline(self, record: Segment) -> Html:
        return credit(record)

    def panels(self, request: HttpRequest, record: Segment) -> list[Panel]:
        return [_facts(record), _proof(record)]

    def get_urls(self) -> list[URLPattern]:
        proof = self.route("<path:object_id>/proof/", self.proof_view, "proof")
        return [proof, *super().get_urls()]

    def proof_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The proof recomputed: JSON for the page's script, the segment's page for people."""
        segment = self.get_object(request, unquote(object_id))
        if segment is None:
            raise Http404
        if not self.has_view_permission(request, segment):
            raise PermissionDenied
        if not request.accepts("text/html"):
            proof = proving.prove(segment)
            return JsonResponse(
                {"matches": proof.matches, "stored": proof.stored, "recomputed": proof.recomputed}
            )
        return self.change_view(request, object_id)


def _facts(segment: Segment) -> Facts:
    return Facts(
        "Segment",
        [
            ("Session", show.link(segment.session)),
            ("Number", str(segment.segment_index)),
            ("Orchestrator", show.link(segment.orchestrator)),
            ("Started", show.at(segment.started_at)),
            ("Ended", show.at(segment.ended_at)),
            ("Length", show.duration(segment.duration_ms)),
            ("Closed by", segment.get_trigger_display()),
            ("Edge", segment.edge_id or show.NOTHING),
            ("Streamer", segment.streamer_id or show.NOTHING),
            ("Credited", credit(segment)),
        ],
    )


def _proof(segment: Segment) -> Facts:
    proof = proving.prove(segment)
    if segment.proof_hash is None:
        return Facts("Proof", [("Result", "No host was known for this segment, so nothing was proven.")])
    verdict = show.badge("matches", "good") if proof.matches else show.badge("does not match", "bad")
    return Facts(
        "Proof",
        [
            ("Result", verdict),
            ("Stored when it closed", show.copyable(proof.stored, what="proof hash")),
            ("Recomputed now", show.copyable(proof.recomputed, what="proof hash")),
            ("What is hashed", "The facts of this segment, as canonical JSON, with SHA-256."),
        ],
    )


def behind(request: HttpRequest, entry: Entry) -> list[Panel]:
    """On an entry's page: the segment that it credits."""
    if not request.user.has_perm("sessions_app.view_segment"):
        return []
    segment = Segment.objects.filter(entry=entry).select_related("session", "orchestrator").first()
    return [] if segment is None else [_facts(segment)]


EntryAdmin.more_panels.append(behind)


class SessionIdFilter(ExactFilter):
    title, parameter_name, field = "session id", "session_id", "session_id"


@admin.register(SessionEvent)
class SessionEventAdmin(ReadOnlyAdmin):
    list_display = ("event_shown", "session_id", "generation", "edge", "occurred", "received")
    list_filter = (SessionIdFilter,)
    search_fields = ("session_id__exact",)
    search_help_text = "Session id"
    date_hierarchy = "received_at"
    ordering = ("-received_at", "-id")

    @admin.display(description="event")
    def event_shown(self, event: SessionEvent) -> Html:
        return show.words(event.event)

    @admin.display(description="edge")
    def edge(self, event: SessionEvent) -> Html:
        return event.edge_id or show.NOTHING

    @admin.display(description="occurred")
    def occurred(self, event: SessionEvent) -> SafeString:
        return show.when(event.occurred_at)

    @admin.display(description="received")
    def received(self, event: SessionEvent) -> SafeString:
        return show.when(event.received_at)

    def panels(self, request: HttpRequest, record: SessionEvent) -> list[Panel]:
        session = StreamSession.objects.filter(
            session_id=record.session_id, generation=record.generation
        ).first()
        return [
            Facts(
                "Event",
                [
                    ("Event", show.words(record.event)),
                    ("Session", show.link(session) if session else show.code(record.session_id)),
                    ("Generation", str(record.generation)),
                    ("Event id", show.copyable(record.event_id, what="event id")),
                    ("Edge", record.edge_id or show.NOTHING),
                    ("Occurred", show.at(record.occurred_at)),
                    ("Received", show.at(record.received_at)),
                ],
                wide=True,
            )
        ]
