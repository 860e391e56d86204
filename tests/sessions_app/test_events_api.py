"""POST /api/sessions/events: what is accepted, and the exact words of what is not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from billing.models import Entry, Orchestrator
from sessions_app.models import StreamSession
from tests.sessions_app.edges import NOON, REPORTER, SINGLE, assert_books_hold, host, owed, post

pytestmark = pytest.mark.django_db
MINIMAL = {"session_id": "s1", "upstream_addr": "192.0.2.1"}


@pytest.fixture(autouse=True)
def clock() -> Any:
    """Noon, until a test moves it."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def refused(client: Client, **facts: Any) -> list[dict[str, Any]]:
    """The problems of an event that breaks its schema."""
    status, answer = post(client, {**MINIMAL, **facts})
    assert status == 422, answer
    assert not StreamSession.objects.exists()
    problems: list[dict[str, Any]] = answer["detail"]
    return problems


def accepted(client: Client, **facts: Any) -> dict[str, Any]:
    status, answer = post(client, {**MINIMAL, **facts})
    assert status == 200, answer
    session: dict[str, Any] = answer
    return session


# --- The worked example -------------------------------------------------------------------------------


def test_the_contracts_session_earns_what_the_contract_says(client: Client) -> None:
    orchestrator = host("orch-a", "127.0.0.11", pk=71)
    event = {"session_id": "s1", "upstream_addr": "127.0.0.11", "upstream_port": 8888, "edge_id": "edge-a"}

    post(client, {**event, "event": "start", "occurred_at": "2026-11-20T11:57:52.783785Z"})
    status, session = post(client, {**event, "event": "end", "occurred_at": "2026-11-20T11:57:55.875073Z"})

    assert status == 200
    assert session == {
        "session_id": "s1",
        "orchestrator_id": "orch-a",
        "upstream_addr": "127.0.0.11",
        "upstream_port": 8888,
        "edge_id": "edge-a",
        "streamer_id": None,
        "started_at": "2026-11-20T11:57:52.783785Z",
        "last_seen_at": "2026-11-20T11:57:55.875073Z",
        "ended_at": "2026-11-20T11:57:55.875073Z",
        "last_billed_at": "2026-11-20T11:57:55.875073Z",
        "billed_ms": 3091,
        "billed_eth": "0.00003091",
        "last_credited_eth": "0.00003091",
        "heartbeat_count": 0,
        "last_event": "end",
        "updated_at": "2026-11-20T12:00:00Z",
        "generation": 1,
    }
    entry = Entry.objects.get()
    assert (entry.key, entry.kind, entry.reason) == ("session:s1:1:0", "session_segment", "session_time")
    assert entry.effective_at == datetime(2026, 11, 20, 11, 57, 55, 875073, tzinfo=UTC)
    assert entry.metadata == {
        "session_id": "s1",
        "event": "end",
        "trigger": "end",
        "segment_index": "0",
        "segment_start": "2026-11-20T11:57:52.783785Z",
        "segment_end": "2026-11-20T11:57:55.875073Z",
        "duration_ms": "3091",
        "proof_hash": "sha256:8c2cafe260a61d055e39514ee1e81be4be58c02da9948de4b2de3cb7ac4d054d",
        "upstream_addr": "127.0.0.11",
        "upstream_port": 8888,
        "edge_id": "edge-a",
        "credit_unit": "eth",
    }
    assert owed(orchestrator) == 30_910_000_000_000
    assert_books_hold()


def test_streamer_and_generation_stand_in_the_ledger_when_there_is_something_to_say(
    client: Client, clock: Any
) -> None:
    host("orch-a", "192.0.2.1")
    accepted(client, event="start", streamer_id="cam-1")
    accepted(client, event="end")
    accepted(client, event="start")
    clock.shift(60)
    accepted(client, event="end")

    metadata = Entry.objects.get().metadata
    assert (metadata["streamer_id"], metadata["generation"]) == ("cam-1", "2")


