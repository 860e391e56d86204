"""Start-up registrations: orchestrators that the configuration names."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from pydantic import ValidationError

from billing.models import Orchestrator
from billing.services import ranking, registry
from billing.services.ranking import Rank
from billing.services.registration import Registration
from core.db import no_transaction
from core.doorway import doorway
from core.errors import DomainError

log = structlog.get_logger(__name__)


@no_transaction
def run(*, now: datetime) -> int:
    """Flag denylisted orchestrators and register the configured ones; returns how many were registered.

    Safe to run at every start: whoever is registered with these values already is left alone, so that a
    restart is not taken for a sign of life. A bad entry is logged and skipped.
    """
    with doorway():
        flagged = registry.flag_denylisted()
    if flagged:
        log.warning("bootstrap.denylisted", orchestrators=flagged)
    taken: set[str] = set()
    registered = 0
    for source, entry, may_skip_rank in _entries():
        registration = _parse(source, entry)
        if registration is None:
            continue
        names = {f"id {registration.orchestrator_id}", f"address {registration.address.lower()}"}
        if names & taken:
            log.warning("bootstrap.duplicate", source=source, orchestrator_id=registration.orchestrator_id)
            continue
        taken |= names
        registered += _register(source, registration, may_skip_rank=may_skip_rank, now=now)
    return registered


def _register(source: str, registration: Registration, *, may_skip_rank: bool, now: datetime) -> bool:
    if _is_known(registration):
        return False
    rank = Rank.NOT_ASKED if may_skip_rank else ranking.rank_of(registration.address)
    try:
        with doorway():
            registry.register(registration, caller=None, rank=rank, now=now)
    except DomainError as refusal:
        log.warning(
            "bootstrap.refused",
            source=source,
            orchestrator_id=registration.orchestrator_id,
            reason=refusal.detail,
        )
        return False
    log.info("bootstrap.registered", source=source, orchestrator_id=registration.orchestrator_id)
    return True


def _is_known(registration: Registration) -> bool:
    """Whether this registration would change nothing but counters and times."""
    stored = Orchestrator.objects.filter(orchestrator_id=registration.orchestrator_id).first()
    if stored is None or stored.address != registration.address:
        return False
    proves_more = registration.signature is not None and not stored.address_verified
    return not proves_more and all(getattr(stored, name) == value for name, value in registration.sent())


# --- Where entries come from: single mode, then inline, then the file ------------------------------------


def _entries() -> Iterator[tuple[str, Any, bool]]:
    """Source, raw entry, and whether it may skip the rank check."""
    if settings.SINGLE_ORCHESTRATOR_MODE:
        single = {"min_service_uptime": settings.DEFAULT_MIN_SERVICE_UPTIME, **settings.SINGLE_ORCHESTRATOR}
        yield "single mode", {name: value for name, value in single.items() if value != ""}, True
    skip = settings.BOOTSTRAP_SKIP_RANK_VALIDATION
    for entry in _read("PAYMENTS_BOOTSTRAP_ORCHESTRATORS", settings.BOOTSTRAP_ORCHESTRATORS):
        yield "environment", entry, skip
    for entry in _read(settings.BOOTSTRAP_ORCHESTRATORS_PATH, _file(settings.BOOTSTRAP_ORCHESTRATORS_PATH)):
        yield "file", entry, skip


def _file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as problem:
        log.warning("bootstrap.unreadable", source=path, reason=str(problem))
        return ""


def _read(name: str, text: str) -> list[Any]:
    """A list of entries, one entry, or entries by id."""
    if not text.strip():
        return []
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as problem:
        log.warning("bootstrap.unreadable", source=name, reason=str(problem))
        return []
    if isinstance(data, dict):
        if isinstance(data.get("orchestrator_id"), str):
            return [data]
        return [
            {"orchestrator_id": key, **entry} if isinstance(entry, dict) else entry
            for key, entry in data.items()
        ]
    return data if isinstance(data, list) else [data]


def _parse(source: str, entry: Any) -> Registration | None:
    try:
        return Registration.model_validate(entry)
    except ValidationError as error:
        named = entry.get("orchestrator_id") if isinstance(entry, dict) else None
        log.warning(
            "bootstrap.invalid",
            source=source,
            orchestrator_id=named,
            problems=error.errors(include_url=False, include_input=False, include_context=False),
        )
        return None
