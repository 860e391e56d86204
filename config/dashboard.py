"""The dashboard: money from the ledger and life from the sessions, on one page.

Every figure is for those who may open the rows behind it, and links to them. Figures are computed at most
every few seconds, whoever looks, in a fixed number of statements.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from billing.models import Kind, Leg, Orchestrator
from billing.services import dashboard as money
from core import display as show
from core.admin.panels import Chart, Figure, Figures, Panel, Series
from core.caching import in_proportion, remembered
from sessions_app.models import StreamSession
from sessions_app.services import dashboard as life

LIVE_SECONDS = 5
CHART_DAYS = 30
CHART_HOURS = 48
TOP_DAYS, TOP_HOSTS = 7, 10

EVENTS_TIP = (
    "Heartbeats at each live session's own average pace, "
    "plus the starts and ends received in the last minute."
)


@dataclass(frozen=True, slots=True)
class Number:
    """A figure before it is drawn: the page draws it, the live JSON repeats it."""

    key: str
    label: str
    value: int
    href: str
    note: str = ""
    tip: str = ""
    is_wei: bool = False

    def drawn(self) -> Figure:
        value = show.headline_eth(self.value) if self.is_wei else f"{self.value:,}"
        return Figure(self.label, value, self.note, self.href, self.tip, live=self.key)

    def told(self) -> dict[str, str]:
        if self.is_wei:
            return {"text": show.headline_text(self.value), "title": f"{self.value:,} wei"}
        return {"text": f"{self.value:,}", "title": ""}


def page(request: HttpRequest, *, now: datetime) -> dict[str, Any]:
    """What the dashboard's template needs."""
    if not _owed(now).known and not life.any_sessions():
        return {"base_url": request.build_absolute_uri("/").rstrip("/")}
    rows = [Figures([number.drawn() for number in row]) for row in _rows(request, now) if row]
    return {
        "panels": [*rows, *_charts(request, now)],
        "live_url": reverse("admin:live"),
        "live_seconds": LIVE_SECONDS,
    }


def live_numbers(request: HttpRequest, *, now: datetime) -> dict[str, dict[str, str]]:
    """The figures as text and hover text, by key."""
    return {number.key: number.told() for row in _rows(request, now) for number in row}


def _rows(request: HttpRequest, now: datetime) -> list[list[Number]]:
    """What is happening now, and what was credited; each for those who may see the rows behind it."""
    present: list[Number] = []
    if request.user.has_perm("sessions_app.view_streamsession"):
        present += _session_numbers(now)
    if request.user.has_perm("billing.view_orchestrator"):
        present += _host_numbers(now)
    return [present, _money_numbers(now) if request.user.has_perm("billing.view_leg") else []]


def _session_numbers(now: datetime) -> list[Number]:
    live = remembered("dashboard:live", 2, lambda: life.live(now=now))
    return [
        Number(
            "live_sessions",
            "Live sessions",
            live.sessions,
            show.list_of(StreamSession, state="live"),
            note=f"on {live.hosts:,} host{'' if live.hosts == 1 else 's'}",
        ),
        Number(
            "events_per_minute",
            "Events per minute",
            live.events_per_minute,
            # Heartbeats have no rows of their own; the sessions that send them have.
            show.list_of(StreamSession, state="live"),
            note="heartbeats, starts, ends",
            tip=EVENTS_TIP,
        ),
    ]


def _host_numbers(now: datetime) -> list[Number]:
    owed = _owed(now)
    return [
        Number(
            "hosts_online",
            "Hosts online",
            owed.online,
            show.list_of(Orchestrator, standing="online"),
            note=f"of {owed.known:,}, heard of within 5 min",
        ),
        Number(
            "owed",
            "Owed in total",
            owed.total_wei,
            show.list_of(Orchestrator, standing="owed"),
            note=f"to {owed.hosts:,} host{'' if owed.hosts == 1 else 's'}",
            is_wei=True,
        ),
    ]


def _money_numbers(now: datetime) -> list[Number]:
    credited = _credited(now)
    windows = (
        (1, "credited_today", "Credited today"),
        (7, "credited_7", "Credited in 7 days"),
        (30, "credited_30", "Credited in 30 days"),
    )
    return [
        Number(
            key,
            label,
            credited.last(days),
            _credit_legs(money.first_moment(now=now, days=days)),
            note="since midnight UTC" if days == 1 else "today included",
            is_wei=True,
        )
        for days, key, label in windows
    ]


def _charts(request: HttpRequest, now: datetime) -> list[Panel]:
    charts: list[Panel] = []
    if request.user.has_perm("billing.view_leg"):
        charts.append(_credited_chart(now))
    if request.user.has_perm("sessions_app.view_streamsession"):
        charts.append(_sessions_chart(now))
    if request.user.has_perm("billing.view_leg") and request.user.has_perm("billing.view_orchestrator"):
        charts.append(_hosts_chart(now))
    return charts


def _credited_chart(now: datetime) -> Chart:
    credited = _credited(now)
    return Chart(
        "credited-per-day",
        f"Credited per day, last {CHART_DAYS} days",
        [f"{day:%-d %b}" for day in credited.days],
        [Series(Kind(kind).label, values) for kind, values in credited.by_kind.items()],
        links=[
            show.list_of(
                Leg,
                side="credits",
                effective_at__gte=f"{day} 00:00:00+00:00",
                effective_at__lt=f"{day + timedelta(days=1)} 00:00:00+00:00",
            )
            for day in credited.days
        ],
        note="What left the platform's accounts for the hosts', by the day on which it was earned.",
    )


def _sessions_chart(now: datetime) -> Chart:
    started = in_proportion("dashboard:started", lambda: life.started_per_hour(now=now, hours=CHART_HOURS))
    return Chart(
        "sessions-per-hour",
        f"Sessions started per hour, last {CHART_HOURS} hours",
        [f"{hour:%a %H:00}" for hour in started.hours],
        [Series("Sessions", started.counts)],
        unit="count",
        links=[
            show.list_of(
                StreamSession,
                started_at__gte=hour.isoformat(),
                started_at__lt=(hour + timedelta(hours=1)).isoformat(),
            )
            for hour in started.hours
        ],
        label_title="Hour (UTC)",
        wide=False,
    )


def _hosts_chart(now: datetime) -> Chart:
    hosts = in_proportion("dashboard:hosts", lambda: money.top_hosts(now=now, days=TOP_DAYS, limit=TOP_HOSTS))
    return Chart(
        "top-hosts",
        f"Top hosts, last {TOP_DAYS} days",
        [host.orchestrator_id for host in hosts],
        [Series("Credited", [host.credited_wei for host in hosts])],
        horizontal=True,
        links=[reverse("admin:billing_orchestrator_change", args=[host.pk]) for host in hosts],
        label_title="Host",
        wide=False,
    )


def _owed(now: datetime) -> money.Owed:
    return remembered("dashboard:owed", LIVE_SECONDS, lambda: money.owed(now=now))


def _credited(now: datetime) -> money.Credited:
    return remembered(
        "dashboard:credited", LIVE_SECONDS, lambda: money.credited_per_day(now=now, days=CHART_DAYS)
    )


def _credit_legs(since: datetime) -> str:
    return show.list_of(Leg, side="credits", effective_at__gte=since.isoformat())
