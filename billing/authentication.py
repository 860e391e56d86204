"""Orchestrators prove who they are with a token of theirs."""

from typing import cast

from django.utils import timezone
from rest_framework.request import Request

from billing.models import Orchestrator
from billing.models import OrchestratorToken as Token
from billing.services import tokens
from core.access import BEARER, AccessClass, AccessDenied, api_key, bearer


def calling_orchestrator(request: Request) -> Orchestrator:
    """Who calls an endpoint whose access class is `OrchestratorToken`."""
    # DRF's types know only Django's users.
    return cast(Orchestrator, request.user)


class OrchestratorToken(AccessClass):
    """The `orch` access class: `request.user` becomes the orchestrator.

    A missing, unknown, revoked and expired token are told alike.
    """

    headers = {"OrchestratorBearer": BEARER, "OrchestratorToken": api_key("X-Orchestrator-Token")}

    def authenticate(self, request: Request) -> tuple[Orchestrator, Token]:
        given = bearer(request.META) or str(request.META.get("HTTP_X_ORCHESTRATOR_TOKEN", "")).strip()
        # WSGI hands header bytes over as Latin-1 text.
        secret = given.encode("latin-1", "replace")
        token = tokens.find(secret, now=timezone.now()) if secret else None
        if token is None:
            raise AccessDenied("Orchestrator token required")
        return token.orchestrator, token
