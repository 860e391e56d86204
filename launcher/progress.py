"""Shows where pip is: what it is at, and how much is left."""

import sys

from launcher.messages import say

_LOOKED_AT = ("Collecting ", "Requirement already satisfied: ")


class Progress:
    """Counts packages in pip's own words."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._seen = 0

    def read(self, line: str) -> None:
        for word in _LOOKED_AT:
            if line.startswith(word):
                self._seen += 1
                name = line.removeprefix(word).split(maxsplit=1)[0]
                self._show(f"  [{self._seen:>3}/{self._total}] {name}", last=False)
        if line.startswith("Installing collected packages"):
            self._show("  All there. Unpacking.", last=True)

    def _show(self, text: str, *, last: bool) -> None:
        """In one place on a terminal, elsewhere a line each."""
        if sys.stdout.isatty():
            print(f"\r\x1b[2K{text}", end="\n" if last else "", flush=True)
        else:
            say(text)
