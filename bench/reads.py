"""Lists, stats, ledger events and staff pages on large books, and what a web process weighs by then."""

from dataclasses import dataclass
from http.cookies import SimpleCookie
from itertools import repeat
from pathlib import Path

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench import load, programs
from bench.report import Table

MIB = 1024


@dataclass(frozen=True, slots=True)
class Page:
    """A page to read, and whether staff read it in a browser."""

    name: str
    path: str
    for_staff: bool = False


PAGES = (
    Page("sessions, first page", "/api/sessions?limit=200"),
    Page("sessions of one host", "/api/sessions?orchestrator_id=orch-7&limit=200"),
    Page("active sessions", "/api/sessions?active_only=true&limit=200"),
    Page("activity leases", "/api/activity/leases?limit=200"),
    Page("orchestrators", "/api/orchestrators?limit=200"),
    Page("one orchestrator", "/api/orchestrators/orch-7"),
    Page("stats of 30 days", "/api/orchestrators/orch-7/stats"),
    Page("stats of 365 days", "/api/orchestrators/orch-7/stats?days=365"),
    Page("ledger events", "/api/ledger/events?limit=200"),
    Page("ledger events of one host", "/api/ledger/events?orchestrator_id=orch-7&limit=200"),
    Page("dashboard", "/admin/", for_staff=True),
    Page("admin: sessions", "/admin/sessions_app/streamsession/", for_staff=True),
    Page("admin: orchestrators", "/admin/billing/orchestrator/", for_staff=True),
    Page("admin: entries", "/admin/billing/entry/", for_staff=True),
    Page("admin: legs", "/admin/billing/leg/", for_staff=True),
)


def measure(url: str, admin_token: str, *, seconds: float) -> list[Table]:
    """Read every page for a while, one reader at a time, and weigh the processes afterwards."""
    browser = _browser()
    rows = []
    with programs.ours(url) as server:
        for page in PAGES:
            request = load.get(page.path, _headers(page, browser, admin_token))
            load.drive(server.port, repeat(request), connections=1, seconds=0.3).require_success()
            done = load.drive(server.port, repeat(request), connections=1, seconds=seconds)
            done.require_success()
            rows.append(
                (
                    page.name,
                    f"{done.percentile(0.5):.1f}",
                    f"{done.percentile(0.95):.1f}",
                    str(_statements(page, browser, admin_token)),
                )
            )
        weights = [_resident_mib(pid) for pid in server.worker_pids()]
    memory = Table(
        "Resident memory of a web process, after all of the above",
        ("", "MiB"),
        [(f"process {place}", f"{weight:.0f}") for place, weight in enumerate(weights, 1)],
    )
    return [Table("Reading, one reader", ("page", "p50 ms", "p95 ms", "statements"), rows), memory]


def _browser() -> Client:
    """A member of staff, logged in."""
    browser = Client()
    users = get_user_model().objects
    browser.force_login(
        users.filter(username="bench").first() or users.create_superuser("bench"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return browser


def _headers(page: Page, browser: Client, admin_token: str) -> str:
    if not page.for_staff:
        return f"X-Admin-Token: {admin_token}\r\n"
    cookies: SimpleCookie = browser.cookies
    return "Cookie: " + "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items()) + "\r\n"


def _statements(page: Page, browser: Client, admin_token: str) -> int:
    """How many SQL statements a page takes, once it is warm."""
    with CaptureQueriesContext(connection) as captured:
        browser.get(page.path, headers={} if page.for_staff else {"X-Admin-Token": admin_token})
    return len(captured)


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / MIB
