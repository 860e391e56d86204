"""How values look on staff pages."""

from datetime import UTC, datetime, timedelta

import pytest

from core import display as show

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wei", "shown"),
    [
        (0, "0"),
        (1, "<0.00000001"),
        (-1, ">-0.00000001"),
        (30_910_000_000_000, "0.00003091"),
        (24 * 10**15, "0.024"),
        (10**18, "1"),
        (1_234_567 * 10**18 + 5 * 10**17, "1,234,567.5"),
        (-3 * 10**15, "\N{MINUS SIGN}0.003"),
        (123_456_789_999_999_999, "0.12345678"),
    ],
)
def test_amounts_are_short_and_never_rounded_up(wei: int, shown: str) -> None:
    assert show.eth_text(wei) == shown


def test_the_exact_wei_is_there_on_hover() -> None:
    assert 'title="123,456,789,999,999,999 wei"' in show.eth(123_456_789_999_999_999)


def test_a_figure_of_a_whole_ether_has_four_decimals() -> None:
    assert show.headline_text(22_447_800_730_000_000_000) == "22.4478"
    assert show.headline_text(30_910_000_000_000) == "0.00003091"


def test_what_moved_has_a_sign() -> None:
    assert "+0.001" in show.moved(10**15, "ETH")
    assert "+12" in show.moved(12, "CREDIT")
    assert "\N{MINUS SIGN}0.001" in show.moved(-(10**15), "ETH")


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(seconds=0.4), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=5, seconds=59), "5 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=400), "400 d ago"),
        (-timedelta(minutes=2), "in 2 min"),
    ],
)
def test_instants_are_told_from_now(ago: timedelta, shown: str) -> None:
    assert show.relative(NOON - ago, now=NOON) == shown


def test_an_instant_carries_its_exact_utc() -> None:
    assert 'title="2026-11-20 12:00:00.000001 UTC"' in show.when(NOON + timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(3_091, "3.091 s"), (2_400_000, "40 min 00 s"), (3_900_000, "1 h 05 min"), (200_000_000, "2 d 07 h")],
)
def test_durations_are_told_in_two_units(milliseconds: int, shown: str) -> None:
    assert show.duration_text(milliseconds) == shown


def test_json_is_told_without_its_punctuation() -> None:
    told = show.plain({"segment_start": None, "tags": ["a", True], "empty": {}, "duration_ms": "12"})

    assert "Segment start" in told
    assert "Duration (ms)" in told
    assert "yes" in told
    assert "None" not in told
    assert "{" not in told


def test_what_came_from_outside_is_escaped() -> None:
    evil = "<script>"
    drawn = [
        show.plain({evil: [evil]}),
        show.code(evil),
        show.copyable(evil),
        show.badge(evil),
        show.address(evil),
    ]

    assert not any("<script>" in one for one in drawn)


def test_the_wires_own_reasons_are_spelled_out_and_free_text_is_kept() -> None:
    assert show.reason("session_time") == "Session time"
    assert show.reason("paid twice, see #12") == "paid twice, see #12"
