"""Sliding windows, shared by all processes while Redis is up."""

import pytest
import time_machine
from pytest_django import Settings

from core import ratelimit
from core.ratelimit import allow
from tests.factories import NOON


def test_a_window_has_so_many_slots_and_keys_do_not_share_them() -> None:
    assert [allow("test", "a", 2, 60) for _ in range(3)] == [True, True, False]
    assert allow("test", "b", 2, 60)
    assert allow("other", "a", 2, 60)


def test_a_window_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = []
    for seconds in (0, 8, 9, 11, 12, 19):
        with time_machine.travel(NOON.timestamp() + seconds, tick=False):
            allowed.append(allow("test", "a", 2, 10))

    # The slot of second 0 is free again after 10 s, the one of second 8 not before 18.
    assert allowed == [True, True, False, True, False, True]


def test_two_processes_share_their_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert allow("test", "a", 1, 60)
    monkeypatch.setattr(ratelimit, "_shared", {})

    assert not allow("test", "a", 1, 60)


def test_while_redis_is_down_each_process_counts_for_itself(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"

    assert [allow("down", "a", 2, 60) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("key", ["", "a/b", "id:\u20ac", "x" * 128, "a\nb", "{a}", "*"])
def test_a_key_is_any_text(key: str) -> None:
    assert [allow("test", key, 1, 60) for _ in range(2)] == [True, False]
