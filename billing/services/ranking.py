"""Rank: is an address among the top transcoders that the bonding contract lists?

The set is read from the chain at most once per `TOP_CACHE_TTL_SECONDS` for all processes together. While
it cannot be read, the stale one serves.
"""

import time
from enum import Enum
from typing import Any

import httpx
import structlog
from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from core.db import no_transaction

log = structlog.get_logger(__name__)

MAX_HOPS = 100
READ_BUDGET_SECONDS = 15
PAUSE_BETWEEN_READS_SECONDS = 15
_FIRST, _NEXT = "0x88a6c749", "0x235c9603"
_NOBODY = "0x" + 40 * "0"


class Rank(Enum):
    """What is known about an address."""

    TOP = "in the top set, or rank is not checked"
    OUTSIDE = "not in the top set"
    UNKNOWN = "the top set could not be read"
    NOT_ASKED = "whoever registers may skip the check; what is stored stays"


class ChainUnreadable(Exception):
    """The node did not answer, or not with what the contract's interface promises."""


@no_transaction
def rank_of(address: str) -> Rank:
    """Look an address up in the top set."""
    if not settings.TOP_CONTRACT_ADDRESS:
        return Rank.TOP
    top = _top_set()
    if top is None:
        return Rank.UNKNOWN
    return Rank.TOP if address.lower() in top else Rank.OUTSIDE


def _top_set() -> frozenset[str] | None:
    key = f"ranking:{settings.ETH_CHAIN_ID}:{settings.TOP_CONTRACT_ADDRESS.lower()}"
    known, read_at = _recall(key) or (None, 0.0)
    if known is not None and (time.time() - read_at < settings.TOP_CACHE_TTL_SECONDS or not _may_read(key)):
        return known
    try:
        top = read_top_set(rpc_url=settings.ETH_RPC_URL, contract=settings.TOP_CONTRACT_ADDRESS)
    except ChainUnreadable as problem:
        log.warning("ranking.unreadable", reason=str(problem), stale=known is not None)
        return known
    _remember(key, top)
    return top


def read_top_set(*, rpc_url: str, contract: str) -> frozenset[str]:
    """Walk the pool from its first transcoder, at most 100 hops; the zero address ends it.

    :raises ChainUnreadable: a call failed, or all of them took too long.
    """
    deadline = time.monotonic() + READ_BUDGET_SECONDS
    top: set[str] = set()
    with httpx.Client(timeout=5, trust_env=False) as client:
        address = _call(client, rpc_url, contract, _FIRST)
        while address != _NOBODY and address not in top and len(top) < MAX_HOPS:
            if time.monotonic() > deadline:
                raise ChainUnreadable("reading the pool took too long")
            top.add(address)
            address = _call(client, rpc_url, contract, _NEXT + address.removeprefix("0x").rjust(64, "0"))
    return frozenset(top)


def _call(client: httpx.Client, rpc_url: str, contract: str, data: str) -> str:
    """Call a function that returns one address."""
    request = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "eth_call",
        "params": [{"to": contract, "data": data}, "latest"],
    }
    try:
        response = client.post(rpc_url, json=request).raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as problem:
        raise ChainUnreadable(str(problem) or type(problem).__name__) from problem
    return _address(response)


def _address(response: Any) -> str:
    result = response.get("result") if isinstance(response, dict) else None
    word = result.removeprefix("0x") if isinstance(result, str) else ""
    try:
        number = int(word, 16) if len(word) == 64 else -1
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 160:
        raise ChainUnreadable(f"expected an address, got {str(response)[:200]}")
    return f"0x{number:040x}"


# --- The shared cache; while it is down every check reads the chain -----------------------------------


def _recall(key: str) -> tuple[frozenset[str], float] | None:
    try:
        remembered: tuple[frozenset[str], float] | None = cache.get(key)
    except RedisError:
        return None
    return remembered


def _remember(key: str, top: frozenset[str]) -> None:
    try:
        # Without an end: what is stale still serves while the chain cannot be read.
        cache.set(key, (top, time.time()), timeout=None)
        cache.delete(f"{key}:reading")
    except RedisError as problem:
        log.warning("ranking.not_cached", reason=str(problem))


def _may_read(key: str) -> bool:
    """One process at a time renews the set, and pauses after a failure; the others use the stale one."""
    try:
        pause = min(PAUSE_BETWEEN_READS_SECONDS, settings.TOP_CACHE_TTL_SECONDS)
        return bool(cache.add(f"{key}:reading", 1, timeout=pause))
    except RedisError:
        return True
