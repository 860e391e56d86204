"""Every endpoint against its own description: whatever is sent, the answer is one that was promised."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as effort
from hypothesis.errors import Unsatisfiable
from pytest_django import Settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.transport.wsgi import WSGI_TRANSPORT

from config.wsgi import application
from tests.factories import OrchestratorFactory, TokenFactory

pytestmark = pytest.mark.django_db

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
HEADERS = {
    "X-Admin-Token": "test-admin-token",
    "X-Session-Token": "test-reporter-token",
    "Authorization": "Bearer sesame",
}


def _operations() -> list[Any]:
    described = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    schema: Any = schemathesis.openapi.from_dict(json.loads(json.dumps(described, default=str)))
    return [operation.ok() for operation in schema.get_all_operations()]


OPERATIONS = _operations()


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """The test's transaction lives on one connection, which requests must not close behind it."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=["described", "not-described"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.label for operation in OPERATIONS])
def test_an_endpoint_keeps_what_its_description_promises(
    operation: Any, mode: GenerationMode, settings: Settings
) -> None:
    settings.REGISTRATION_PER_MINUTE = settings.REGISTRATION_BURST = 10_000
    TokenFactory.create(secret="sesame", orchestrator=OrchestratorFactory.create(orchestrator_id="0"))

    @effort(
        max_examples=25,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def attack(case: Any) -> None:
        response = WSGI_TRANSPORT.send(case, app=application, headers=HEADERS)
        case.validate_response(response, checks=CHECKS)

    try:
        attack()
    except Unsatisfiable:
        # An endpoint that takes nothing cannot be sent anything that it does not take.
        assert mode is GenerationMode.NEGATIVE