# --- Who may report -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Session-Token": "test-reporter-token"},
        {"X-Session-Token": "  test-reporter-token "},
        {"Authorization": "Bearer test-reporter-token"},
        {"Authorization": "bEARER test-reporter-token"},
        {"X-Session-Token": "", "Authorization": "Bearer test-reporter-token"},
    ],
    ids=str,
)
def test_the_reporter_may(client: Client, headers: dict[str, str]) -> None:
    assert post(client, MINIMAL, headers=headers)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Session-Token": "wrong"},
        {"X-Session-Token": "wrong", "Authorization": "Bearer test-reporter-token"},
        {"X-Admin-Token": "test-admin-token"},
        {"Authorization": "Basic test-reporter-token"},
        {"X-Session-Token": "tést"},
    ],
    ids=str,
)
def test_nobody_else_may_and_learns_nothing_more(client: Client, headers: dict[str, str]) -> None:
    answer = client.post(SINGLE, b"{broken", content_type="application/json", headers=headers)

    assert (answer.status_code, answer.json()) == (401, {"detail": "Session reporter token required"})
    assert answer.headers["WWW-Authenticate"]


def test_without_a_secret_nobody_may(client: Client) -> None:
    with override_settings(SESSION_REPORTER_TOKEN=""):
        assert post(client, MINIMAL, headers={"X-Session-Token": ""})[0] == 401


# --- Fields that are accepted -------------------------------------------------------------------------


def test_an_event_without_a_word_is_a_heartbeat(client: Client) -> None:
    session = accepted(client)

    assert (session["last_event"], session["heartbeat_count"]) == ("heartbeat", 1)
    assert (session["upstream_port"], session["generation"]) == (8080, 1)


@pytest.mark.parametrize("word", [" Start ", "START", "\tstart\n"])
def test_the_event_word_is_trimmed_and_may_be_in_any_case(client: Client, word: str) -> None:
    assert accepted(client, event=word)["last_event"] == "start"


