"""`python3 -m launcher`: refuses an old Python in words that an old Python can still say."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    version = ".".join(str(number) for number in sys.version_info[:2])
    sys.exit(
        "This needs Python 3.11 or newer, and " + sys.executable + " is Python " + version + ". "
        "Install a newer one and name it, for example: make run PYTHON=python3.12"
    )

from launcher.commands import main

sys.exit(main(sys.argv[1:]))
