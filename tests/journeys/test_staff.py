"""What staff do in a browser, on a real server, with a real Chromium."""

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from billing.models import Orchestrator
from sessions_app.models import Segment, StreamSession
from tests.network import hostile_network, small_network

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def quiet(page: Page, live_server: LiveServer) -> Iterator[Page]:
    """A page on which the browser found nothing to complain about, and loaded nothing from elsewhere."""
    complaints: list[str] = []
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
    page.on(
        "request",
        lambda sent: (
            complaints.append(sent.url) if not sent.url.startswith((live_server.url, "data:")) else None
        ),
    )
    page.on("response", lambda got: complaints.append(got.url) if got.status >= 400 else None)
    yield page
    assert complaints == []


@pytest.fixture
def desk(quiet: Page, live_server: LiveServer) -> Page:
    """Logged in, on the overview."""
    User.objects.create_superuser("root", password="a long word")
    quiet.goto(f"{live_server.url}/admin/")
    quiet.get_by_label("Username").fill("root")
    quiet.get_by_label("Password").fill("a long word")
    quiet.get_by_role("button", name="Log in").click()
    expect(quiet.get_by_role("heading", name="Overview", level=2)).to_be_visible()
    return quiet


@pytest.fixture
def network() -> list[Orchestrator]:
    return small_network(2)


@pytest.mark.usefixtures("network")
def test_the_overview_lives(desk: Page) -> None:
    drawn = desk.locator("canvas[data-chart]")
    expect(drawn).to_have_count(3)
    assert drawn.first.evaluate("canvas => canvas.chart.data.datasets.length > 0")
    assert drawn.first.evaluate(
        "canvas => canvas.chart.options.plugins.tooltip.callbacks.label("
        "{datasetIndex: 0, dataIndex: 29, dataset: {label: 'x'}}).join(' ').includes('wei')"
    )
    expect(desk.locator('[data-live="live_sessions"]')).to_have_text("2")

    StreamSession.objects.filter(session_id="live-0").update(is_newest=True, orchestrator=None)
    StreamSession.objects.create(
        session_id="fresh",
        upstream_addr="203.0.113.1",
        upstream_port=1,
        **dict.fromkeys(("started_at", "last_seen_at", "updated_at", "last_billed_at"), timezone.now()),
        last_event="start",
    )
    expect(desk.locator('[data-live="live_sessions"]')).to_have_text("3", timeout=15_000)


@pytest.mark.usefixtures("network")
def test_the_overview_reads_in_the_dark_and_on_a_phone(desk: Page) -> None:
    desk.emulate_media(color_scheme="dark")
    desk.set_viewport_size({"width": 390, "height": 800})
    desk.reload()

    expect(desk.locator("html")).to_have_class(re.compile("dark"))
    for path in ("", "billing/orchestrator/", "sessions_app/streamsession/", "billing/entry/"):
        desk.goto(f"{desk.url.partition('/admin/')[0]}/admin/{path}")
        assert desk.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_a_chart_is_there_as_a_table_too(desk: Page, network: list[Orchestrator]) -> None:
    desk.reload()
    desk.get_by_text("Show as a table").last.click()

    expect(desk.get_by_role("cell", name=network[0].orchestrator_id)).to_be_visible()


def test_a_token_is_minted_shown_once_and_copied(desk: Page, network: list[Orchestrator]) -> None:
    desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk.get_by_role("link", name="Orchestrators").click()
    desk.get_by_role("link", name=network[0].orchestrator_id, exact=True).click()
    desk.get_by_role("link", name="Mint token").click()
    desk.get_by_label("Reason").fill("A new machine")
    desk.get_by_role("button", name="Mint token").click()

    secret = desk.locator("#secret").inner_text()
    desk.get_by_role("button", name="Copy").click()
    assert desk.evaluate("navigator.clipboard.readText()") == secret
    desk.get_by_role("link", name=re.compile("Back to")).click()
    assert secret not in desk.content()


@pytest.mark.usefixtures("network")
def test_a_proof_is_checked_where_it_stands(desk: Page) -> None:
    segment = Segment.objects.filter(entry__isnull=False).select_related("session").latest("pk")
    desk.goto(f"{desk.url}sessions_app/streamsession/{segment.session.pk}/change/")
    desk.get_by_role("link", name="Check proof").first.click()
    expect(desk.locator("[data-proof]").first).to_have_text("Matches")

    Segment.objects.filter(session=segment.session).update(streamer_id="forged")
    desk.reload()
    desk.get_by_role("link", name="Check proof").first.click()
    expect(desk.locator("[data-proof]").first).to_have_text("Does not match")


def test_an_attackers_names_stay_words(desk: Page) -> None:
    host = hostile_network()
    for path in (
        "",
        f"billing/orchestrator/{host.pk}/change/",
        "sessions_app/streamsession/",
        "billing/entry/",
    ):
        desk.goto(f"{desk.url.partition('/admin/')[0]}/admin/{path}")

    expect(desk.get_by_text('<script>alert("x")</script>').first).to_be_visible()


def test_a_new_installation_greets_with_first_steps(desk: Page) -> None:
    expect(desk.get_by_role("heading", name="Register the first orchestrator")).to_be_visible()
    desk.get_by_role("button", name="Copy the command").first.click()
    expect(desk.locator(".ep-copied")).to_be_visible()