@pytest.mark.parametrize(
    ("given", "normalised"),
    [
        (" 192.0.2.1 ", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:0201", "192.0.2.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8::0001", "2001:db8::1"),
        ("::", "::"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
        ("::192.0.2.1", "::c000:201"),
    ],
)
def test_addresses_are_normalised(client: Client, given: str, normalised: str) -> None:
    assert accepted(client, upstream_addr=given)["upstream_addr"] == normalised


@pytest.mark.parametrize("port", ["8888", 8888.0, "8888.0", " 8888 "])
def test_the_port_may_be_a_numeric_string(client: Client, port: Any) -> None:
    assert accepted(client, upstream_port=port)["upstream_port"] == 8888


def test_null_is_absence_and_unknown_keys_are_ignored(client: Client) -> None:
    optional = ["event", "upstream_port", "edge_id", "orchestrator_id", "streamer_id", "event_id"]
    absent = dict.fromkeys([*optional, "occurred_at"])

    assert accepted(client, **absent, later={"deep": [1]}) == accepted(client, later=1) | {
        "heartbeat_count": 1
    }


@pytest.mark.parametrize("blank", ["", "   "])
def test_blank_edge_and_streamer_are_absence(client: Client, blank: str) -> None:
    session = accepted(client, edge_id=blank, streamer_id=blank)

    assert (session["edge_id"], session["streamer_id"]) == (None, None)


def test_a_streamer_is_trimmed(client: Client) -> None:
    assert accepted(client, streamer_id=f"  {'c' * 128} ")["streamer_id"] == "c" * 128


def test_the_longest_values_fit(client: Client) -> None:
    facts = {"session_id": "s" * 128, "edge_id": "e" * 64, "streamer_id": "é" * 128, "event_id": "i" * 128}

    session = accepted(client, **facts, orchestrator_id="o" * 128, upstream_port=65_535)

    assert (session["session_id"], session["edge_id"]) == (facts["session_id"], facts["edge_id"])


def test_any_text_is_a_session_id(client: Client) -> None:
    for name in (" ", "job:42", "a/b?c", "séance-✓", "'; --", "\u202e\U0001f600"):
        assert accepted(client, session_id=name)["session_id"] == name


def test_an_unregistered_orchestrator_is_ignored_without_error(client: Client) -> None:
    assert accepted(client, orchestrator_id="never-registered")["orchestrator_id"] is None


# --- Fields that are refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "kind", "message"),
    [
        ({"session_id": None}, "string_type", "Input should be a valid string"),
        ({"session_id": 5}, "string_type", "Input should be a valid string"),
        ({"session_id": ""}, "string_too_short", "String should have at least 1 character"),
        ({"session_id": "s" * 129}, "string_too_long", "String should have at most 128 characters"),
        ({"session_id": "a\0b"}, "value_error", "Value error, null characters are not allowed"),
        ({"session_id": "\ud800"}, "string_unicode", None),
        ({"event": "stop"}, "value_error", "Value error, invalid session event"),
        ({"event": ""}, "value_error", "Value error, invalid session event"),
        ({"event": 1}, "string_type", "Input should be a valid string"),
        ({"event": "start\0"}, "value_error", "Value error, null characters are not allowed"),
        ({"upstream_addr": ""}, "value_error", "Value error, upstream_addr must be an IP address"),
        ({"upstream_addr": "host"}, "value_error", "Value error, upstream_addr must be an IP address"),
        (
            {"upstream_addr": "fe80::1%eth0"},
            "value_error",
            "Value error, upstream_addr must be an IP address",
        ),
        ({"upstream_addr": "192.0.2.01"}, "value_error", "Value error, upstream_addr must be an IP address"),
        (
            {"upstream_addr": "192.0.2.1/32"},
            "value_error",
            "Value error, upstream_addr must be an IP address",
        ),
        ({"upstream_addr": "1" * 256}, "string_too_long", "String should have at most 255 characters"),
        ({"upstream_addr": 3221225985}, "string_type", "Input should be a valid string"),
        ({"upstream_addr": "::1\0"}, "value_error", "Value error, null characters are not allowed"),
        ({"upstream_port": 0}, "greater_than_equal", "Input should be greater than or equal to 1"),
        ({"upstream_port": -1}, "greater_than_equal", "Input should be greater than or equal to 1"),
        ({"upstream_port": 65_536}, "less_than_equal", "Input should be less than or equal to 65535"),
        ({"upstream_port": 10**30}, "less_than_equal", "Input should be less than or equal to 65535"),
        ({"upstream_port": "eighty"}, "int_parsing", None),
        ({"upstream_port": 80.5}, "int_from_float", None),
        ({"upstream_port": [80]}, "int_type", "Input should be a valid integer"),
        ({"edge_id": "e" * 65}, "string_too_long", "String should have at most 64 characters"),
        ({"edge_id": 7}, "string_type", "Input should be a valid string"),
        ({"edge_id": "\0"}, "value_error", "Value error, null characters are not allowed"),
        ({"orchestrator_id": ""}, "string_too_short", "String should have at least 1 character"),
        ({"orchestrator_id": "o" * 129}, "string_too_long", "String should have at most 128 characters"),
        ({"orchestrator_id": "\0"}, "value_error", "Value error, null characters are not allowed"),
        ({"streamer_id": "c" * 129}, "string_too_long", "String should have at most 128 characters"),
        ({"streamer_id": "c\0"}, "value_error", "Value error, null characters are not allowed"),
        ({"streamer_id": True}, "string_type", "Input should be a valid string"),
        ({"event_id": ""}, "string_too_short", "String should have at least 1 character"),
        ({"event_id": "i" * 129}, "string_too_long", "String should have at most 128 characters"),
        ({"event_id": "\0"}, "value_error", "Value error, null characters are not allowed"),
        (
            {"occurred_at": "2026-11-20T12:00:05.000001Z"},
            "value_error",
            "Value error, occurred_at is in the future",
        ),
        ({"occurred_at": "9999-12-31T23:59:59Z"}, "value_error", "Value error, occurred_at is in the future"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "value_error", None),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "value_error", None),
        (
            {"occurred_at": "2026-10-16T11:59:59.999999Z"},
            "value_error",
            "Value error, occurred_at is too old",
        ),
        ({"occurred_at": "yesterday"}, None, None),
        ({"occurred_at": ["2026-11-20T12:00:00Z"]}, None, None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_broken_field_is_named(
    client: Client, facts: dict[str, Any], kind: str | None, message: str | None
) -> None:
    (problem,) = refused(client, **facts)

    assert problem["loc"] == ["body", *facts]
    assert sorted(problem) == ["loc", "msg", "type"]
    assert kind is None or problem["type"] == kind
    assert message is None or problem["msg"] == message


def test_every_broken_field_is_named_at_once(client: Client) -> None:
    problems = refused(client, session_id=None, event="stop", upstream_port="x", edge_id=1)

    assert [problem["loc"][1] for problem in problems] == ["session_id", "event", "upstream_port", "edge_id"]


def test_a_missing_session_id_is_missing(client: Client) -> None:
    status, answer = post(client, {"upstream_addr": "192.0.2.1"})

    problem = {"type": "missing", "loc": ["body", "session_id"], "msg": "Field required"}
    assert (status, answer) == (422, {"detail": [problem]})


# --- Bodies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"[]", b'"s1"', b"7", b"null", b"true"])
def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    status, answer = post(client, body)

    assert status == 422
    assert [(each["type"], each["loc"]) for each in answer["detail"]] == [("model_attributes_type", ["body"])]


def test_an_empty_body_is_missing(client: Client) -> None:
    assert post(client, b"") == (
        422,
        {"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required"}]},
    )


@pytest.mark.parametrize(
    ("body", "offset"),
    [
        (b"{broken", 1),
        (b'{"session_id": "s1",}', 20),
        (b'{"session_id": "s1"} {}', 21),
        (b'{"session_id": "\xff"}', 16),
        (b"[" * 100_000, 0),
        (b'{"session_id":' * 50_000, 0),
        (b'{"upstream_port": ' + b"9" * 5_000 + b"}", 0),
        (b"\x00", 0),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_body_that_is_no_json_says_where(client: Client, body: bytes, offset: int) -> None:
    status, answer = post(client, body)

    assert status == 422
    assert [(each["type"], each["loc"]) for each in answer["detail"]] == [("json_invalid", ["body", offset])]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"]
)
def test_another_content_type_is_no_object(client: Client, content_type: str) -> None:
    status, answer = post(client, MINIMAL, content_type=content_type)

    assert (status, answer["detail"][0]["type"]) == (422, "model_attributes_type")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "application/problem+json", ""]
)
def test_json_by_any_of_its_names_is_read(client: Client, content_type: str) -> None:
    assert post(client, MINIMAL, content_type=content_type)[0] == 200


