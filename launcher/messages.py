"""What the launcher says, and how it says no."""

import sys


class Trouble(Exception):
    """A sentence for the person at the keyboard: what is wrong and what to do about it."""


def say(text: str = "") -> None:
    print(text, flush=True)


def step(text: str) -> None:
    say(f"→ {text}" if _speaks_unicode() else f"> {text}")


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
