"""What served time is worth: rates in wei per minute, and the price of an interval."""

from datetime import datetime
from fractions import Fraction
from typing import Literal

from django.conf import settings

from core.money import cost_wei, wei_per_minute

Meter = Literal["session", "passive"]
"""What is metered: time in which a session was served, or time in which a host merely stayed awake."""


def session_rate() -> Fraction:
    """Wei per minute of served session time. Exact, and may be finer than one wei."""
    return wei_per_minute(settings.SESSION_CREDIT_ETH_PER_MINUTE)


def passive_rate() -> Fraction:
    """Wei per minute of being awake."""
    return wei_per_minute(settings.PASSIVE_CREDIT_ETH_PER_MINUTE)


def price(meter: Meter, *, started_at: datetime, ended_at: datetime, duration_ms: int) -> int:
    """Price `duration_ms` of metered time inside the interval, in whole wei, rounded down once.

    The interval says which rate counts. Rates come from the environment and hold for all time, so here
    any interval is priced alike; callers give it all the same, because a price belongs to a moment.
    """
    assert started_at <= ended_at, "time is metered forwards"
    rate = session_rate() if meter == "session" else passive_rate()
    return cost_wei(duration_ms, rate_wei_per_minute=rate)
