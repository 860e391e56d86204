"""What a string, an amount, an instant and a free-form object may be on the wire."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import StringConstraints, ValidationError
from pydantic_core import to_json

from core.api import parse_json
from core.errors import Invalid, PayloadTooLarge
from core.money import MAX_WEI, eth_from_wei
from core.wire import (
    BlankIsAbsent,
    Clean,
    Eth,
    EthAmount,
    Identifier,
    Input,
    Instant,
    JsonObject,
    OffsetTime,
    Output,
    QueryInstant,
    ZuluTime,
    problems,
    within_object_cap,
)


class Sent(Input):
    identifier: Identifier = "x"
    label: Annotated[Annotated[str, StringConstraints(max_length=3), Clean] | None, BlankIsAbsent] = None
    count: int = 0
    flag: bool = False
    amount: EthAmount = 0
    at: Instant | None = None
    since: QueryInstant | None = None
    facts: JsonObject = {}


def problem(body: str) -> tuple[str, list[Any]]:
    """The only problem of a body, type and loc."""
    with pytest.raises(ValidationError) as caught:
        sent(body)
    (only,) = problems(caught.value, "body")
    return only["type"], only["loc"]


def sent(body: str) -> Sent:
    return Sent.model_validate(parse_json(body.encode()))


# --- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "offset"),
    [
        (b"", 0),
        (b"{", 1),
        (b'{"a": tru}', 6),
        (b"{} {}", 3),
        (b"\xff", 0),
        (b"[" * 100_000, 0),
        (b'{"a":' * 100_000, 0),
        (b"9" * 5_000, 0),
        (b"0." + b"9" * 5_000, 0),
        (b"1e" + b"9" * 5_000, 0),
    ],
)
def test_a_body_that_is_no_json_says_where(body: bytes, offset: int) -> None:
    with pytest.raises(Invalid) as caught:
        parse_json(body)

    assert [(one["type"], one["loc"]) for one in caught.value.problems] == [
        ("json_invalid", ["body", offset])
    ]


@pytest.mark.parametrize("number", ["1e999999999999999999", "-1e999999999999999999", "1e-999999999999999999"])
@pytest.mark.parametrize("field", ["count", "amount", "flag", "identifier", "at"])
def test_a_number_of_absurd_size_is_read_or_refused_wherever_it_stands(number: str, field: str) -> None:
    with suppress(ValidationError):
        assert sent(f'{{"{field}": {number}}}')


def test_unknown_keys_are_ignored_and_null_is_absence() -> None:
    assert sent('{"more": 1, "count": null, "label": null}') == Sent()


# --- Strings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ('""', "string_too_short"),
        (f'"{129 * "x"}"', "string_too_long"),
        ("1", "string_type"),
        ("1.5", "string_type"),
        ("true", "string_type"),
        ("[]", "string_type"),
        (r'"a\u0000"', "value_error"),
        (r'"\ud800"', "string_unicode"),
    ],
)
def test_a_string_is_never_guessed(value: str, kind: str) -> None:
    assert problem(f'{{"identifier": {value}}}') == (kind, ["body", "identifier"])


def test_surrogate_pairs_are_ordinary_text() -> None:
    assert sent(r'{"identifier": "\ud83c\udf4e"}').identifier == "🍎"


def test_a_blank_optional_string_is_absent_and_others_are_trimmed_before_they_are_measured() -> None:
    assert sent('{"label": "  "}').label is None
    assert sent('{"label": "  abc  "}').label == "abc"
    assert problem('{"label": "abcd"}') == ("string_too_long", ["body", "label"])


# --- Numbers and booleans ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind"),
    [("1.5", "int_from_float"), ('"x"', "int_parsing"), ("[]", "int_type"), ('"1.5"', "int_parsing")],
)
def test_an_integer_is_whole(value: str, kind: str) -> None:
    assert problem(f'{{"count": {value}}}') == (kind, ["body", "count"])


def test_integers_may_be_strings_or_end_in_zero() -> None:
    assert [sent(f'{{"count": {value}}}').count for value in ('"7"', "7.0", "7e0")] == [7, 7, 7]


@pytest.mark.parametrize("word", ["true", "1", '"TRUE"', '"yes"', '"On"', '"1"'])
def test_booleans_have_many_spellings(word: str) -> None:
    assert sent(f'{{"flag": {word}}}').flag is True


# --- Money ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "wei"),
    [
        ("1", 10**18),
        ('"1"', 10**18),
        ('" 1 "', 10**18),
        ("-0.5", -5 * 10**17),
        ("1e-18", 1),
        ('"1.000000000000000001"', 10**18 + 1),
        ("0.1", 10**17),
        ("1" + "." + 300 * "0", 10**18),
        ("0e500", 0),
        ('"0e999999999"', 0),
        (eth_from_wei(MAX_WEI), MAX_WEI),
        (eth_from_wei(-MAX_WEI - 1), -MAX_WEI - 1),
    ],
)
def test_an_amount_is_exact(value: str, wei: int) -> None:
    assert sent(f'{{"amount": {value}}}').amount == wei


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ('"x"', "decimal_parsing"),
        ('""', "decimal_parsing"),
        ("NaN", "finite_number"),
        ("-Infinity", "finite_number"),
        ('"nan"', "finite_number"),
        ('"Infinity"', "finite_number"),
        ("1e-19", "decimal_max_places"),
        ("1." + 150 * "0" + "1", "decimal_max_places"),
        ("1e-99999999999999999999", "decimal_max_places"),
        (eth_from_wei(MAX_WEI + 1), "less_than_equal"),
        (eth_from_wei(-MAX_WEI - 2), "greater_than_equal"),
        ("1e60", "less_than_equal"),
        ("1e99999999999999999999", "less_than_equal"),
        ('"1e-999999999"', "decimal_max_places"),
        ('"1e999999"', "less_than_equal"),
        ('"-1e999999"', "greater_than_equal"),
    ],
)
def test_an_amount_that_is_none_is_refused_in_the_contracts_words(value: str, kind: str) -> None:
    assert problem(f'{{"amount": {value}}}') == (kind, ["body", "amount"])


@pytest.mark.parametrize("value", ["true", "[]", "{}"])
def test_an_amount_is_a_number_or_a_numeric_string(value: str) -> None:
    assert problem(f'{{"amount": {value}}}') == ("decimal_type", ["body", "amount"])


@given(st.integers(-MAX_WEI - 1, MAX_WEI))
def test_every_amount_survives_the_wire(wei: int) -> None:
    spelled = eth_from_wei(wei)

    assert sent(f'{{"amount": {spelled}}}').amount == wei
    assert sent(f'{{"amount": "{Decimal(spelled):E}"}}').amount == wei


class Answered(Output):
    balance: Eth = 30_910_000_000_000
    offset: OffsetTime | None = datetime(2026, 11, 20, 11, 57, 55, 879061, UTC)
    zulu: ZuluTime | None = datetime(2026, 11, 20, 12, tzinfo=UTC)
    nothing: OffsetTime | None = None


def test_answers_spell_money_and_instants_in_the_contracts_dialects() -> None:
    assert to_json(Answered()) == (
        b'{"balance":"0.00003091","offset":"2026-11-20T11:57:55.879061+00:00",'
        b'"zulu":"2026-11-20T12:00:00Z","nothing":null}'
    )


# --- Instants -------------------------------------------------------------------------------------

FIVE_TO = datetime(2026, 11, 20, 11, 55, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T11:55:00Z",
        "2026-11-20T11:55:00.000000+00:00",
        "2026-11-20T12:55:00+01:00",
        "2026-11-20T11:55:00",
        "2026-11-20 11:55:00",
    ],
)
def test_an_instant_has_any_offset_and_none_means_utc(text: str) -> None:
    assert sent(f'{{"at": "{text}"}}').at == FIVE_TO


@pytest.mark.parametrize(
    "text", ["2026-11-20T12:55:00 01:00", "2026-11-20T12:55:00 0100", "2026-11-20T12:55:00+01:00"]
)
def test_in_a_query_a_space_is_the_plus_it_was(text: str) -> None:
    assert Sent.model_validate({"since": text}).since == FIVE_TO


def test_in_a_query_the_space_between_date_and_time_stays() -> None:
    assert Sent.model_validate({"since": "2026-11-20 11:55:00"}).since == FIVE_TO


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "soon", "20:00"])
def test_an_instant_outside_the_calendar_is_refused(text: str) -> None:
    kind, loc = problem(f'{{"at": "{text}"}}')

    assert kind in {"value_error", "datetime_from_date_parsing", "datetime_parsing"}
    assert loc == ["body", "at"]


# --- Free-form objects ------------------------------------------------------------------------------


def nested(depth: int) -> str:
    return depth * '{"a":' + "1" + depth * "}"


def test_an_object_may_be_a_hundred_levels_deep() -> None:
    assert to_json(sent(f'{{"facts": {nested(100)}}}'))
    assert problem(f'{{"facts": {nested(102)}}}') == ("value_error", ["body", "facts"])


def test_numbers_in_an_object_are_those_of_json() -> None:
    facts = sent('{"facts": {"a": 0.1, "b": 3, "c": 1e-5000, "d": true}}').facts

    assert facts == {"a": 0.1, "b": 3, "c": 0.0, "d": True}
    assert [type(value) for value in facts.values()] == [float, int, float, bool]


def test_an_object_is_measured_as_compact_utf8() -> None:
    largest = {"a": "é" * ((64 * 1024 - len('{"a":""}')) // 2)}

    assert within_object_cap(largest) is largest
    with pytest.raises(PayloadTooLarge):
        within_object_cap({"a": largest["a"] + "é"})
