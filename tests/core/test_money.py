"""Exact money."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import MAX_WEI, cost_wei, eth_from_wei, plain, wei_from_eth, wei_per_minute


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (0, "0"),
        (1, "0.000000000000000001"),
        (-1, "-0.000000000000000001"),
        (30_910_000_000_000, "0.00003091"),
        (-15 * 10**17, "-1.5"),
        (10**18, "1"),
        (1000 * 10**18, "1000"),
        (MAX_WEI, "57896044618658097711785492504343953926634992332820282019728.792003956564819967"),
    ],
)
def test_wei_are_spelled_in_plain_notation(wei: int, text: str) -> None:
    assert eth_from_wei(wei) == text


@given(st.integers(-MAX_WEI - 1, MAX_WEI))
def test_spelling_and_reading_are_inverse(wei: int) -> None:
    assert wei_from_eth(Decimal(eth_from_wei(wei))) == wei


@pytest.mark.parametrize(
    "text", ["1e-19", "0.1234567890123456789", "NaN", "Infinity", "1." + 130 * "0" + "1"]
)
def test_what_is_no_whole_number_of_wei_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"finer than one wei|not a finite amount"):
        wei_from_eth(Decimal(text))


def test_the_contracts_first_segment_earns_what_it_says() -> None:
    assert cost_wei(3091, rate_wei_per_minute=wei_per_minute(Decimal("0.0006"))) == 30_910_000_000_000


@given(st.integers(0, 10**12), st.fractions(0, 10**18))
def test_a_price_is_rounded_down_once(duration_ms: int, rate: Fraction) -> None:
    exact = duration_ms * rate / 60_000

    assert 0 <= exact - cost_wei(duration_ms, rate_wei_per_minute=rate) < 1


@pytest.mark.parametrize(
    ("number", "text"),
    [("0.000005353596", "0.000005353596"), ("1E-7", "0.0000001"), ("10", "10"), ("1.50", "1.5")],
)
def test_rates_are_plain(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text
