"""`make check`: everything that can be known about the code without running the tests."""

import secrets
import sys
import time
from collections.abc import Mapping

from launcher import processes
from launcher.environment import PROJECT, VENV
from launcher.messages import say, step
from launcher.services import manage

_PYTHON = sys.executable
_CHECKS: dict[str, tuple[str, ...]] = {
    "format": (_PYTHON, "-m", "ruff", "format", "--check", "."),
    "lint": (_PYTHON, "-m", "ruff", "check", "."),
    "types": (_PYTHON, "-m", "mypy", "."),
    "import contracts": (_PYTHON, str(VENV / "bin" / "lint-imports")),
    "missing migrations": manage("makemigrations", "--check", "--dry-run"),
    "deployment": manage("check", "--deploy", "--fail-level", "WARNING"),
}


def run(variables: Mapping[str, str]) -> int:
    """Run every check, whatever the others say, and return how many failed."""
    # As a careful operator would deploy it: behind TLS, with strong secrets.
    production = {
        **variables,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(64),
        "DJANGO_DEBUG": "false",
        "PAYMENTS_HTTPS_ONLY": "true",
    }
    results = {}
    for name, command in _CHECKS.items():
        step(f"Checking {name}.")
        started_at = time.monotonic()
        passed = processes.run(command, env=production, cwd=PROJECT) == 0
        results[name] = f"{'passed' if passed else 'FAILED'} in {time.monotonic() - started_at:.1f} s"
    say()
    for name, result in results.items():
        say(f"  {name:<20}{result}")
    failed = sum("FAILED" in result for result in results.values())
    say(f"\n{'All checks passed.' if not failed else f'{failed} of {len(results)} checks failed.'}")
    return failed
