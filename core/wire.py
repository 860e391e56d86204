"""The vocabulary of wire models: what a string, an amount or an instant may be, coming in and going out.

Wire models are pydantic's, because the contract's problem types are pydantic's own (ADR 3).
"""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticKnownError

from core.errors import PayloadTooLarge
from core.money import MAX_WEI, eth_from_wei, wei_from_eth
from core.net import normalise_ip
from core.timestamps import offset, zulu

MAX_OBJECT_BYTES = 64 * 1024
MAX_OBJECT_DEPTH = 100
Problem = dict[str, Any]


class Input(BaseModel):
    """What a caller sends. Unknown keys are ignored; null for an optional field equals absence."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        return {
            key: value
            for key, value in data.items()
            if value is not None or key not in fields or fields[key].is_required()
        }


class Output(BaseModel):
    """What we answer. Optional fields are present with null."""


class Done(Output):
    """It is done, or was already."""

    ok: Literal[True] = True


class Refusal(Output):
    """Why a call was refused."""

    detail: str


class BrokenField(Output):
    """One problem of the input. `loc` starts with body, query or path."""

    type: str
    loc: list[str | int]
    msg: str


class Problems(Output):
    """Everything that is wrong with the input."""

    detail: list[BrokenField]


def problems(error: ValidationError, *prefix: str | int) -> list[Problem]:
    """The contract's problem list: type, loc beginning with `prefix`, msg."""
    return [
        {"type": problem["type"], "loc": [*prefix, *problem["loc"]], "msg": problem["msg"]}
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def value_problem(message: str, *loc: str | int) -> Problem:
    """One broken domain rule."""
    return {"type": "value_error", "loc": list(loc), "msg": f"Value error, {message}"}


# --- Strings --------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Refuse what PostgreSQL text cannot hold: U+0000, and halves of surrogate pairs."""
    if "\x00" in text:
        raise ValueError("null characters are not allowed")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticKnownError("string_unicode") from None
    return text


def blank_is_absent(value: Any) -> Any:
    """For optional strings: trimmed, and nothing left means not sent."""
    if isinstance(value, str):
        return value.strip() or None
    return value


def ip_literal(field: str) -> AfterValidator:
    """Normalise an IP literal, or refuse it by the field's name."""

    def normalise(text: str) -> str:
        address = normalise_ip(text)
        if address is None:
            raise ValueError(f"{field} must be an IP address")
        return address

    return AfterValidator(normalise)


Clean = AfterValidator(clean)
"""For strings with a length: `Annotated[str, StringConstraints(max_length=64), Clean]`, in this order,
because a constraint behind a validator would lose its `string_...` problem type."""

BlankIsAbsent = BeforeValidator(blank_is_absent)
Text = Annotated[str, Clean]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=128), Clean]
WalletAddress = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]

# --- Money ----------------------------------------------------------------------------------------


def _refuse_amount(problem: str, **context: Any) -> NoReturn:
    raise PydanticKnownError(problem, context or None)  # type: ignore[arg-type]


def _parse_wei(value: Any) -> int:
    """A JSON number or numeric string in ETH, as exact whole wei. Never passes through a float."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal | float):
        _refuse_amount("decimal_type")
    try:
        amount = Decimal(value.strip()) if isinstance(value, str) else Decimal(value)
    except InvalidOperation:
        _refuse_amount("decimal_parsing")
    if not amount.is_finite():
        _refuse_amount("finite_number")
    # Checked by magnitude first: 1e999999999 must not be written out to be found too large.
    if amount and amount.adjusted() > 60:
        _refuse_amount("less_than_equal" if amount > 0 else "greater_than_equal", **_bounds(amount))
    try:
        wei = wei_from_eth(amount)
    except ValueError:
        _refuse_amount("decimal_max_places", decimal_places=18)
    if not -MAX_WEI - 1 <= wei <= MAX_WEI:
        _refuse_amount("less_than_equal" if amount > 0 else "greater_than_equal", **_bounds(amount))
    return wei


def _bounds(amount: Decimal) -> dict[str, str]:
    return {"le": eth_from_wei(MAX_WEI)} if amount > 0 else {"ge": eth_from_wei(-MAX_WEI - 1)}


EthAmount = Annotated[
    int,
    BeforeValidator(_parse_wei),
    PlainSerializer(eth_from_wei, return_type=str),
    WithJsonSchema({"type": "string", "description": "ETH, plain decimal notation, at most 18 decimals"}),
]
"""Coming in: ETH as a JSON number or numeric string, whole wei inside."""

Eth = Annotated[
    int,
    PlainSerializer(eth_from_wei, return_type=str),
    WithJsonSchema(
        {"type": "string", "description": "ETH, plain decimal notation", "examples": ["0.00003091"]}
    ),
]
"""Going out: whole wei inside, ETH as a string on the wire."""

# --- Instants -------------------------------------------------------------------------------------


def _to_utc(instant: datetime) -> datetime:
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("instant out of range") from None


def _plus_for_space(value: Any) -> Any:
    """`...T11:57:55+02:00` unquoted in a query string arrives with a space where the `+` was."""
    return (
        re.sub(r"(?<=\d) (?=\d\d:?\d\d$)", "+", value) if isinstance(value, str) and "T" in value else value
    )


Instant = Annotated[datetime, AfterValidator(_to_utc)]
QueryInstant = Annotated[Instant, BeforeValidator(_plus_for_space)]
_DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})
ZuluTime = Annotated[datetime, PlainSerializer(zulu, return_type=str), _DATE_TIME]
OffsetTime = Annotated[datetime, PlainSerializer(offset, return_type=str), _DATE_TIME]

# --- Free-form objects ----------------------------------------------------------------------------


def _storable(value: Any, depth: int = 0) -> Any:
    """The same JSON value, in a form that PostgreSQL's jsonb can hold and our renderer can give back."""
    if depth > MAX_OBJECT_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, Decimal | float):
        number = float(value)
        if not isfinite(number):
            _refuse_amount("finite_number")
        return number
    return value


def compact(value: Any) -> str:
    """Compact JSON, as sizes are measured."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def within_object_cap(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse a free-form object above 64 KiB; called after validation, because 422 comes before 413.

    :raises PayloadTooLarge: compact UTF-8 JSON of the object is longer than 64 KiB.
    """
    if len(compact(value).encode()) > MAX_OBJECT_BYTES:
        raise PayloadTooLarge
    return value


def _object(value: dict[str, Any]) -> Any:
    return _storable(value)


JsonObject = Annotated[dict[str, Any], AfterValidator(_object)]
