"""Session and lease rows for tests. Traits are adjectives: `SessionFactory(ended=True)`."""

from datetime import timedelta

import factory
from django.utils import timezone

from sessions_app.models import ActivityLease, StreamSession
from tests.factories import OrchestratorFactory


class SessionFactory(factory.django.DjangoModelFactory[StreamSession]):
    """An open session that was just heard of."""

    class Meta:
        model = StreamSession

    class Params:
        ended = factory.Trait(
            ended_at=factory.SelfAttribute("last_seen_at"),
            ended_seen_at=factory.SelfAttribute("last_seen_at"),
            last_event="end",
        )
        superseded = factory.Trait(
            is_newest=False,
            ended_at=factory.SelfAttribute("last_seen_at"),
            ended_seen_at=factory.SelfAttribute("last_seen_at"),
        )

    session_id = factory.Sequence(lambda number: f"s{number}")
    orchestrator = factory.SubFactory(OrchestratorFactory)
    upstream_addr = "203.0.113.7"
    upstream_port = 8080
    edge_id = "edge-a"
    started_at = factory.LazyAttribute(lambda row: row.last_seen_at - timedelta(minutes=5))
    last_seen_at = factory.LazyFunction(timezone.now)
    updated_at = factory.SelfAttribute("last_seen_at")
    last_billed_at = factory.SelfAttribute("started_at")
    last_event = "heartbeat"
    reported_ip = "198.51.100.7"


class LeaseFactory(factory.django.DjangoModelFactory[ActivityLease]):
    """A live lease."""

    class Meta:
        model = ActivityLease

    class Params:
        expired = factory.Trait(expires_at=factory.LazyFunction(timezone.now))
        revoked = factory.Trait(revoked_at=factory.LazyFunction(timezone.now))

    lease_id = factory.Sequence(lambda number: f"{number:032x}")
    orchestrator = factory.SubFactory(OrchestratorFactory)
    upstream_addr = "203.0.113.7"
    kind = "workload"
    issued_at = factory.SelfAttribute("last_seen_at")
    last_seen_at = factory.LazyFunction(timezone.now)
    expires_at = factory.LazyAttribute(lambda row: row.last_seen_at + timedelta(minutes=15))
