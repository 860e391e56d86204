"""The parts of a host's page."""

from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.admin import registry, tokens
from billing.models import Account, Kind, Orchestrator, OrchestratorToken, RegistryEvent
from billing.services import dashboard
from core import display as show
from core.admin.panels import Chart, Column, Facts, Figure, Figures, Series, Table
from core.admin.verbs import url_of
from core.display import Html

_ROWS = 10


def eligibility(host: Orchestrator) -> SafeString:
    """Whether payments may go out, and if not, the first reason that forbids them."""
    now = timezone.now()
    if host.denylisted:
        return show.badge("denylisted", "bad", title="On the denylist until staff take it off")
    if host.in_cooldown(now=now):
        assert host.cooldown_expires_at is not None
        return show.badge("cooldown", "warn", title=f"Until {show.exact(host.cooldown_expires_at)}")
    if not host.is_eligible(now=now):
        return show.badge("not in top set", "warn", title=f"Not ranked by {settings.TOP_CONTRACT_ADDRESS}")
    return show.badge("eligible", "good", title="Payments may go out")


def figures_part(
    host: Orchestrator, accounts: Mapping[str, Account], credited: dashboard.Credited
) -> Figures:
    owed, in_flight = accounts.get("owed"), accounts.get("in_flight")
    return Figures(
        [
            Figure(
                "Owed",
                show.headline_eth(owed.balance if owed else 0),
                note="earned and not paid",
                href=show.page_of(owed) if owed else "",
            ),
            Figure(
                "In flight",
                show.headline_eth(in_flight.balance if in_flight else 0),
                note="on its way to the host",
            ),
            Figure("Credited today", show.headline_eth(credited.last(1)), note="since midnight UTC"),
            Figure(
                "Credited in 30 days", show.headline_eth(credited.last(30)), note="by the day it was earned"
            ),
        ]
    )


def identity_part(host: Orchestrator) -> Facts:
    verified = show.badge("verified", "good") if host.address_verified else show.badge("not proven")
    return Facts(
        "Host",
        [
            ("Orchestrator id", show.copyable(host.orchestrator_id, what="orchestrator id")),
            ("Payout address", format_html("{} {}", show.copyable(host.address, what="address"), verified)),
            ("Capability", host.capability or show.NOTHING),
            ("Contact", host.contact_email or show.NOTHING),
            ("Host name", host.host_name or show.NOTHING),
            ("Public IP", show.code(host.host_public_ip)),
            ("Health URL", show.code(host.health_url)),
            ("Monitored services", show.plain(host.monitored_services)),
            (
                "Least uptime",
                f"{host.min_service_uptime:g} %" if host.min_service_uptime is not None else show.NOTHING,
            ),
        ],
    )


def contact_part(host: Orchestrator) -> Facts:
    facts: list[tuple[str, Html]] = [
        ("Payments", eligibility(host)),
        ("Cooldown until", show.at(host.cooldown_expires_at)),
        ("First seen", show.at(host.first_seen)),
        ("Last seen", show.when(host.last_seen)),
        ("Heard through", show.words(host.last_contact_source) if host.last_contact_source else show.NOTHING),
        ("Last seen from", show.code(host.last_seen_ip)),
        ("Last session", show.when(host.last_session_seen_at)),
        ("Last healthy", show.when(host.last_healthy_at)),
        ("Registrations", f"{host.registration_count:,}"),
    ]
    if host.forwarder_data:
        facts.append(("Health report", show.plain(host.forwarder_data)))
    return Facts("Standing and contact", facts)


def chart_part(credited: dashboard.Credited) -> Chart:
    return Chart(
        "credited",
        f"Credited per day, last {len(credited.days)} days",
        [f"{day:%-d %b}" for day in credited.days],
        [Series(Kind(kind).label, values) for kind, values in credited.by_kind.items()],
    )


def tokens_part(request: HttpRequest, host: Orchestrator) -> Table:
    may_revoke = tokens.REVOKE.permitted(request)
    rows = [
        [
            show.link(token),
            tokens.state(token),
            show.when(token.created_at),
            show.when(token.expires_at) if token.expires_at else "never",
            show.when(token.last_seen_at) if token.last_seen_at else "not yet",
            format_html('<a class="ep-link" href="{}">Revoke</a>', url_of(token, tokens.REVOKE))
            if may_revoke and token.revoked_at is None
            else "",
        ]
        for token in host.tokens.all()[:_ROWS]
    ]
    columns = [Column(title) for title in ("Token", "State", "Created", "Expires", "Last used", "")]
    more = show.list_of(OrchestratorToken, orchestrator__id__exact=host.pk)
    return Table("Tokens", columns, rows, empty="No token was ever minted for this host.", more=more)


def registry_part(host: Orchestrator) -> Table:
    events = RegistryEvent.objects.filter(orchestrator_id=host.orchestrator_id)[:_ROWS]
    return Table(
        "Registry log",
        [Column("Event"), Column("Details"), Column("When")],
        [
            [registry.event_badge(event), registry.summary(event), show.at(event.recorded_at)]
            for event in events
        ],
        empty="Nothing recorded yet.",
        more=show.list_of(RegistryEvent, orchestrator_id=host.orchestrator_id),
    )
