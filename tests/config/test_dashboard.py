"""The overview: honest numbers, a fixed cost, and a beginning for new installations."""

import html
import re
from collections import Counter
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import Account
from billing.services import dashboard as money
from sessions_app.services import dashboard as life
from tests.factories import OrchestratorFactory
from tests.network import adjust, serve, small_network, staff

pytestmark = pytest.mark.django_db


def numbers(client: Client) -> dict[str, str]:
    return {key: told["text"] for key, told in client.get("/admin/live.json").json().items()}


def test_a_new_installation_is_told_how_to_begin() -> None:
    page = staff("viewer").get("/admin/").content.decode()

    assert "/api/orchestrators/register" in page
    assert "/api/sessions/events" in page
    assert "<canvas" not in page


def test_the_numbers_are_what_the_services_did() -> None:
    small_network(3)

    told = numbers(staff("viewer"))

    owed = sum(int(account.balance or 0) for account in Account.objects.filter(kept=True))
    assert told["live_sessions"] == "3"
    assert told["hosts_online"] == "3"
    assert told["owed"] == f"{owed / 10**18:.8f}".rstrip("0")
    assert told["credited_30"] == told["owed"]
    assert int(told["events_per_minute"]) >= 3


def test_days_and_kinds_add_up_to_the_books() -> None:
    host = OrchestratorFactory.create(host_public_ip="203.0.113.1")
    now = timezone.now()
    serve(host, "old", minutes=50, until=now - timedelta(days=5))
    serve(host, "new", minutes=50, until=now)
    adjust(host, -(10**15))

    everybody = money.credited_per_day(now=now, days=30)
    this_host = money.credited_per_day(now=now, days=30, orchestrator_pk=host.pk)

    assert everybody == this_host
    assert everybody.last(30) == Account.objects.get(orchestrator=host).balance
    assert everybody.by_kind["adjustment"][-1] == -(10**15)
    assert everybody.last(5) < everybody.last(30)
    assert money.top_hosts(now=now, days=7, limit=5) == [
        money.Host(host.pk, host.orchestrator_id, everybody.last(30))
    ]


def test_hours_without_sessions_are_not_left_out() -> None:
    host = OrchestratorFactory.create(host_public_ip="203.0.113.1")
    now = timezone.now()
    serve(host, "s1", minutes=2, until=now - timedelta(hours=5))

    started = life.started_per_hour(now=now, hours=48)

    assert (len(started.hours), sum(started.counts)) == (48, 1)


@pytest.mark.parametrize("role", ["", "viewer", "auditor"])
def test_each_number_links_to_rows_that_exist(role: str) -> None:
    small_network(2)
    client = staff(role)
    page = client.get("/admin/").content.decode()
    links = re.findall(r'<a href="([^"]+)" class="ep-figure"', page)

    assert len(links) >= 4
    for link in links:
        answer = client.get(link.replace("&amp;", "&"))
        assert answer.status_code == 200, link
        assert "No results found" not in answer.content.decode(), link


def test_the_credits_figure_links_to_the_legs_that_it_sums() -> None:
    small_network(2)
    client = staff()
    page = client.get("/admin/").content.decode()
    link = next(
        one for one in re.findall(r'<a href="([^"]+)" class="ep-figure"', page) if "side=credits" in one
    )

    legs = client.get(link.replace("&amp;", "&")).context["cl"].queryset

    owed = sum(int(account.balance or 0) for account in Account.objects.filter(kept=True))
    assert -sum(leg.amount for leg in legs) == owed
    assert set(legs.values_list("account__address", flat=True)) <= set(money.SOURCES)


def test_the_overview_costs_the_same_whatever_there_is(valkey_client: Any) -> None:
    root = staff()

    def cost() -> int:
        valkey_client.flushdb()
        with CaptureQueriesContext(connection) as queries:
            assert root.get("/admin/").status_code == 200
        return len(queries)

    small_network(1)
    few = cost()
    for number in range(12):
        host = OrchestratorFactory.create(host_public_ip=f"198.51.100.{number + 1}")
        serve(host, f"more-{number}", minutes=2, until=timezone.now(), ended=False)

    assert cost() == few


def test_it_works_while_the_cache_is_down(settings: Any) -> None:
    small_network(1)
    client = staff()
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }

    assert client.get("/admin/").status_code == 200
    assert numbers(client)["live_sessions"] == "1"


def test_an_auditor_sees_money_but_no_sessions() -> None:
    small_network(1)

    told = numbers(staff("auditor"))

    assert "owed" in told
    assert "live_sessions" not in told


def test_every_link_of_the_staff_pages_leads_somewhere() -> None:
    """A crawl of everything that a superuser can click, from the overview on."""
    small_network(2)
    serve(OrchestratorFactory.create(host_public_ip="203.0.113.99"), "again", minutes=2, until=timezone.now())
    client = staff()
    seen: Counter[str] = Counter()
    waiting = ["/admin/"]
    while waiting:
        url = waiting.pop()
        answer = client.get(url)
        assert answer.status_code in (200, 302), url
        if answer.status_code == 302 or "text/html" not in answer.headers["Content-Type"]:
            continue
        for found in re.findall(r'<a[^>]* href="([^"#][^"]*)"', answer.content.decode()):
            target = urljoin(url, html.unescape(found))
            seen[_shape(target)] += 1
            if target.startswith("/admin/") and "logout" not in target and seen[_shape(target)] <= 2:
                waiting.append(target)

    assert len(seen) > 60


def _shape(url: str) -> str:
    """What kind of page a link leads to: two of a kind are enough."""
    parts = urlsplit(url)
    return f"{re.sub(r'[0-9]+', 'N', parts.path)}?{sorted(dict(parse_qsl(parts.query)))}"


@pytest.mark.parametrize("path", ["/admin/no/such/page", "/admin/billing/nothing/"])
def test_a_page_that_is_not_there_looks_like_ours(path: str) -> None:
    answer = staff().get(path)

    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


def test_the_root_shows_the_way() -> None:
    page = Client().get("/").content.decode()

    assert 'href="/admin/"' in page
    assert 'href="/api/docs"' in page


def test_admin_without_its_slash_is_found_too() -> None:
    assert Client().get("/admin").headers["Location"] == "/admin/"


def test_what_our_pages_load_comes_from_us_only() -> None:
    small_network(1)
    client = staff()

    for url in ("/admin/", "/admin/billing/orchestrator/", "/admin/login/", "/"):
        page = client.get(url).content.decode()
        assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//', page), url
