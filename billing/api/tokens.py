"""Tokens of orchestrators: minting, listing, revoking."""

from datetime import datetime
from typing import Annotated

from django.db.models import Q
from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from billing.models import OrchestratorToken
from billing.services import registry, tokens
from core import pages
from core.access import Admin
from core.api import EmbodyView
from core.doorway import doorway
from core.openapi import operation
from core.wire import Done, Input, Output, Text, ZuluTime


class Rotation(Input):
    """Whether the orchestrator's other live tokens are revoked."""

    rotate: bool = False


class TokenPage(Input):
    """Which page of a list. Without `limit` everything is shown."""

    limit: Annotated[int, Field(ge=1, le=2000)] | None = None
    cursor: Text | None = None


class MintedToken(Output):
    """A new token. `token` is shown this once."""

    token_id: str
    token: str
    expires_at: ZuluTime | None


class TokenRecord(Output):
    """A token without its secret."""

    token_id: str
    orchestrator_id: str
    created_at: ZuluTime
    expires_at: ZuluTime | None
    revoked_at: ZuluTime | None
    last_seen_at: ZuluTime | None


class TokenList(Output):
    """Tokens, newest first."""

    tokens: list[TokenRecord]
    next_cursor: str | None


class Tokens(EmbodyView):
    """The tokens of one orchestrator."""

    access = {"POST": Admin, "GET": Admin}

    @operation(
        "mint_orchestrator_token",
        tag="tokens",
        summary="Mint a token",
        takes=Rotation,
        query=Rotation,
        answers=MintedToken,
        refusals=[registry.UnknownOrchestrator],
        example={"rotate": True},
    )
    def post(self, request: Request, orchestrator_id: str) -> Response:
        rotate = self.query(Rotation).rotate or self.optional_body(Rotation).rotate
        with doorway():
            orchestrator = registry.find(orchestrator_id)
            minted = tokens.mint(orchestrator, rotate=rotate, now=timezone.now())
        return Response(
            MintedToken(
                token_id=minted.token.token_id, token=minted.secret, expires_at=minted.token.expires_at
            )
        )

    @operation(
        "list_orchestrator_tokens",
        tag="tokens",
        summary="List tokens",
        query=TokenPage,
        answers=TokenList,
        refusals=[pages.InvalidCursor, registry.UnknownOrchestrator],
    )
    def get(self, request: Request, orchestrator_id: str) -> Response:
        query = self.query(TokenPage)
        filters = {"list": "tokens", "orchestrator_id": orchestrator_id}
        after = pages.decode(query.cursor, filters)
        rows = registry.find(orchestrator_id).tokens.order_by("-created_at", "-id")
        if after is not None:
            created_at, pk = datetime.fromisoformat(after[0]), after[1]
            rows = rows.filter(Q(created_at__lt=created_at) | Q(created_at=created_at, id__lt=pk))
        if query.limit is not None:
            rows = rows[: query.limit + 1]
        shown, cursor = pages.page(list(rows), limit=query.limit, key=_key, filters=filters)
        records = [_record(token, orchestrator_id) for token in shown]
        return Response(TokenList(tokens=records, next_cursor=cursor))


class Token(EmbodyView):
    """One token."""

    access = {"DELETE": Admin}

    @operation(
        "revoke_orchestrator_token",
        tag="tokens",
        summary="Revoke a token",
        answers=Done,
        refusals=[registry.UnknownOrchestrator, tokens.TokenNotFound],
    )
    def delete(self, request: Request, orchestrator_id: str, token_id: str) -> Response:
        with doorway():
            tokens.revoke(registry.find(orchestrator_id), token_id=token_id, now=timezone.now())
        return Response(Done())


def _key(token: OrchestratorToken) -> tuple[str, int]:
    return token.created_at.isoformat(), token.pk


def _record(token: OrchestratorToken, orchestrator_id: str) -> TokenRecord:
    return TokenRecord(
        token_id=token.token_id,
        orchestrator_id=orchestrator_id,
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        last_seen_at=token.last_seen_at,
    )
