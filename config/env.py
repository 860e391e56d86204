"""Reads settings from the environment: typed, blank means unset, a bad value names its variable."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Env:
    """The process environment, completed by a `.env` file whose values never win over it."""

    def __init__(self, dotenv: Path) -> None:
        self._env = environ.Env()
        if dotenv.is_file():
            environ.Env.read_env(str(dotenv))

    def text(self, name: str, default: str = "") -> str:
        return str(self._env.str(name, default="")).strip() or default

    def secret(self, name: str) -> str:
        """What callers send in a header: printable ASCII, because nothing else arrives as it was sent.

        A bad one is refused without being shown.
        """
        text = self.text(name)
        if not all(word.isascii() and word.isprintable() for word in text.split()):
            raise ImproperlyConfigured(f"{name}: expected printable ASCII characters")
        return text

    def path(self, name: str, default: str) -> str:
        """A file to export to. Unlike elsewhere, blank is a choice: it switches the export off."""
        return str(self._env.str(name, default=default)).strip()

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise ImproperlyConfigured(f"{name} is not set. `make run` creates one; see .env.example.")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        def parse(text: str) -> bool:
            word = text.lower()
            if word not in _TRUE | _FALSE:
                raise ValueError("expected true or false")
            return word in _TRUE

        return self._parsed(name, default, parse)

    def positive(self, name: str, default: int, *, minimum: int = 1) -> int:
        """A duration, count, limit or port: a whole number, above 0 unless `minimum` says otherwise."""

        def parse(text: str) -> int:
            number = int(text)
            if number < minimum:
                raise ValueError(f"expected a whole number of at least {minimum}")
            return number

        return self._parsed(name, default, parse)

    def decimal(self, name: str, default: str) -> Decimal:
        """A non-negative amount or rate, exact as written."""

        def parse(text: str) -> Decimal:
            try:
                number = Decimal(text)
            except InvalidOperation:
                raise ValueError("expected a decimal number") from None
            if not number.is_finite() or number < 0:
                raise ValueError("expected a decimal number of at least 0")
            return number

        return self._parsed(name, Decimal(default), parse)

    def words(self, name: str) -> list[str]:
        """A list, separated by commas or whitespace."""
        return self.text(name).replace(",", " ").split()

    def choice(self, name: str, default: str, allowed: frozenset[str]) -> str:
        def parse(text: str) -> str:
            if text not in allowed:
                raise ValueError(f"expected one of {', '.join(sorted(allowed))}")
            return text

        return self._parsed(name, default, parse)

    def parsed(self, name: str, default: T, parse: Callable[[str], T]) -> T:
        """A value with a grammar of its own; `parse` raises ValueError with a sentence."""
        return self._parsed(name, default, parse)

    def _parsed(self, name: str, default: T, parse: Callable[[str], T]) -> T:
        text = self.text(name)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as problem:
            raise ImproperlyConfigured(f"{name} is {text!r}: {problem}") from None
