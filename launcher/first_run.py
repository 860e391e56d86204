"""What a first run needs: a `.env` with secrets of this machine's own."""

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from launcher import dotenv, files
from launcher.messages import step

# Without these the server does not start, or nobody can log in. Anything else may be unset on purpose.
_REQUIRED = ("DJANGO_SECRET_KEY", "DJANGO_SUPERUSER_PASSWORD")
_TEMPLATE = """\
# Made by the first run, for this machine only. Keep it private and out of version control.
# A variable that is set in the environment wins over this file; .env.example explains every one.

# Signs staff sessions. Changing it logs everybody out.
DJANGO_SECRET_KEY={DJANGO_SECRET_KEY}

# The first staff account. It is created when there is none; change the password in the admin.
DJANGO_SUPERUSER_USERNAME={DJANGO_SUPERUSER_USERNAME}
DJANGO_SUPERUSER_PASSWORD={DJANGO_SUPERUSER_PASSWORD}

# Opens the admin API (header X-Admin-Token).
PAYMENTS_API_ADMIN_TOKEN={PAYMENTS_API_ADMIN_TOKEN}

# What edges send with session events (header X-Session-Token).
PAYMENTS_SESSION_REPORTER_TOKEN={PAYMENTS_SESSION_REPORTER_TOKEN}

# What a minute of session time earns. 0 records sessions without crediting them.
PAYMENTS_SESSION_CREDIT_ETH_PER_MINUTE={PAYMENTS_SESSION_CREDIT_ETH_PER_MINUTE}
"""


def variables(path: Path, environment: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """The environment completed by `.env`, and whether `.env` was created just now."""
    created = not path.exists()
    if created:
        step(f"Creating {path.name} with random secrets.")
        files.write_private(path, _TEMPLATE.format_map(_defaults()))
    wanting = [name for name in _REQUIRED if not environment.get(name, "").strip()]
    kept = dotenv.read(path)
    missing = [name for name in wanting if not kept.get(name, "")]
    if missing:
        step(f"Adding to {path.name}, with random values: {', '.join(missing)}.")
        files.write_private(path, _completed(path.read_text(encoding="utf-8"), missing))
        kept = dotenv.read(path)
    return {**kept, **environment, **{name: kept[name] for name in wanting}}, created


def _completed(text: str, missing: list[str]) -> str:
    """Somebody's own file, with values for blank or absent names, and otherwise as it was."""
    for name in missing:
        line = f"{name}={_defaults()[name]}"
        text, found = re.subn(rf"^[ \t]*(?:export[ \t]+)?{name}[ \t]*=.*$", line, text, flags=re.MULTILINE)
        if not found:
            text = f"{text.rstrip()}\n{line}\n".lstrip()
    return text


def _defaults() -> dict[str, str]:
    # All of them, even where the environment has one already: the file never copies somebody's secret.
    return {
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        "DJANGO_SUPERUSER_USERNAME": "admin",
        "DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe(12),
        "PAYMENTS_API_ADMIN_TOKEN": secrets.token_urlsafe(24),
        "PAYMENTS_SESSION_REPORTER_TOKEN": secrets.token_urlsafe(24),
        "PAYMENTS_SESSION_CREDIT_ETH_PER_MINUTE": "0.0006",
    }
