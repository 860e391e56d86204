"""The vocabulary of wire models: what a string, an amount or an instant may be, coming in and going out.

Wire models are pydantic's, because the contract's problem types are pydantic's own (ADR 3).
"""

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NoReturn

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


def no_nul(text: str) -> str:
    """PostgreSQL text cannot hold U+0000."""
    if "\x00" in text:
        raise ValueError("null characters are not allowed")
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


Text = Annotated[str, AfterValidator(no_nul)]
Identifier = Annotated[Text, StringConstraints(min_length=1, max_length=128)]
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
    if amount.adjusted() > 60:
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
"""Whole wei inside; ETH as a string (or, coming in, also a number) on the wire."""

# --- Instants -------------------------------------------------------------------------------------


def _to_utc(instant: datetime) -> datetime:
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("instant out of range") from None


Instant = Annotated[datetime, AfterValidator(_to_utc)]
_DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})
ZuluTime = Annotated[datetime, PlainSerializer(zulu, return_type=str), _DATE_TIME]
OffsetTime = Annotated[datetime, PlainSerializer(offset, return_type=str), _DATE_TIME]

# --- Free-form objects ----------------------------------------------------------------------------


def _storable(value: Any) -> Any:
    """The same JSON value, in a form that PostgreSQL's jsonb can hold and give back."""
    if isinstance(value, str):
        no_nul(value)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("strings must be valid Unicode") from None
        return value
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, Decimal | float):
        number = float(value)
        if number in (float("inf"), float("-inf")) or number != number:
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


JsonObject = Annotated[dict[str, Any], AfterValidator(_storable)]