def test_a_body_above_two_mebibytes_is_too_large(client: Client) -> None:
    padding = "x" * (2 * 1024 * 1024)

    assert post(client, {**MINIMAL, "later": padding}) == (413, {"detail": "Request body too large"})


def test_a_body_of_two_mebibytes_is_read(client: Client) -> None:
    head, tail = b'{"session_id":"s1","upstream_addr":"192.0.2.1","later":"', b'"}'
    body = head + b"x" * (2 * 1024 * 1024 - len(head) - len(tail)) + tail

    assert post(client, body)[0] == 200


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_other_methods_are_not_allowed(client: Client, method: str) -> None:
    answer = getattr(client, method)(SINGLE, headers=REPORTER)

    assert answer.status_code == 405
    assert method == "head" or answer.json() == {"detail": "Method Not Allowed"}


def test_a_trailing_slash_is_the_same_endpoint(client: Client) -> None:
    assert post(client, MINIMAL, path=f"{SINGLE}/")[0] == 200


# --- Where the host is --------------------------------------------------------------------------------


def test_without_an_address_the_registered_hosts_own_one_counts(client: Client) -> None:
    host("orch-a", "192.0.2.1")

    status, session = post(client, {"session_id": "s1", "orchestrator_id": "orch-a"})

    assert (status, session["upstream_addr"], session["orchestrator_id"]) == (200, "192.0.2.1", "orch-a")


