"""Remembering values in the shared cache."""

import time
from itertools import count

import pytest
from django.core.cache import cache

from core import caching
from core.caching import in_proportion, remembered


def test_a_value_is_computed_once_while_it_is_remembered() -> None:
    numbers = count(1)

    assert [remembered("key", 60, lambda: next(numbers)) for _ in range(3)] == [1, 1, 1]


def dear() -> int:
    time.sleep(0.05)
    return 1


def test_what_is_cheap_is_forgotten_soon_and_what_is_dear_is_kept() -> None:
    in_proportion("cheap", lambda: 1)
    in_proportion("dear", dear)

    assert cache._cache.get_client().ttl(cache.make_key("cheap")) <= caching.SHORTEST  # type: ignore[attr-defined]
    assert cache._cache.get_client().ttl(cache.make_key("dear")) > 90  # type: ignore[attr-defined]


@pytest.mark.usefixtures("unreachable_cache")
def test_without_the_cache_it_is_computed_each_time() -> None:
    assert [remembered("key", 60, lambda: 7) for _ in range(2)] == [7, 7]


@pytest.fixture
def unreachable_cache(settings: pytest.FixtureRequest) -> None:
    settings.CACHES = {  # type: ignore[attr-defined]
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
