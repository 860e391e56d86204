"""Values worth remembering for some seconds in the shared cache, which may be down."""

import time
from collections.abc import Callable
from typing import TypeVar, cast

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)
T = TypeVar("T")

SHORTEST, LONGEST = 5, 300
_SHARE = 2_000


def remembered(key: str, seconds: int, compute: Callable[[], T]) -> T:
    """The value under `key`, computed again after `seconds`; without the cache it is computed each time."""
    return _remembered(key, lambda took: seconds, compute)


def in_proportion(key: str, compute: Callable[[], T]) -> T:
    """The value under `key`, remembered the longer the more it cost: 5 s up to 5 min.

    Computing it takes at most a two-thousandth of the time, so what is cheap while an installation is
    young is fresh, and what has become expensive does not make every page slow.
    """
    return _remembered(key, lambda took: round(min(max(took * _SHARE, SHORTEST), LONGEST)), compute)


def _remembered(key: str, seconds: Callable[[float], int], compute: Callable[[], T]) -> T:
    try:
        found = cache.get(key)
    except RedisError as unreachable:
        log.warning("cache.unreachable", reason=str(unreachable))
        return compute()
    if found is not None:
        return cast(T, found)
    started = time.perf_counter()
    value = compute()
    took = time.perf_counter() - started
    try:
        cache.set(key, value, seconds(took))
    except RedisError as unreachable:
        log.warning("cache.unreachable", reason=str(unreachable))
    return value