@pytest.mark.parametrize("name", ["orch-a", "never-registered", None])
def test_without_any_address_there_is_no_event(client: Client, name: str | None) -> None:
    host("orch-a")

    assert post(client, {"session_id": "s1", "orchestrator_id": name, "event_id": "e1"}) == (
        400,
        {"detail": "Session event missing upstream address"},
    )
    assert not StreamSession.objects.exists()


# --- Moments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelling", "moment"),
    [
        ("2026-11-20T12:59:00+01:00", "2026-11-20T11:59:00Z"),
        ("2026-11-20T11:59:00Z", "2026-11-20T11:59:00Z"),
        ("2026-11-20T11:59:00", "2026-11-20T11:59:00Z"),
        ("2026-11-20 11:59:00.25z", "2026-11-20T11:59:00.250000Z"),
        ("2026-11-20T12:00:05Z", "2026-11-20T12:00:00Z"),
        ("2026-10-16T12:00:00Z", "2026-10-16T12:00:00Z"),
    ],
)
def test_the_reporter_may_say_when(client: Client, spelling: str, moment: str) -> None:
    session = accepted(client, event="start", occurred_at=spelling)

    assert (session["started_at"], session["updated_at"]) == (moment, "2026-11-20T12:00:00Z")


def test_an_older_event_is_acknowledged_and_ignored(client: Client) -> None:
    current = accepted(client, event="start")

    assert accepted(client, event="end", occurred_at="2026-11-20T11:59:59Z") == current


def test_the_event_of_a_process_whose_clock_is_behind_is_applied(client: Client, clock: Any) -> None:
    accepted(client, event="start")
    clock.shift(timedelta(milliseconds=-3))

    session = accepted(client, event="end")

    assert (session["last_event"], session["ended_at"]) == ("end", "2026-11-20T12:00:00Z")


# --- Repetition ---------------------------------------------------------------------------------------


def test_a_repeated_event_id_is_answered_again_whatever_else_it_says(client: Client, clock: Any) -> None:
    host("orch-a", "192.0.2.1")
    accepted(client, event="start")
    clock.shift(60)
    first = accepted(client, event="end", event_id="e1")
    clock.shift(60)

    again = accepted(client, event="start", event_id="e1", upstream_addr="192.0.2.9", upstream_port=1)

    assert again == first
    assert first["last_credited_eth"] == "0.0006"
    assert StreamSession.objects.count() == 1
    assert_books_hold()


def test_an_event_id_belongs_to_its_session(client: Client) -> None:
    accepted(client, event="start", event_id="e1")

    assert accepted(client, session_id="s2", event="start", event_id="e1")["session_id"] == "s2"


def test_an_ignored_event_is_remembered_too(client: Client, clock: Any) -> None:
    accepted(client, event="start")
    ignored = accepted(client, event="end", occurred_at="2026-11-20T11:59:00Z", event_id="e1")
    clock.shift(10)
    accepted(client)

    assert accepted(client, event="end", event_id="e1") == ignored


def test_a_refused_event_may_be_sent_again_under_its_id(client: Client) -> None:
    event = {"session_id": "s1", "orchestrator_id": "orch-a", "event_id": "e1"}
    assert post(client, event)[0] == 400
    host("orch-a", "192.0.2.1")

    assert post(client, event)[0] == 200


# --- Credit -------------------------------------------------------------------------------------------


