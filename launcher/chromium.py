"""The browser for browser tests: one that is here already, or Debian's."""

import os
import shutil
import subprocess
from collections.abc import Mapping

from launcher.messages import step

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find(env: Mapping[str, str]) -> str | None:
    """The path of a Chromium, or None. PLAYWRIGHT_CHROMIUM names one that is not on PATH."""
    named = env.get("PLAYWRIGHT_CHROMIUM", "").strip()
    return next((path for name in ([named] if named else _NAMES) if (path := shutil.which(name))), None)


def provide(env: Mapping[str, str]) -> str | None:
    """Find a Chromium or install one; None, after saying so, where neither works."""
    found = find(env)
    if found:
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        step(
            "No Chromium here and no way to install one without asking: browser tests will be skipped. "
            "Install chromium, or set PLAYWRIGHT_CHROMIUM to its path, to run them."
        )
        return None
    step("Installing Chromium for browser tests (apt-get; a minute or two the first time).")
    quietly = {**env, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update", "-qq"), ("install", "-y", "-qq", "--no-install-recommends", "chromium")):
        done = subprocess.run(
            ["apt-get", *words],
            env=quietly,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            step(f"Chromium could not be installed ({last}): browser tests will be skipped.")
            return None
    return find(env)
