"""Model fields that Django does not have."""

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class AmountField(models.DecimalField):  # type: ignore[type-arg]
    """A whole number of an asset's smallest unit: `NUMERIC(78,0)` in PostgreSQL, `int` in Python.

    A bigint overflows at 9.22 ETH, and Python's Decimal rounds at 28 digits unless told otherwise.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = 78, 0
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_digits"], kwargs["decimal_places"]
        return name, path, args, kwargs

    def from_db_value(self, value: Decimal | None, *_: object) -> int | None:
        return None if value is None else int(value)

    def to_python(self, value: Any) -> Any:
        if value is None or isinstance(value, int):
            return value
        try:
            whole = int(value)
        except (TypeError, ValueError, OverflowError):
            raise ValidationError("Enter a whole number.", code="invalid") from None
        if whole != value and str(whole) != str(value).strip():
            raise ValidationError("Enter a whole number.", code="invalid")
        return whole

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        return self.to_python(value)

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        return value if hasattr(value, "as_sql") else self.to_python(value)
