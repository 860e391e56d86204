"""`python -m launcher.preparation`: brings the database up to date, in one Django process."""

import io
import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError

# Tables first; then the first staff account and the hosts that the configuration names.
_COMMANDS = ("migrate", "ensure_admin", "bootstrap_registry")


def main() -> int:
    """Run the commands, quietly; what an operator can mend is a sentence, anything else a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        django.setup()
        for name in _COMMANDS:
            call_command(name, stdout=io.StringIO())
    except (ImproperlyConfigured, CommandError) as problem:
        print(problem, file=sys.stderr)
    except OperationalError as problem:
        print(f"The database of DATABASE_URL does not answer: {problem}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
