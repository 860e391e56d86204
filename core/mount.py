"""Serving below a path prefix."""

from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Mounted:
    """WSGI middleware: moves `/prefix` from the path to `SCRIPT_NAME`, as PEP 3333 wants it.

    A front proxy may strip the prefix itself or leave it; both work.
    """

    def __init__(self, application: Application, prefix: str) -> None:
        self.application = application
        self.prefix = f"/{prefix.strip('/')}" if prefix.strip("/") else ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.prefix:
            path = environ["PATH_INFO"]
            if path == self.prefix or path.startswith(f"{self.prefix}/"):
                environ["PATH_INFO"] = path[len(self.prefix) :] or "/"
            environ["SCRIPT_NAME"] = self.prefix
        return self.application(environ, start_response)
