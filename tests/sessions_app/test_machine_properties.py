"""Whatever edges send, in whatever order and however often: the credit of the contract's arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.models import Orchestrator
from core.errors import DomainError
from core.money import wei_per_minute
from sessions_app.models import Segment
from sessions_app.services.engine import Incoming
from tests.sessions_app.contract import Contract
from tests.sessions_app.edges import (
    NOON,
    assert_books_hold,
    host,
    incoming,
    owed,
    report,
    report_all,
    rows,
    undone,
)

pytestmark = pytest.mark.django_db
quickly = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # Shrinking a failure against a database takes minutes.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MICROSECOND = timedelta(microseconds=1)

# The third host moves between addresses that are nobody's public one.
HOSTS = {"orch-a": "192.0.2.1", "orch-b": "2001:db8::2", "orch-c": None}
STEPS = [
    0,
    1,
    999,
    1000,
    7_000_000,
    15_500_123,
    59_999_999,
    60_000_000,
    180_000_000,
    180_000_001,
    700_000_000,
]


@dataclass(frozen=True)
class World:
    """The settings of one example."""

    segment_s: int
    gap_s: int
    rate: Decimal

    @contextmanager
    def settled(self) -> Iterator[Contract]:
        """An empty database with the hosts, and the contract's opinion of them."""
        with (
            undone(),
            override_settings(
                SESSION_SEGMENT_SECONDS=self.segment_s,
                SESSION_MAX_GAP_SECONDS=self.gap_s,
                SESSION_CREDIT_ETH_PER_MINUTE=self.rate,
            ),
        ):
            # The same row numbers in each world, so that two worlds can be compared.
            for number, (name, address) in enumerate(HOSTS.items(), 1_000_000):
                host(name, address, pk=number)
            yield Contract(
                dict(HOSTS), segment_s=self.segment_s, gap_s=self.gap_s, rate=wei_per_minute(self.rate)
            )


worlds = st.builds(
    World,
    segment_s=st.sampled_from([60, 120, 2400]),
    gap_s=st.sampled_from([180, 180, 0]),
    rate=st.sampled_from(
        [Decimal("0.0006"), Decimal("0.000005353596"), Decimal("3.1E-19"), Decimal("7E-16"), Decimal(0)]
    ),
)


@st.composite
def places(draw: st.DrawFn, session: int) -> dict[str, str | None]:
    """Where an event comes from: a host by address, by name or by both, an own corner, or nowhere."""
    name, address = draw(st.sampled_from(list(HOSTS.items())))
    corner = f"203.0.113.{session}"
    return draw(
        st.sampled_from(
            [
                {"orchestrator_id": name, "upstream_addr": address or corner},
                {"orchestrator_id": None, "upstream_addr": address or corner},
                {"orchestrator_id": "never-registered", "upstream_addr": address or corner},
                {"orchestrator_id": name, "upstream_addr": None},
                {"orchestrator_id": None, "upstream_addr": corner},
                {"orchestrator_id": None, "upstream_addr": None},
            ]
        )
    )


@st.composite
def streams(draw: st.DrawFn) -> list[Incoming]:
    """What really happened, in the order of time, with an event id for each."""
    at, stream = NOON, []
    for number in range(draw(st.integers(1, 14))):
        at += MICROSECOND * draw(st.sampled_from(STEPS))
        session = draw(st.integers(0, 2))
        stream.append(
            incoming(
                f"s{session}",
                draw(st.sampled_from(["start", "heartbeat", "heartbeat", "heartbeat", "end"])),
                at=at,
                edge_id=draw(st.sampled_from([None, "edge-a", "edge-b"])),
                streamer_id=draw(st.sampled_from([None, None, "cam-1", "cam-2"])),
                upstream_port=draw(st.sampled_from([8080, 8888])),
                event_id=f"e{number}",
                **draw(places(session)),
            )
        )
    return stream


