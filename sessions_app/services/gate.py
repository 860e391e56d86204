"""The `awake` half of the credit gate: asks a host, right now, whether it is awake."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

from django.core.cache import cache
from pydantic_core import from_json
from redis.exceptions import RedisError

from billing.models import Orchestrator
from core import outbound
from core.db import no_transaction

POWER_PORT = 9090
CONNECT_SECONDS, TOTAL_SECONDS = 0.5, 1.0
CACHED_SECONDS = 5
AT_ONCE = 64
"""Hosts asked at the same time: a full batch of dead ones is over in seconds."""


def awake(orchestrator: Orchestrator) -> bool:
    """Whether a host says that it is awake; silence and any other word mean no."""
    return probe_many([orchestrator])[orchestrator.pk]


def ask(pks: Collection[int]) -> dict[int, bool]:
    """Whether the orchestrators with these primary keys are awake, one answer for each."""
    hosts = list(Orchestrator.objects.filter(pk__in=pks))
    return dict.fromkeys(pks, False) | probe_many(hosts)


@no_transaction
def probe_many(orchestrators: Sequence[Orchestrator]) -> dict[int, bool]:
    """Ask many hosts at once whether they are awake, by primary key. An answer holds for five seconds."""
    known = _remembered([orchestrator.pk for orchestrator in orchestrators])
    unknown = [orchestrator for orchestrator in orchestrators if orchestrator.pk not in known]
    if not unknown:
        return known
    with ThreadPoolExecutor(min(AT_ONCE, len(unknown)), thread_name_prefix="awake") as pool:
        states = pool.map(_is_awake, [power_host(orchestrator) for orchestrator in unknown])
        fresh = {orchestrator.pk: state for orchestrator, state in zip(unknown, states, strict=True)}
    _remember(fresh)
    return known | fresh


def power_host(orchestrator: Orchestrator) -> str | None:
    """Where an orchestrator answers about its power: host of its health URL, else its known addresses."""
    with suppress(ValueError):
        if orchestrator.health_url and (host := urlsplit(orchestrator.health_url).hostname):
            return host
    return orchestrator.host_public_ip or orchestrator.last_seen_ip


def _is_awake(host: str | None) -> bool:
    if host is None:
        return False
    bracketed = f"[{host}]" if ":" in host else host
    try:
        answer = outbound.get(
            f"http://{bracketed}:{POWER_PORT}/power",
            connect_seconds=CONNECT_SECONDS,
            total_seconds=TOTAL_SECONDS,
        )
        report = from_json(answer.body) if answer.status == 200 else None
    except (outbound.OutboundFailed, ValueError):
        return False
    state = report.get("state") if isinstance(report, dict) else None
    return isinstance(state, str) and state.strip().lower() == "awake"


# --- The shared cache, which may be down: then every call asks the host ----------------------------


def _remembered(pks: Sequence[int]) -> dict[int, bool]:
    keys = {f"awake:{pk}": pk for pk in pks}
    with suppress(RedisError):
        return {keys[key]: state for key, state in cache.get_many(keys).items()}
    return {}


def _remember(states: dict[int, bool]) -> None:
    with suppress(RedisError):
        cache.set_many({f"awake:{pk}": state for pk, state in states.items()}, CACHED_SECONDS)