def credited_minute(client: Client, clock: Any) -> dict[str, Any]:
    accepted(client, event="start")
    clock.shift(60)
    return accepted(client, event="end")


def uncredited_reason() -> str:
    return StreamSession.objects.get().segments.get().uncredited_reason


def test_a_minute_earns_the_rate(client: Client, clock: Any) -> None:
    orchestrator = host("orch-a", "192.0.2.1")

    assert credited_minute(client, clock)["billed_eth"] == "0.0006"
    assert owed(orchestrator) == 600_000_000_000_000


def test_nobody_earns_for_an_unknown_host(client: Client, clock: Any) -> None:
    session = credited_minute(client, clock)

    assert (session["billed_ms"], session["billed_eth"], session["orchestrator_id"]) == (0, "0", None)
    assert uncredited_reason() == "unattributed"
    assert not Entry.objects.exists()


def test_a_denylisted_host_serves_for_nothing(client: Client, clock: Any) -> None:
    host("orch-a", "192.0.2.1", denylisted=True)

    assert credited_minute(client, clock)["billed_eth"] == "0"
    assert uncredited_reason() == "denylisted"


@override_settings(SESSION_CREDIT_ETH_PER_MINUTE=Decimal(0))
def test_a_rate_of_zero_records_without_credit(client: Client, clock: Any) -> None:
    host("orch-a", "192.0.2.1")

    assert credited_minute(client, clock)["billed_ms"] == 0
    assert uncredited_reason() == "no_rate"


@override_settings(SESSION_CREDIT_ETH_PER_MINUTE=Decimal("9.9E-19"))
def test_less_than_a_wei_is_nothing(client: Client, clock: Any) -> None:
    host("orch-a", "192.0.2.1")

    assert credited_minute(client, clock)["billed_ms"] == 0
    assert uncredited_reason() == "below_one_wei"


@override_settings(SESSION_CREDIT_ETH_PER_MINUTE=Decimal("1.999E-18"))
def test_an_amount_is_floored_to_whole_wei(client: Client, clock: Any) -> None:
    orchestrator = host("orch-a", "192.0.2.1")
    credited_minute(client, clock)

    assert owed(orchestrator) == 1


@override_settings(SESSION_CREDIT_GATE=frozenset({"eligible"}))
def test_the_gate_asks_whether_the_host_is_eligible(client: Client, clock: Any) -> None:
    orchestrator = host("orch-a", "192.0.2.1")
    Orchestrator.objects.update(cooldown_expires_at=NOON + timedelta(hours=1))

    assert credited_minute(client, clock)["billed_eth"] == "0"
    assert uncredited_reason() == "not_eligible"
    assert owed(orchestrator) == 0


# --- Cost ---------------------------------------------------------------------------------------------


def statements(client: Client, **facts: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        accepted(client, **facts)
    return len([query for query in captured if "SAVEPOINT" not in query["sql"]])


@pytest.mark.parametrize("event_id", [None, "e1"])
def test_a_plain_heartbeat_costs_one_statement(client: Client, event_id: str | None) -> None:
    host("orch-a", "192.0.2.1")
    accepted(client, event="start")

    assert statements(client, event_id=event_id) == 1


def test_other_events_cost_a_fixed_number_of_statements(client: Client, clock: Any) -> None:
    host("orch-a", "192.0.2.1")
    costs = {"start": statements(client, event="start")}
    with override_settings(SESSION_MAX_GAP_SECONDS=0):
        clock.shift(2400)
        costs["first segment"] = statements(client)
        clock.shift(24_000)
        costs["ten segments"] = statements(client)
        clock.shift(60)
        costs["end"] = statements(client, event="end")
        costs["end with an id"] = statements(client, event="end", event_id="e1")
        costs["end again"] = statements(client, event="end", event_id="e1")

    # The first credit of a host also makes its accounts.
    assert costs == {
        "start": 5,
        "first segment": 11,
        "ten segments": 9,
        "end": 9,
        "end with an id": 5,
        "end again": 3,
    }
