"""The past, told in batches: what sessions did before the simulator came."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sessions_app.simulation.client import Client
from sessions_app.simulation.visits import Delivery
from sessions_app.simulation.world import Pace, World

BATCH = 1_000


def history(
    world: World, *, since: datetime, now: datetime, pace: Pace
) -> tuple[list[Delivery], list[Delivery]]:
    """The reports of the sessions that began before now: those that are due, and those still to come."""
    visits = world.visits(since, until=now, pace=pace)
    told = sorted(
        (delivery for visit in visits for delivery in visit.deliveries(sparse_until=now)),
        key=lambda delivery: delivery.sent_at,
    )
    due = [delivery for delivery in told if delivery.sent_at < now]
    return due, told[len(due) :]


def tell(client: Client, due: Sequence[Delivery], *, progress: Callable[[int, int], None]) -> int:
    """Report the past. Returns how many events were taken."""
    taken = 0
    for start in range(0, len(due), BATCH):
        taken += client.report_all(due[start : start + BATCH])
        progress(min(start + BATCH, len(due)), len(due))
    return taken
