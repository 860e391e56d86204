"""Sliding-window rate limits, shared by all processes through Redis; per process while Redis is down."""

import structlog
from django.conf import settings
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

log = structlog.get_logger(__name__)

_local = MovingWindowRateLimiter(MemoryStorage())
_shared: dict[str, MovingWindowRateLimiter] = {}


def _shared_limiter() -> MovingWindowRateLimiter:
    url = settings.REDIS_URL
    if url not in _shared:
        storage = storage_from_string(url, socket_timeout=0.5, socket_connect_timeout=0.5)
        assert isinstance(storage, Storage)
        _shared[url] = MovingWindowRateLimiter(storage)
    return _shared[url]


def allow(window: str, key: str, limit: int, seconds: int) -> bool:
    """Take one slot in a sliding window of `seconds`; False when `limit` slots are taken."""
    item = RateLimitItemPerSecond(limit, seconds, namespace="limit")
    limiter = _shared_limiter()
    try:
        return limiter.hit(item, window, key)
    except limiter.storage.base_exceptions as unreachable:
        log.warning("ratelimit.local", reason=str(unreachable))
        return _local.hit(item, window, key)
