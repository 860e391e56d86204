import stat
from pathlib import Path

import pytest
import redis

from launcher import valkey
from launcher.messages import LauncherError


def test_a_second_start_keeps_what_was_queued(data: Path) -> None:
    first = valkey.start(data)
    with redis.Redis.from_url(first.url) as client:
        client.rpush("queue", "task")
    first.stop()

    second = valkey.start(data)

    try:
        with redis.Redis.from_url(second.url) as client:
            assert client.lrange("queue", 0, -1) == [b"task"]
    finally:
        second.stop()


def test_nobody_enters_without_the_password_which_only_we_can_read(data: Path) -> None:
    server = valkey.start(data)

    try:
        port = (data / "port").read_text().strip()
        with redis.Redis(port=int(port)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert stat.S_IMODE((data / "valkey.conf").stat().st_mode) == 0o600
    finally:
        server.stop()


def test_a_server_that_lost_its_launcher_makes_way(data: Path) -> None:
    orphan = valkey.start(data)

    server = valkey.start(data)

    try:
        assert orphan.process.wait(10) == 0
    finally:
        server.stop()


def test_a_broken_file_is_explained_in_a_sentence(data: Path) -> None:
    valkey.start(data).stop()
    for manifest in (data / "appendonlydir").glob("*.manifest"):
        manifest.write_text("this is not a manifest\n")

    with pytest.raises(LauncherError, match=r"Valkey does not start on .* there is no money in it"):
        valkey.start(data)
