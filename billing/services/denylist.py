"""The denylist flag of a host: sticky, cleared by staff only, each change with a reason and an actor."""

from datetime import datetime

from billing.models import Orchestrator
from billing.services import registry_log
from core.db import transaction_required
from core.errors import DomainError


class AlreadyDenylisted(DomainError):
    code, status, detail = "already_denylisted", 409, "Already on the denylist"


class NotDenylisted(DomainError):
    code, status, detail = "not_denylisted", 409, "Not on the denylist"


@transaction_required
def put_on(*, orchestrator_pk: int, reason: str, actor: str, now: datetime) -> None:
    """Stop crediting and paying a host.

    :raises AlreadyDenylisted: it is flagged already.
    """
    if not _flag(orchestrator_pk, denylisted=True):
        raise AlreadyDenylisted
    _record("denylisted", orchestrator_pk, reason=reason, actor=actor, now=now)


@transaction_required
def take_off(*, orchestrator_pk: int, reason: str, actor: str, now: datetime) -> None:
    """Credit a host again from now on; what it served while flagged stays uncredited.

    A host whose address is still listed in `PAYMENTS_ADDRESS_DENYLIST` is flagged again at the next start.

    :raises NotDenylisted: it is not flagged.
    """
    if not _flag(orchestrator_pk, denylisted=False):
        raise NotDenylisted
    _record("denylist_cleared", orchestrator_pk, reason=reason, actor=actor, now=now)


def _flag(orchestrator_pk: int, *, denylisted: bool) -> bool:
    """Compare and set: of two people at once, one is told that it was done already."""
    flagged = Orchestrator.objects.filter(pk=orchestrator_pk, denylisted=not denylisted)
    return flagged.update(denylisted=denylisted) == 1


def _record(event: str, orchestrator_pk: int, *, reason: str, actor: str, now: datetime) -> None:
    host = Orchestrator.objects.values_list("orchestrator_id", flat=True).get(pk=orchestrator_pk)
    registry_log.record(event, orchestrator_id=host, now=now, reason=reason, actor=actor)
