"""Forwarder health reports and what they prove."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction

from billing.models import Orchestrator
from billing.services.contact import record_contact
from tests.factories import NOON, OrchestratorFactory
from tests.wire import ADMIN, VIEWER, Answer, post

pytestmark = pytest.mark.django_db
PATH = "/api/orchestrators/orch-a/health"
LONG_AGO = NOON - timedelta(days=1)


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def orchestrator() -> Orchestrator:
    return OrchestratorFactory.create(
        orchestrator_id="orch-a", last_seen=LONG_AGO, last_seen_ip="203.0.113.1"
    )


def report(body: Any) -> Answer:
    return post(PATH, body, headers=ADMIN)


def test_a_report_replaces_the_one_before(orchestrator: Orchestrator) -> None:
    report({"source": "old", "data": {"ip": "203.0.113.2"}})

    answer = report({"data": {"summary": {"services_up": 0}, "note": "é", "ratio": 0.1}})

    orchestrator.refresh_from_db()
    assert (answer.status, answer.json) == (200, {"ok": True})
    assert orchestrator.forwarder_source == "forwarder"
    assert orchestrator.forwarder_reported_at == NOON
    assert orchestrator.forwarder_data == {"summary": {"services_up": 0}, "note": "é", "ratio": 0.1}
    assert orchestrator.forwarder_ip is None


def test_a_service_that_is_up_is_contact_and_health(orchestrator: Orchestrator) -> None:
    report({"source": "watcher", "data": {"ip": "::FFFF:203.0.113.2", "summary": {"services_up": 2}}})

    orchestrator.refresh_from_db()
    assert (orchestrator.last_seen, orchestrator.last_healthy_at) == (NOON, NOON)
    assert orchestrator.last_contact_source == "watcher"
    assert orchestrator.last_seen_ip == orchestrator.forwarder_ip == "203.0.113.2"


@pytest.mark.parametrize("services_up", [0, -1, True, 1.5, "3", None, [1]])
def test_anything_but_an_integer_above_zero_is_no_contact(
    services_up: Any, orchestrator: Orchestrator
) -> None:
    assert report({"data": {"summary": {"services_up": services_up}}}).status == 200

    orchestrator.refresh_from_db()
    assert (orchestrator.last_seen, orchestrator.last_healthy_at) == (LONG_AGO, None)


@pytest.mark.parametrize("ip", ["example.org", 7, None, {"a": 1}, ""])
def test_an_address_that_is_none_is_not_learned(ip: Any, orchestrator: Orchestrator) -> None:
    report({"data": {"ip": ip, "summary": {"services_up": 1}}})

    orchestrator.refresh_from_db()
    assert (orchestrator.last_seen, orchestrator.last_seen_ip) == (NOON, "203.0.113.1")
    assert orchestrator.forwarder_ip is None


def test_an_unknown_orchestrator_has_no_health() -> None:
    assert (report({"data": {}}).status, report({"data": {}}).detail) == (404, "Unknown orchestrator")


def test_reports_are_the_admins_business() -> None:
    assert post(PATH, {"data": {}}, headers=VIEWER).detail == "Admin token required"


@pytest.mark.parametrize(
    ("body", "kind", "loc"),
    [
        ({}, "missing", ["data"]),
        ({"data": None}, "dict_type", ["data"]),
        ({"data": []}, "dict_type", ["data"]),
        ({"data": {}, "source": 65 * "x"}, "string_too_long", ["source"]),
        ({"data": {}, "source": 1}, "string_type", ["source"]),
        ({"data": {"a": "\x00"}}, "value_error", ["data"]),
        ({"data": {"a\x00": 1}}, "value_error", ["data"]),
        ({"data": {"a": ["\ud800"]}}, "string_unicode", ["data"]),
        ({"data": {"\ud800": 1}}, "string_unicode", ["data"]),
        ({"data": {"a": float("inf")}}, "finite_number", ["data"]),
    ],
)
def test_a_broken_report_is_refused(
    body: dict[str, Any], kind: str, loc: list[str], orchestrator: Orchestrator
) -> None:
    assert report(body).problem[:2] == (kind, ["body", *loc])


def test_null_for_the_source_is_absence(orchestrator: Orchestrator) -> None:
    report({"source": None, "data": {}})

    orchestrator.refresh_from_db()
    assert orchestrator.forwarder_source == "forwarder"


def test_data_may_be_64_kib_of_compact_utf8_and_no_more(orchestrator: Orchestrator) -> None:
    room = 64 * 1024 - len('{"a":""}')

    fits, exceeds = report({"data": {"a": room * "x"}}), report({"data": {"a": (room // 2 + 1) * "é"}})

    assert fits.status == 200
    assert (exceeds.status, exceeds.detail) == (413, "Payload too large")


def test_the_size_is_checked_before_the_orchestrator() -> None:
    assert report({"data": {"a": 70_000 * "x"}}).status == 413


# --- Contact --------------------------------------------------------------------------------------


def contact(orchestrator: Orchestrator, *, seconds: float, source: str = "x", ip: str | None = None) -> bool:
    with transaction.atomic():
        return record_contact(
            orchestrator_pk=orchestrator.pk, source=source, ip=ip, now=NOON + timedelta(seconds=seconds)
        )


def test_a_pure_refresh_may_lag_five_seconds() -> None:
    orchestrator = OrchestratorFactory.create(
        last_seen=NOON, last_contact_source="x", last_seen_ip="203.0.113.1"
    )

    written = [contact(orchestrator, seconds=seconds, ip="203.0.113.1") for seconds in (1, 4.9, 5)]

    orchestrator.refresh_from_db()
    assert written == [False, False, True]
    assert orchestrator.last_seen == NOON + timedelta(seconds=5)


def test_a_changed_value_is_written_at_once() -> None:
    orchestrator = OrchestratorFactory.create(last_seen=NOON)

    assert contact(orchestrator, seconds=1, source="health_url")
    assert contact(orchestrator, seconds=2, source="health_url", ip="203.0.113.1")
    assert contact(orchestrator, seconds=3, source="session", ip="203.0.113.1")
    assert not contact(orchestrator, seconds=4, source="session", ip="not an address")

    orchestrator.refresh_from_db()
    assert (orchestrator.last_seen_ip, orchestrator.last_contact_source) == ("203.0.113.1", "session")
