"""What the launcher itself reads: the environment first, then `.env`, then defaults for one machine."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.messages import LauncherError

_LAST_PORT = 65_535


@dataclass(frozen=True)
class Configuration:
    """The variables that the children get, and what they mean to us."""

    variables: Mapping[str, str]
    data: Path
    host: str
    port: int
    web_workers: int

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the server. `0.0.0.0` and `::` are not addresses to visit."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        prefix = self.variables.get("PAYMENTS_API_ROOT_PATH", "").strip().strip("/")
        return f"http://{host}:{self.port}" + (f"/{prefix}" if prefix else "")

    def has(self, name: str) -> bool:
        return bool(self.variables.get(name, "").strip())


def load(variables: Mapping[str, str], project: Path, *, subdirectory: str = "") -> Configuration:
    """Read our own settings from variables in which the environment has already won over `.env`.

    :raises LauncherError: naming the variable whose value makes no sense.
    """
    data = (project / (variables.get("PAYMENTS_DATA_DIR", "").strip() or "data") / subdirectory).resolve()
    host, port = _listener(variables)
    # A person reads the log on a terminal, a machine anywhere else.
    log = {"PAYMENTS_LOG_JSON": "false"} if sys.stdout.isatty() else {}
    exports = {
        "PAYMENTS_LEDGER_JOURNAL_PATH": str(data / "audit" / "ledger-events.log"),
        "PAYMENTS_AUDIT_LOG_PATH": str(data / "audit" / "registry.log"),
    }
    # An export that is set to blank is switched off, so only unset ones get their place here.
    complete = {**log, **exports, **variables, "PAYMENTS_DATA_DIR": str(data)}
    workers = _number(variables, "PAYMENTS_WEB_WORKERS", 2, 64)
    return Configuration(complete, data, host, port, workers)


def _listener(variables: Mapping[str, str]) -> tuple[str, int]:
    """Host and port; LISTEN_ADDR (`host:port` or `:port`) stands in for both when neither is set."""
    alias = variables.get("LISTEN_ADDR", "").strip()
    names = ("PAYMENTS_API_HOST", "PAYMENTS_API_PORT")
    if alias and not any(variables.get(name, "").strip() for name in names):
        host, _, port = alias.rpartition(":")
        return host.strip("[]") or "0.0.0.0", _number({"LISTEN_ADDR": port}, "LISTEN_ADDR", 8081, _LAST_PORT)  # noqa: S104
    host = variables.get("PAYMENTS_API_HOST", "").strip() or "127.0.0.1"
    return host, _number(variables, "PAYMENTS_API_PORT", 8081, _LAST_PORT)


def _number(variables: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = variables.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise LauncherError(f"{name} is {text!r}: expected a whole number between 1 and {most}.")
    return int(text)
