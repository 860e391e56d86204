"""Prices of metered time: exact rates, whole wei, rounded down once."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from billing.services import rates
from tests.billing.books import NOON


def price(milliseconds: int, meter: rates.Meter = "session") -> int:
    ended_at = NOON + timedelta(milliseconds=milliseconds)
    return rates.price(meter, started_at=NOON, ended_at=ended_at, duration_ms=milliseconds)


def test_the_contracts_vector() -> None:
    assert price(3_091) == 30_910_000_000_000


def test_a_rate_may_be_finer_than_a_wei_and_is_not_rounded(settings: Settings) -> None:
    settings.SESSION_CREDIT_ETH_PER_MINUTE = Decimal("0.0000000000000000015")  # one and a half wei

    assert rates.session_rate() == Fraction(3, 2)
    assert [price(60_000 * minutes) for minutes in (1, 2, 3)] == [1, 3, 4]


def test_passive_time_has_a_rate_of_its_own(settings: Settings) -> None:
    settings.PASSIVE_CREDIT_ETH_PER_MINUTE = Decimal("0.0001")

    assert price(60_000, "passive") == 10**14
    assert price(60_000) == 6 * 10**14


def test_without_a_rate_time_is_worth_nothing(settings: Settings) -> None:
    settings.SESSION_CREDIT_ETH_PER_MINUTE = Decimal(0)

    assert price(2_400_000) == 0


@given(parts=st.lists(st.integers(1, 10**9), min_size=1, max_size=10))
def test_cutting_time_into_segments_never_earns_more(parts: list[int]) -> None:
    apart, together = sum(price(part) for part in parts), price(sum(parts))

    assert together - len(parts) < apart <= together


def test_time_that_runs_backwards_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="forwards"):
        rates.price("session", started_at=NOON, ended_at=NOON - timedelta(seconds=1), duration_ms=1)
