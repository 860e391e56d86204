"""Start-up registrations, and the first staff account."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings
from structlog.testing import capture_logs

from billing.models import Orchestrator, RegistryEvent
from billing.services import bootstrap
from billing.services.ranking import Rank
from tests.factories import NOON, OrchestratorFactory

pytestmark = pytest.mark.django_db


def address(number: int) -> str:
    return f"0x{number:040x}"


def entry(name: str, number: int, **facts: Any) -> dict[str, Any]:
    return {"orchestrator_id": name, "address": address(number), **facts}


@pytest.fixture(autouse=True)
def _at_noon(settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.BOOTSTRAP_ORCHESTRATORS_PATH = str(tmp_path / "orchestrators.json")
    with time_machine.travel(NOON, tick=False):
        yield


def run() -> list[str]:
    bootstrap.run(now=timezone.now())
    return [orchestrator.orchestrator_id for orchestrator in Orchestrator.objects.order_by("pk")]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([entry("a", 1), entry("b", 2)]),
        json.dumps({"a": entry("a", 1), "b": {"address": address(2)}}),
    ],
)
def test_orchestrators_are_listed_or_named_by_id(text: str, settings: Settings) -> None:
    settings.BOOTSTRAP_ORCHESTRATORS = text

    assert run() == ["a", "b"]


def test_one_orchestrator_needs_no_list(settings: Settings) -> None:
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps(entry("a", 1, health_url="http://203.0.113.1/"))

    assert run() == ["a"]
    assert Orchestrator.objects.get().health_ip == "203.0.113.1"


def test_inline_entries_come_before_the_file_and_the_first_of_duplicates_wins(settings: Settings) -> None:
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps([entry("a", 10, capability="inline")])
    Path(settings.BOOTSTRAP_ORCHESTRATORS_PATH).write_text(
        json.dumps(
            [entry("a", 2), {"orchestrator_id": "c", "address": "0x" + 38 * "0" + "0A"}, entry("d", 4)]
        )
    )

    assert run() == ["a", "d"]
    assert Orchestrator.objects.get(orchestrator_id="a").capability == "inline"


def test_bad_entries_are_logged_and_skipped(settings: Settings) -> None:
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps(
        [7, None, {}, {"orchestrator_id": "x", "address": "0x1"}, entry("a", 1)]
    )

    with capture_logs() as logs:
        assert run() == ["a"]

    assert [log["event"] for log in logs] == 4 * ["bootstrap.invalid"] + ["bootstrap.registered"]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_file_that_is_no_json_is_logged_and_skipped(content: bytes, settings: Settings) -> None:
    Path(settings.BOOTSTRAP_ORCHESTRATORS_PATH).write_bytes(content)

    with capture_logs() as logs:
        assert run() == []

    assert [log["event"] for log in logs] == ["bootstrap.unreadable"]


def test_a_refused_entry_does_not_stop_the_others(settings: Settings) -> None:
    OrchestratorFactory.create(orchestrator_id="owner", address=address(1))
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps([entry("a", 1), entry("b", 2)])

    assert run() == ["owner", "b"]


def test_a_restart_leaves_no_trace(settings: Settings) -> None:
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps(
        [entry("a", 1, health_timeout=2, monitored_services=["web"])]
    )
    run()

    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        run()

    stored = Orchestrator.objects.get()
    assert (stored.registration_count, stored.last_seen) == (1, NOON)
    assert RegistryEvent.objects.count() == 1


def test_a_changed_entry_is_merged(settings: Settings) -> None:
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps([entry("a", 1)])
    run()
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps([entry("a", 1, host_name="rack-7")])
    run()

    assert Orchestrator.objects.get().host_name == "rack-7"
    assert Orchestrator.objects.get().registration_count == 2


def test_skipping_the_rank_keeps_what_is_stored_and_starts_new_records_with_true(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.services.ranking.rank_of", lambda address: Rank.OUTSIDE)
    OrchestratorFactory.create(orchestrator_id="known", address=address(1), is_top_100=False)
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps([entry("known", 1, host_name="x"), entry("new", 2)])

    run()

    assert list(Orchestrator.objects.order_by("pk").values_list("is_top_100", "host_name")) == [
        (False, "x"),
        (True, None),
    ]


def test_the_rank_is_checked_when_it_may_not_be_skipped(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.services.ranking.rank_of", lambda address: Rank.OUTSIDE)
    settings.BOOTSTRAP_SKIP_RANK_VALIDATION = False
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps([entry("a", 1)])

    assert run() == []


def test_single_mode_registers_one_orchestrator_whatever_its_rank(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.services.ranking.rank_of", lambda address: Rank.OUTSIDE)
    settings.BOOTSTRAP_SKIP_RANK_VALIDATION = False
    settings.SINGLE_ORCHESTRATOR_MODE = True
    settings.SINGLE_ORCHESTRATOR = {
        "orchestrator_id": "solo",
        "address": address(1),
        "health_url": "http://203.0.113.1/health",
        "health_timeout": "",
    }

    assert run() == ["solo"]
    stored = Orchestrator.objects.get()
    assert (stored.min_service_uptime, stored.health_timeout) == (80, None)


def test_listed_addresses_are_flagged_at_start_up(settings: Settings) -> None:
    listed = OrchestratorFactory.create(address="0x" + 40 * "A")
    other = OrchestratorFactory.create()
    settings.ADDRESS_DENYLIST = frozenset({"0x" + 40 * "a"})

    run()

    listed.refresh_from_db()
    other.refresh_from_db()
    assert (listed.denylisted, other.denylisted) == (True, False)


def test_the_command_says_how_many_it_registered(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.BOOTSTRAP_ORCHESTRATORS = json.dumps([entry("a", 1)])

    call_command("bootstrap_registry")
    call_command("bootstrap_registry")

    assert capsys.readouterr().out == "Registered 1 orchestrator(s) from the configuration.\n"


# --- The first staff account ------------------------------------------------------------------------


def test_the_first_superuser_is_made_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse")

    call_command("ensure_admin")
    call_command("ensure_admin")

    user = get_user_model().objects.get()
    assert (user.username, user.is_superuser, user.is_staff) == ("admin", True, True)
    assert user.check_password("correct horse")
    assert capsys.readouterr().out.splitlines() == [
        "Created superuser admin.",
        "A superuser exists already; nothing to do.",
    ]


def test_the_first_superuser_may_have_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_USERNAME", "root")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse")

    call_command("ensure_admin")

    assert get_user_model().objects.get().username == "root"


def test_a_superuser_needs_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SUPERUSER_PASSWORD", raising=False)

    with pytest.raises(CommandError, match="Set DJANGO_SUPERUSER_PASSWORD"):
        call_command("ensure_admin")


def test_a_name_that_is_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse")
    get_user_model().objects.create_user(username="admin")

    with pytest.raises(CommandError, match="admin exists, but is no superuser"):
        call_command("ensure_admin")
