"""Rows for tests. Traits are adjectives: `OrchestratorFactory(denylisted=True, cooling_down=True)`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import factory
from django.utils import timezone

from billing.models import Orchestrator, OrchestratorToken
from billing.services import tokens
from sessions_app.models import ActivityLease, StreamSession

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class OrchestratorFactory(factory.django.DjangoModelFactory[Orchestrator]):
    """A registered host that was just heard of."""

    class Meta:
        model = Orchestrator

    class Params:
        cooling_down = factory.Trait(
            cooldown_expires_at=factory.LazyFunction(lambda: timezone.now() + timedelta(hours=1))
        )
        silent = factory.Trait(
            first_seen=NOON - timedelta(days=400),
            last_seen=factory.LazyFunction(lambda: timezone.now() - timedelta(days=1)),
        )

    orchestrator_id = factory.Sequence(lambda number: f"orch-{number}")
    address = factory.Sequence(lambda number: f"0x{number + 1:040x}")
    first_seen = factory.LazyFunction(timezone.now)
    last_seen = factory.LazyFunction(timezone.now)
    registration_count = 1


class TokenFactory(factory.django.DjangoModelFactory[OrchestratorToken]):
    """A live token. Its text is `secret`, by default `secret-<n>`."""

    class Meta:
        model = OrchestratorToken
        exclude = ["secret"]

    class Params:
        revoked = factory.Trait(revoked_at=factory.LazyFunction(timezone.now))
        expired = factory.Trait(
            expires_at=factory.LazyFunction(lambda: timezone.now() - timedelta(seconds=1))
        )

    secret: Any = factory.Sequence(lambda number: f"secret-{number}")
    orchestrator = factory.SubFactory(OrchestratorFactory)
    token_id = factory.Sequence(lambda number: f"{number:032x}")
    token_hash = factory.LazyAttribute(lambda row: tokens.hashed(row.secret.encode()))
    created_at = factory.LazyFunction(timezone.now)


class SessionFactory(factory.django.DjangoModelFactory[StreamSession]):
    """An open session, last heard of just now."""

    class Meta:
        model = StreamSession

    class Params:
        ended = factory.Trait(ended_at=factory.SelfAttribute("last_seen_at"), last_event="end")

    session_id = factory.Sequence(lambda number: f"session-{number}")
    orchestrator = factory.SubFactory(OrchestratorFactory)
    upstream_addr = "203.0.113.11"
    upstream_port = 8080
    last_seen_at = factory.LazyFunction(timezone.now)
    started_at = factory.SelfAttribute("last_seen_at")
    updated_at = factory.SelfAttribute("last_seen_at")
    last_billed_at = factory.SelfAttribute("started_at")
    last_event = "heartbeat"


class LeaseFactory(factory.django.DjangoModelFactory[ActivityLease]):
    """A live activity lease of a quarter of an hour."""

    class Meta:
        model = ActivityLease

    class Params:
        revoked = factory.Trait(revoked_at=factory.SelfAttribute("issued_at"))

    lease_id = factory.Sequence(lambda number: f"{number:032x}")
    orchestrator = factory.SubFactory(OrchestratorFactory)
    upstream_addr = "203.0.113.11"
    kind = "workload"
    issued_at = factory.LazyFunction(timezone.now)
    last_seen_at = factory.SelfAttribute("issued_at")
    expires_at = factory.LazyAttribute(lambda row: row.issued_at + timedelta(minutes=15))
