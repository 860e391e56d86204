"""Values worth remembering for some seconds in the shared cache, which may be down."""

from collections.abc import Callable
from typing import TypeVar, cast

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)
T = TypeVar("T")


def remembered(key: str, seconds: int, compute: Callable[[], T]) -> T:
    """The value under `key`, computed again after `seconds`; without the cache it is computed each time."""
    try:
        found = cache.get(key)
    except RedisError as unreachable:
        log.warning("cache.unreachable", reason=str(unreachable))
        return compute()
    if found is not None:
        return cast(T, found)
    value = compute()
    try:
        cache.set(key, value, seconds)
    except RedisError as unreachable:
        log.warning("cache.unreachable", reason=str(unreachable))
    return value
