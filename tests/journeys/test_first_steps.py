"""The first steps that the overview of a new installation shows, pasted into a shell."""

import html
import os
import re
import subprocess

import pytest

from billing.models import Orchestrator
from sessions_app.models import StreamSession
from tests.network import staff
from tests.servers import running_server


@pytest.mark.django_db(transaction=True)
def test_the_commands_shown_bring_the_overview_to_life() -> None:
    root = staff()
    with running_server() as server:
        page = root.get("/admin/", headers={"host": server.url.removeprefix("http://")}).content.decode()
        commands = re.findall(r'<pre id="step-\d">(.*?)</pre>', page, re.DOTALL)
        for command in commands:
            subprocess.run(
                ["bash", "-c", html.unescape(command).replace("curl ", "curl -sf ")],
                check=True,
                timeout=30,
                env={**os.environ, "PAYMENTS_SESSION_REPORTER_TOKEN": "test-reporter-token"},
            )

    assert len(commands) == 2
    host = Orchestrator.objects.get()
    assert StreamSession.objects.get().orchestrator == host
    assert "Live sessions" in root.get("/admin/").content.decode()
