"""The described API, asked with whatever its description allows and much that it does not."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import override_settings
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from config.wsgi import application
from tests.factories import OrchestratorFactory, TokenFactory
from tests.sessions_app.edges import undone

pytestmark = pytest.mark.django_db

# Every secret at once: each endpoint takes the one it asks for.
KEYS = {
    "X-Admin-Token": "test-admin-token",
    "X-Session-Token": "test-reporter-token",
    "Authorization": "Bearer fuzz-token",
}
UNDESCRIBED = frozenset({400, 413, 429})
"""What any endpoint may answer to input that its own description does not speak of."""


# Read while tests are collected, so that each endpoint is a test of its own.
with override_settings(ENABLE_DOCS=True):
    schema = schemathesis.openapi.from_wsgi("/api/schema?format=json", application)


@pytest.fixture(autouse=True)
def _connections_stay() -> Iterator[None]:
    """Django drops old connections at each request, which would end the transaction around the test."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def _hosts() -> None:
    TokenFactory.create(
        orchestrator=OrchestratorFactory.create(orchestrator_id="orch-a"), secret="fuzz-token"
    )


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=timedelta(seconds=5),
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_nothing_that_the_schema_allows_makes_the_server_fail(case: Any) -> None:
    with undone():
        answer = case.call(headers=KEYS)

    case.validate_response(answer, checks=[not_a_server_error])
    if answer.status_code not in UNDESCRIBED:
        case.validate_response(answer, checks=[status_code_conformance, response_schema_conformance])
