"""Registration and forwarder health."""

from typing import Annotated

from django.utils import timezone
from pydantic import StringConstraints
from rest_framework.request import Request
from rest_framework.response import Response

from billing.models import Orchestrator
from billing.services import balances, health_reports, ranking, registry
from billing.services.registration import Registration
from core.access import Admin
from core.api import EmbodyView
from core.doorway import doorway
from core.errors import PayloadTooLarge
from core.net import client_ip
from core.openapi import operation
from core.wire import Clean, Done, Eth, Input, JsonObject, OffsetTime, Output, within_object_cap


class RegistrationAnswer(Output):
    """How a registration ended. `address` is spelled as it was sent."""

    orchestrator_id: str
    address: str
    balance_eth: Eth
    eligible_for_payments: bool
    is_top_100: bool
    denylisted: bool
    registration_count: int
    cooldown_expires_at: OffsetTime | None
    message: str
    address_verified: bool


class HealthReport(Input):
    """What a forwarder says about the services of its host; the shape of `data` is the forwarder's own."""

    source: Annotated[str, StringConstraints(max_length=64), Clean] = "forwarder"
    data: JsonObject


class Register(EmbodyView):
    """Joins the registry, or refreshes what it knows. Open to everybody, and limited per id and caller."""

    @operation(
        "register_orchestrator",
        tag="registry",
        summary="Register an orchestrator",
        takes=Registration,
        answers=RegistrationAnswer,
        refusals=registry.REFUSALS,
        example={
            "orchestrator_id": "orch-a",
            "address": "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a",
            "host_public_ip": "203.0.113.10",
            "health_url": "http://203.0.113.10:9090/health",
        },
    )
    def post(self, request: Request) -> Response:
        registration = self.body(Registration)
        caller = client_ip(request.META)
        registry.limit_attempts(orchestrator_id=registration.orchestrator_id, caller=caller)
        rank = ranking.rank_of(registration.address)
        now = timezone.now()
        with doorway():
            registered = registry.register(registration, caller=caller, rank=rank, now=now)
        orchestrator = registered.orchestrator
        in_cooldown = orchestrator.in_cooldown(now=now)
        return Response(
            RegistrationAnswer(
                orchestrator_id=orchestrator.orchestrator_id,
                address=registration.address,
                balance_eth=balances.of_orchestrator(orchestrator.pk),
                eligible_for_payments=orchestrator.is_eligible(now=now),
                is_top_100=orchestrator.is_top_100,
                denylisted=orchestrator.denylisted,
                registration_count=orchestrator.registration_count,
                cooldown_expires_at=orchestrator.cooldown_expires_at if in_cooldown else None,
                message=_message(orchestrator, is_first=registered.is_first, in_cooldown=in_cooldown),
                address_verified=orchestrator.address_verified,
            )
        )


def _message(orchestrator: Orchestrator, *, is_first: bool, in_cooldown: bool) -> str:
    if orchestrator.denylisted:
        return "Registration blocked (address denylisted)"
    message = "Registered orchestrator" if is_first else "Registration refreshed"
    return f"{message} (cooldown active)" if in_cooldown else message


class Health(EmbodyView):
    """Takes the report of the forwarder in front of a host."""

    access = {"POST": Admin}

    @operation(
        "report_orchestrator_health",
        tag="registry",
        summary="Report an orchestrator's health",
        takes=HealthReport,
        answers=Done,
        refusals=[registry.UnknownOrchestrator, PayloadTooLarge],
        example={
            "source": "forwarder",
            "data": {
                "ip": "203.0.113.10",
                "summary": {"services_up": 3, "services_down": 0, "total_services": 3},
            },
        },
    )
    def post(self, request: Request, orchestrator_id: str) -> Response:
        report = self.body(HealthReport)
        data = within_object_cap(report.data)
        with doorway():
            health_reports.store(
                orchestrator_id=orchestrator_id, source=report.source, data=data, now=timezone.now()
            )
        return Response(Done())
