"""The `.env` file: read so that a variable that is set already wins."""

from pathlib import Path

from launcher.messages import LauncherError


def read(path: Path) -> dict[str, str]:
    """The variables of a file of `NAME=value` lines: comments and `export` allowed, quotes removed."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as problem:
        raise LauncherError(
            f"{path} cannot be read ({problem}). Make it a text file that you can read."
        ) from None
    variables = {}
    for line in text.splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and name.strip() and not name.startswith("#"):
            variables[name.strip()] = _plain(value.strip())
    return variables


def _plain(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.split(" #", 1)[0].rstrip()