@st.composite
def deliveries(draw: st.DrawFn) -> list[Incoming]:
    """The same, as the network delivers it: some late, some twice, some never, some without their id."""
    happened = draw(streams())
    late = draw(st.lists(st.sampled_from([0, 0, 0, 2, 5]), min_size=len(happened), max_size=len(happened)))
    twice = draw(st.lists(st.sampled_from([0, 1, 1, 1, 2]), min_size=len(happened), max_size=len(happened)))
    order = sorted(range(len(happened)), key=lambda number: number + late[number])
    delivered = [happened[number] for number in order for _ in range(twice[number])]
    again = draw(st.lists(st.sampled_from(delivered), max_size=4)) if delivered else []
    return [replace(event, event_id=None) if draw(st.booleans()) else event for event in delivered] + again


def said(event: Incoming) -> dict[str, Any]:
    return {
        **{name: getattr(event, name) for name in Incoming.__slots__},
        "at": (event.at - NOON) // MICROSECOND,
    }


def spelled(result: Any) -> Any:
    """An answer of the product, in the contract model's terms."""
    if isinstance(result, DomainError):
        return result.detail
    columns = dict(result)
    del columns["updated_at"]
    return {
        name: (value - NOON) // MICROSECOND if isinstance(value, datetime) else value
        for name, value in columns.items()
    }


def segments() -> list[tuple[Any, ...]]:
    return [
        (
            segment.session.session_id,
            segment.session.generation,
            segment.segment_index,
            segment.orchestrator.orchestrator_id if segment.orchestrator else None,
            (segment.started_at - NOON) // MICROSECOND,
            (segment.ended_at - NOON) // MICROSECOND,
            segment.duration_ms,
            segment.trigger,
            segment.amount_wei,
            segment.edge_id,
            segment.streamer_id,
        )
        for segment in Segment.objects.select_related("session", "orchestrator").order_by("id")
    ]


@given(world=worlds, delivered=deliveries(), denylisted=st.booleans())
@quickly
def test_every_delivery_ends_in_the_credit_that_the_contract_gives(
    world: World, delivered: list[Incoming], denylisted: bool
) -> None:
    with world.settled() as contract:
        if denylisted:
            Orchestrator.objects.filter(orchestrator_id="orch-b").update(denylisted=True)
            contract.denylisted.add("orch-b")

        for event in delivered:
            assert spelled(report(event)) == contract.report(said(event))

        assert segments() == contract.segments
        assert {each.orchestrator_id: owed(each) for each in Orchestrator.objects.all()} == contract.earned
        assert_books_hold()


@given(world=worlds, delivered=deliveries())
@quickly
def test_replaying_everything_with_event_ids_changes_nothing(world: World, delivered: list[Incoming]) -> None:
    # A refused event leaves nothing behind; sent again it may find its host known by then.
    accepted = [event for event in delivered if event.upstream_addr]
    named = [replace(event, event_id=f"n{number}") for number, event in enumerate(accepted)]
    with world.settled():
        first = [report(event) for event in named]
        before = rows()

        again = [report(event, now=event.at + timedelta(days=1)) for event in named]

        assert [spelled(result) for result in again] == [spelled(result) for result in first]
        assert rows() == before


@st.composite
def partitions(draw: st.DrawFn) -> list[list[Incoming]]:
    """Deliveries cut into batches; some events are timed by their receipt, which a batch shares."""
    delivered = draw(deliveries())
    batches: list[list[Incoming]] = [[]]
    for event in delivered:
        exact = draw(st.sampled_from([True, True, False]))
        batches[-1].append(replace(event, exact=exact))
        if draw(st.integers(0, 3)) == 0:
            batches.append([])
    now = NOON
    for batch in batches:
        now = max([now, *(event.at for event in batch)])
        batch[:] = [event if event.exact else replace(event, at=now) for event in batch]
    return [batch for batch in batches if batch]


@given(world=worlds, batches=partitions())
@quickly
def test_batches_do_what_their_events_do_one_by_one(world: World, batches: list[list[Incoming]]) -> None:
    times = [max(event.at for event in batch) for batch in batches]
    nows = [max(times[: number + 1]) for number in range(len(times))]
    with world.settled():
        one_by_one = [
            spelled(report(event, now=now))
            for batch, now in zip(batches, nows, strict=True)
            for event in batch
        ]
        expected = rows()
    with world.settled():
        together = [
            spelled(result)
            for batch, now in zip(batches, nows, strict=True)
            for result in report_all(*batch, now=now)
        ]
        found = rows()
        assert_books_hold()

    assert together == one_by_one
    assert found == expected
