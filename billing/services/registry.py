"""Registration: who may join the registry, under which id, address and host address."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from billing.models import Orchestrator
from billing.services import registry_log, wallet
from billing.services.ranking import Rank
from billing.services.registration import Registration
from core.db import transaction_required
from core.errors import DomainError, RateLimited, RecordedRefusal
from core.locks import lock_names
from core.net import host_ip
from core.ratelimit import allow


class TooManyRegistrations(RateLimited):
    code, detail = "too_many_registrations", "Too many registration attempts; slow down"


class AddressDenylisted(RecordedRefusal):
    code, status, detail = "address_denylisted", 403, "Address is denylisted and cannot register"


class SignatureMismatch(DomainError):
    code, status, detail = "signature_mismatch", 403, "Signature does not match address"


class OutsideTopSet(DomainError):
    code, status = "outside_top_set", 403
    detail = "Address is not part of the current top orchestrators"


class RankUnknown(DomainError):
    code, status, detail = "rank_unknown", 503, "Unable to validate orchestrator rank at this time"


class AddressTaken(DomainError):
    code, status, detail = "address_taken", 409, "Address already registered to a different orchestrator"


class AddressChanged(DomainError):
    code, status = "address_changed", 409
    detail = "Existing orchestrator attempted to change address; this is not allowed"


class HostTaken(DomainError):
    code, status = "host_taken", 409
    detail = "host_public_ip already registered to a different orchestrator"


class UnknownOrchestrator(DomainError):
    code, status, detail = "unknown_orchestrator", 404, "Unknown orchestrator"


REFUSALS: tuple[type[DomainError], ...] = (
    TooManyRegistrations,
    AddressDenylisted,
    SignatureMismatch,
    OutsideTopSet,
    RankUnknown,
    AddressTaken,
    AddressChanged,
    HostTaken,
)


@dataclass(frozen=True, slots=True)
class Registered:
    """A stored registration, and whether it was the first of its id."""

    orchestrator: Orchestrator
    is_first: bool


def limit_attempts(*, orchestrator_id: str, caller: str | None) -> None:
    """Count a registration attempt, per id and then per caller.

    :raises TooManyRegistrations: a window is full. Windows tested before it have lost a slot all the same.
    """
    for key in (f"id:{orchestrator_id}", f"ip:{caller}"):
        in_time = allow("registration-minute", key, settings.REGISTRATION_PER_MINUTE, 60)
        if not (in_time and allow("registration-burst", key, settings.REGISTRATION_BURST, 10)):
            raise TooManyRegistrations


@transaction_required
def register(registration: Registration, *, caller: str | None, rank: Rank, now: datetime) -> Registered:
    """Add an orchestrator to the registry, or refresh what is known about it.

    The caller's transaction keeps what was written before an `AddressDenylisted` rises (`core.doorway`).

    :param caller: the normalised address of whoever registers, if known.
    :param rank: what `ranking.rank_of` found, before the transaction began.
    :raises DomainError: one of `REFUSALS`.
    """
    # Who claims the same id, address or host takes turns, so that the checks below see each other's work.
    lock_names(
        f"orchestrator id {registration.orchestrator_id}",
        f"orchestrator address {registration.address.lower()}",
        f"orchestrator host {registration.host_public_ip}" if registration.host_public_ip else "",
    )
    _refuse_denylisted(registration, now=now)
    _refuse_foreign_signature(registration)
    _refuse_rank(rank)
    orchestrator = _claim(registration)
    is_first = orchestrator is None
    if orchestrator is None:
        orchestrator = Orchestrator(orchestrator_id=registration.orchestrator_id, first_seen=now)
    _merge(orchestrator, registration, caller=caller, rank=rank, now=now)
    orchestrator.save()
    registry_log.record(
        "register",
        orchestrator_id=orchestrator.orchestrator_id,
        now=now,
        address=orchestrator.address,
        first_registration=is_first,
        registration_count=orchestrator.registration_count,
        is_top_100=orchestrator.is_top_100,
        eligible_for_payments=orchestrator.is_eligible(now=now),
        denylisted=orchestrator.denylisted,
    )
    return Registered(orchestrator, is_first)


def find(orchestrator_id: str) -> Orchestrator:
    """Look an orchestrator up by its id on the wire.

    :raises UnknownOrchestrator: nobody is registered under it.
    """
    orchestrator = Orchestrator.objects.filter(orchestrator_id=orchestrator_id).first()
    if orchestrator is None:
        raise UnknownOrchestrator
    return orchestrator


def flag_denylisted() -> int:
    """Flag every stored orchestrator whose address is on the denylist. Only staff take the flag away."""
    listed = Orchestrator.objects.with_addresses(settings.ADDRESS_DENYLIST)
    return listed.filter(denylisted=False).update(denylisted=True)


def _refuse_denylisted(registration: Registration, *, now: datetime) -> None:
    if registration.address.lower() not in settings.ADDRESS_DENYLIST:
        return
    # The address is what is listed, so its owner is flagged: a caller who names somebody else's id
    # together with a listed address must not get that id blocked.
    Orchestrator.objects.with_address(registration.address).update(denylisted=True, last_seen=now)
    registry_log.record(
        "register_denied",
        orchestrator_id=registration.orchestrator_id,
        now=now,
        address=registration.address,
        reason="denylisted",
    )
    raise AddressDenylisted


def _refuse_foreign_signature(registration: Registration) -> None:
    if registration.signature is None:
        return
    text = wallet.registration_text(
        orchestrator_id=registration.orchestrator_id,
        address=registration.address,
        chain_id=settings.ETH_CHAIN_ID,
    )
    if not wallet.is_signed_by(registration.address, text=text, signature=registration.signature):
        raise SignatureMismatch


def _refuse_rank(rank: Rank) -> None:
    if rank is Rank.OUTSIDE:
        raise OutsideTopSet
    if rank is Rank.UNKNOWN:
        raise RankUnknown


def _claim(registration: Registration) -> Orchestrator | None:
    """The stored orchestrator that this registration is about, locked; None for a new one."""
    claims = Orchestrator.objects.claiming(
        orchestrator_id=registration.orchestrator_id,
        address=registration.address,
        host_public_ip=registration.host_public_ip,
    )
    rows = list(claims.select_for_update(no_key=True))
    others = [row for row in rows if row.orchestrator_id != registration.orchestrator_id]
    if any(row.address.lower() == registration.address.lower() for row in others):
        raise AddressTaken
    known = next((row for row in rows if row not in others), None)
    if known is not None and known.address.lower() != registration.address.lower():
        raise AddressChanged
    if others:
        raise HostTaken
    return known


def _merge(
    orchestrator: Orchestrator, registration: Registration, *, caller: str | None, rank: Rank, now: datetime
) -> None:
    """A value sent replaces the stored one; absent or blank keeps it."""
    for name, value in registration.sent():
        setattr(orchestrator, name, value)
    orchestrator.address = registration.address
    orchestrator.address_verified |= registration.signature is not None
    if registration.health_url is not None:
        orchestrator.health_ip = host_ip(registration.health_url)
    if registration.services_healthy:
        orchestrator.last_healthy_at = now
    if rank is not Rank.NOT_ASKED:
        orchestrator.is_top_100 = True
    orchestrator.last_seen_ip = caller or registration.host_public_ip or orchestrator.last_seen_ip
    orchestrator.last_seen = now
    orchestrator.registration_count += 1
