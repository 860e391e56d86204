"""The staff pages of sessions: what happened, what was credited, and whether the proofs hold."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import Orchestrator
from sessions_app.admin.strip import WIDTH, strip
from sessions_app.models import ActivityLease, Segment, SessionEvent, StreamSession
from tests.factories import LeaseFactory, OrchestratorFactory
from tests.network import EVIL, hostile_network, serve, small_network, staff
from tests.sessions_app.edges import incoming, report

pytestmark = pytest.mark.django_db
LISTS = ["streamsession", "segment", "sessionevent", "activitylease"]
SESSIONS = "/admin/sessions_app/streamsession/"


@pytest.fixture
def host() -> Orchestrator:
    return OrchestratorFactory.create(orchestrator_id="orch-a", host_public_ip="203.0.113.1")


def page_of(client: Client, session: StreamSession) -> str:
    return client.get(f"{SESSIONS}{session.pk}/change/").content.decode()


def test_a_session_tells_its_story_in_order(host: Orchestrator) -> None:
    session = serve(host, "s1", minutes=45, until=timezone.now())

    page = page_of(staff("viewer"), session)
    story = page[page.index("What happened") :]

    told = ["Started", "Segment", "Full length", "44 heartbeats until here", "Session ended", "Ended"]
    places = [story.index(words) for words in told]
    assert places == sorted(places)


def test_each_segment_links_to_its_entry(host: Orchestrator) -> None:
    session = serve(host, "s1", minutes=45, until=timezone.now())

    page = page_of(staff("viewer"), session)

    segments = list(session.segments.all())
    assert len(segments) == 2
    for segment in segments:
        assert f'href="/admin/billing/entry/{segment.entry_id}/change/"' in page


def test_a_segment_that_is_not_credited_says_why() -> None:
    denied = OrchestratorFactory.create(denylisted=True, host_public_ip="203.0.113.1")
    session = serve(denied, "s1", minutes=2, until=timezone.now())

    assert 'title="The host is denylisted"' in page_of(staff("viewer"), session)


def test_late_events_say_how_late_they_came(host: Orchestrator) -> None:
    at = timezone.now() - timedelta(hours=1)
    report(incoming("s1", "start", at=at, upstream_addr=host.host_public_ip), now=at + timedelta(minutes=2))

    assert "arrived 2 min 00 s late" in page_of(staff("viewer"), StreamSession.objects.get())


def test_the_drawing_is_to_scale_and_stays_on_its_line(host: Orchestrator) -> None:
    session = serve(host, "s1", minutes=50, until=timezone.now(), ended=False)

    drawn = strip(session, list(session.segments.all()))

    full, rest = drawn.bars
    assert (full.x, full.width, full.look) == (0, WIDTH * 40 // 50, "credited")
    assert (rest.x, rest.x + rest.width, rest.look) == (full.width, WIDTH, "open")


def test_a_session_of_no_length_can_be_drawn(host: Orchestrator) -> None:
    report(incoming("s1", "end", at=timezone.now(), upstream_addr=host.host_public_ip))

    assert page_of(staff("viewer"), StreamSession.objects.get())


def test_earlier_lives_are_reached_from_the_newest(host: Orchestrator) -> None:
    now = timezone.now()
    serve(host, "s1", minutes=2, until=now - timedelta(hours=1))
    newest = serve(host, "s1", minutes=2, until=now)
    first = StreamSession.objects.get(generation=1)
    root = staff("viewer")

    assert f"{SESSIONS}{first.pk}/change/" in page_of(root, newest)
    assert "earlier life" in page_of(root, first)
    assert f"{SESSIONS}{first.pk}/change/" not in root.get(SESSIONS).content.decode()


# --- Proofs ---------------------------------------------------------------------------------------


def test_a_proof_is_recomputed_and_matches(host: Orchestrator) -> None:
    segment = serve(host, "s1", minutes=2, until=timezone.now()).segments.get()

    answer = staff("viewer").get(
        f"/admin/sessions_app/segment/{segment.pk}/proof/", headers={"Accept": "application/json"}
    )

    assert answer.json() == {
        "matches": True,
        "stored": segment.proof_hash,
        "recomputed": segment.proof_hash,
    }


def test_a_segment_that_was_tampered_with_does_not_match(host: Orchestrator) -> None:
    segment = serve(host, "s1", minutes=2, until=timezone.now()).segments.get()
    Segment.objects.filter(pk=segment.pk).update(edge_id="edge-forged")
    url = f"/admin/sessions_app/segment/{segment.pk}/proof/"
    viewer = staff("viewer")

    assert viewer.get(url, headers={"Accept": "application/json"}).json()["matches"] is False
    assert "does not match" in viewer.get(url, headers={"Accept": "text/html"}).content.decode()


def test_a_segment_without_a_host_has_no_proof() -> None:
    report(incoming("s1", "start", at=timezone.now() - timedelta(minutes=2), upstream_addr="192.0.2.77"))
    report(incoming("s1", "end", at=timezone.now(), upstream_addr="192.0.2.77"))
    segment = Segment.objects.get()
    viewer = staff("viewer")

    assert segment.proof_hash is None
    assert (
        "nothing was proven"
        in viewer.get(f"/admin/sessions_app/segment/{segment.pk}/change/").content.decode()
    )
    assert "Check proof" not in page_of(viewer, segment.session)


def test_the_proof_of_no_segment_is_not_found() -> None:
    assert staff("viewer").get("/admin/sessions_app/segment/1/proof/").status_code == 404


def test_proofs_are_for_those_who_may_see_segments(host: Orchestrator) -> None:
    segment = serve(host, "s1", minutes=2, until=timezone.now()).segments.get()

    assert staff("auditor").get(f"/admin/sessions_app/segment/{segment.pk}/proof/").status_code == 403


# --- Leases ---------------------------------------------------------------------------------------


def test_a_lease_is_revoked() -> None:
    lease = LeaseFactory.create()

    staff("operator").post(f"/admin/sessions_app/activitylease/{lease.pk}/revoke/", {"reason": "Stuck job"})

    lease.refresh_from_db()
    assert lease.revoked_at is not None


# --- Lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", LISTS)
def test_a_list_costs_the_same_whatever_it_shows(model: str, host: Orchestrator) -> None:
    root = staff()

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert root.get(f"/admin/sessions_app/{model}/").status_code == 200
        return len(queries)

    def more(first: int, last: int) -> None:
        for number in range(first, last):
            serve(host, f"s{number}", minutes=2, until=timezone.now())
            LeaseFactory.create(orchestrator=host)

    more(0, 5)
    few = cost()
    more(5, 50)

    assert cost() == few


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("state=live", {"live-0"}),
        ("state=open", {"live-0", "silent"}),
        ("state=silent", {"silent"}),
        ("state=ended", {"ended-0"}),
        ("edge=edge-b", {"silent"}),
        ("edge=none", set()),
        ("edge=%00", set()),
        ("q=ended-0", {"ended-0"}),
        ("", {"live-0", "silent", "ended-0"}),
    ],
)
def test_sessions_are_filtered(query: str, shown: set[str]) -> None:
    small_network(1)
    report(incoming("silent", "start", at=timezone.now() - timedelta(minutes=10), edge_id="edge-b"))

    page = staff("viewer").get(f"{SESSIONS}?{query}").content.decode()

    assert {name for name in ("live-0", "silent", "ended-0") if f">{name}</a>" in page} == shown


def test_nothing_an_attacker_chose_becomes_markup() -> None:
    hostile_network()
    root = staff()
    session = StreamSession.objects.get(session_id=EVIL)
    records = {
        "streamsession": session.pk,
        "segment": session.segments.get().pk,
        "sessionevent": SessionEvent.objects.first().pk,  # type: ignore[union-attr]
        "activitylease": ActivityLease.objects.get().pk,
    }

    for model, pk in records.items():
        for url in (f"/admin/sessions_app/{model}/", f"/admin/sessions_app/{model}/{pk}/change/"):
            page = root.get(url).content.decode()
            assert "<script>alert(" not in page, url
            assert "&lt;script&gt;" in page, url
            assert "{{ 7|add:1 }}" in page, url
