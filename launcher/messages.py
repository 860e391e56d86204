"""What the launcher says, and how it says no."""

import contextlib
import sys


class LauncherError(Exception):
    """A sentence for the person at the keyboard: what is wrong and what to do about it."""


def say(text: str = "") -> None:
    # A terminal that was closed reads nothing any more, and what we do still matters.
    with contextlib.suppress(OSError):
        print(text, flush=True)


def step(text: str) -> None:
    """Announce what is happening now."""
    say(f"> {text}")


def complain(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
