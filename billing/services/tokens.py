"""Orchestrator tokens: minted once, stored as a hash, found by that hash."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from billing.models import Orchestrator, OrchestratorToken
from core.db import transaction_required
from core.errors import DomainError

SEEN_EVERY = timedelta(minutes=1)
"""How often a token's `last_seen_at` moves while it is in use."""


class TokenNotFound(DomainError):
    code, status, detail = "token_not_found", 404, "Token not found"


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token. `secret` is shown once and not stored."""

    token: OrchestratorToken
    secret: str


def hashed(secret: bytes) -> str:
    """How a token is stored."""
    return f"sha256:{hashlib.sha256(secret).hexdigest()}"


@transaction_required
def mint(
    orchestrator: Orchestrator, *, now: datetime, rotate: bool = False, expires_at: datetime | None = None
) -> Minted:
    """Add a token; with `rotate` the orchestrator's other live ones are revoked together with it."""
    if rotate:
        # One rotation at a time: two at once would not see, and so would leave, each other's new token.
        Orchestrator.objects.select_for_update(no_key=True).get(pk=orchestrator.pk)
        orchestrator.tokens.live(now=now).update(revoked_at=now)
    secret = secrets.token_urlsafe(32)
    token = orchestrator.tokens.create(
        token_id=uuid.uuid4().hex, token_hash=hashed(secret.encode()), created_at=now, expires_at=expires_at
    )
    return Minted(token, secret)


@transaction_required
def revoke(orchestrator: Orchestrator, *, token_id: str, now: datetime) -> OrchestratorToken:
    """Revoke one of the orchestrator's tokens; doing it again changes nothing.

    :raises TokenNotFound: no such token, or somebody else's.
    """
    token = orchestrator.tokens.select_for_update().filter(token_id=token_id).first()
    if token is None:
        raise TokenNotFound
    if token.revoked_at is None:
        token.revoked_at = now
        token.save(update_fields=["revoked_at"])
    return token


def find(secret: bytes, *, now: datetime) -> OrchestratorToken | None:
    """The live token with this text, marked as seen, together with its orchestrator.

    The lookup is by hash, so how long it takes tells nothing about how close a guess was.
    """
    token = (
        OrchestratorToken.objects.live(now=now)
        .select_related("orchestrator")
        .filter(token_hash=hashed(secret))
        .first()
    )
    if token is not None and (token.last_seen_at is None or token.last_seen_at <= now - SEEN_EVERY):
        unseen = Q(last_seen_at=None) | Q(last_seen_at__lte=now - SEEN_EVERY)
        OrchestratorToken.objects.filter(unseen, pk=token.pk).update(last_seen_at=now)
    return token
