"""The README's commands, pasted as a reader would paste them, against the real server."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers import running_server

README = Path(__file__).resolve().parents[2] / "README.md"


def shell_blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)


def answers(output: str) -> list[dict[str, Any]]:
    """The JSON objects that a run of curls printed, one after the other."""
    decoder, found, position = json.JSONDecoder(), [], 0
    while position < len(output):
        answer, position = decoder.raw_decode(output, position)
        found.append(answer)
        position += len(output[position:]) - len(output[position:].lstrip())
    return found


@pytest.mark.django_db(transaction=True)
def test_the_first_steps_work_when_they_are_pasted(tmp_path: Path) -> None:
    _make_targets, settings, *steps = shell_blocks()

    with running_server() as server:
        (tmp_path / ".env").write_text(
            "PAYMENTS_API_ADMIN_TOKEN=test-admin-token\n"
            "PAYMENTS_SESSION_REPORTER_TOKEN=test-reporter-token\n"
            f"PAYMENTS_API_PORT={server.url.rpartition(':')[2]}\n"
        )
        pasted = subprocess.run(
            ["sh", "-eu", "-c", "\n".join([settings, *steps])],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )

    registered, start, heartbeat, end, record, events, stats, adjusted = answers(pasted.stdout)
    assert registered["message"] == "Registered orchestrator"
    assert (start["orchestrator_id"], heartbeat["heartbeat_count"], end["last_event"]) == ("orch-a", 1, "end")
    assert end["ended_at"] is not None
    assert record["balance_eth"] == end["billed_eth"] != "0"
    assert [event["reason"] for event in events["events"]] == ["session_time"]
    assert stats["total_session_eth"] == end["billed_eth"]
    assert (adjusted["delta_eth"], adjusted["reason"]) == ("0.001", "welcome bonus")


def test_every_file_the_readme_points_to_exists() -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", README.read_text())

    assert linked
    assert [link for link in linked if not (README.parent / link).exists()] == []


def test_the_two_commands_come_first() -> None:
    assert [line.split("#")[0].strip() for line in shell_blocks()[0].splitlines()] == [
        "make run",
        "make test",
    ]
