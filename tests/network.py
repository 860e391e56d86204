"""A small network at work, made by the services that the API calls: what staff pages are tested on."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from billing.models import Orchestrator
from billing.services import adjustments, denylist, tokens
from sessions_app.models import StreamSession
from tests.factories import LeaseFactory, OrchestratorFactory
from tests.sessions_app.edges import incoming, report

EVIL = '<script>alert("x")</script>{{ 7|add:1 }}{% now "Y" %}'
"""An identifier as an attacker would choose it."""


def staff(role: str = "", **facts: Any) -> Client:
    """A browser of somebody with this role; without one, of a superuser."""
    name = role or "root"
    # Nobody types a password here, and hashing one takes longer than most of these tests.
    user = User.objects.create(username=name, is_staff=True, is_superuser=not role, **facts)
    if role:
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def serve(
    host: Orchestrator, name: str, *, minutes: int, until: datetime, ended: bool = True
) -> StreamSession:
    """A session that a host served for some minutes, reported every minute."""
    start = until - timedelta(minutes=minutes)
    facts = {"upstream_addr": host.host_public_ip, "edge_id": "edge-a", "streamer_id": "cam-1"}
    report(incoming(name, "start", at=start, event_id=f"{name}-start", **facts))
    for minute in range(1, minutes):
        report(incoming(name, "heartbeat", at=start + timedelta(minutes=minute), **facts))
    report(incoming(name, "end" if ended else "heartbeat", at=until, **facts))
    return StreamSession.objects.get(session_id=name, is_newest=True)


def adjust(host: Orchestrator, wei: int, *, reason: str = "Goodwill", notes: str = "") -> None:
    with transaction.atomic():
        adjustments.post(
            orchestrator_id=host.orchestrator_id,
            amount_wei=wei,
            reason=reason,
            reference_workload_id=None,
            notes=notes,
            idempotency_key=None,
            actor="anna",
            now=timezone.now(),
        )


def small_network(hosts: int = 3) -> list[Orchestrator]:
    """Hosts with everything that a page may show: sessions, credits, adjustments, tokens, leases."""
    now = timezone.now()
    network = []
    for number in range(hosts):
        host = OrchestratorFactory.create(host_public_ip=f"203.0.113.{number + 1}")
        network.append(host)
        serve(host, f"ended-{number}", minutes=45, until=now - timedelta(minutes=5))
        serve(host, f"live-{number}", minutes=3, until=now, ended=False)
        adjust(host, 10**15, notes="=1+1")
        LeaseFactory.create(orchestrator=host, metadata={"job": {"name": "render", "tags": ["a", None]}})
        with transaction.atomic():
            tokens.mint(host, now=now)
    with transaction.atomic():
        denylist.put_on(orchestrator_pk=network[-1].pk, reason="Fraud", actor="otto", now=now)
    return network


def hostile_network() -> Orchestrator:
    """One host and one session whose every word was chosen by an attacker."""
    now = timezone.now()
    host = OrchestratorFactory.create(
        orchestrator_id=EVIL,
        host_public_ip="203.0.113.66",
        host_name=EVIL,
        capability=EVIL,
        contact_email=EVIL,
        forwarder_data={EVIL: [EVIL, {EVIL: None}]},
    )
    facts = {"upstream_addr": host.host_public_ip, "edge_id": EVIL, "streamer_id": EVIL, "event_id": EVIL}
    report(incoming(EVIL, "start", at=now - timedelta(minutes=2), **facts))
    report(incoming(EVIL, "end", at=now, **{**facts, "event_id": "end"}))
    adjust(host, 10**15, reason=f"={EVIL}", notes=f"@{EVIL}")
    LeaseFactory.create(orchestrator=host, lease_id=EVIL, kind="=cmd()", metadata={EVIL: EVIL})
    return host
