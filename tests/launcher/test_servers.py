from pathlib import Path

import pytest

from launcher import configuration, servers
from launcher.messages import LauncherError


def test_one_launcher_at_a_time_holds_the_data(tmp_path: Path) -> None:
    with (
        servers.locked(tmp_path),
        pytest.raises(LauncherError, match="is running on"),
        servers.locked(tmp_path),
    ):
        pass


def test_a_lock_left_by_a_crash_is_in_nobodys_way_but_tells_of_it(tmp_path: Path) -> None:
    (tmp_path / "launcher.lock").write_text("12345")

    with servers.locked(tmp_path) as after_a_crash:
        pass
    with servers.locked(tmp_path) as after_a_clean_end:
        pass

    assert not after_a_crash
    assert after_a_clean_end


def test_servers_that_were_given_are_used_and_none_is_started(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "postgres://db/x",
        "REDIS_URL": "redis://broker",
        "PAYMENTS_DATA_DIR": str(tmp_path),
    }

    with servers.embedded(configuration.load(given, tmp_path)) as variables:
        assert variables["DATABASE_URL"] == "postgres://db/x"
        assert variables["REDIS_URL"] == "redis://broker"

    assert list(tmp_path.iterdir()) == []


def test_a_server_that_was_killed_is_missed(tmp_path: Path) -> None:
    given = {"DATABASE_URL": "postgres://db/x", "PAYMENTS_DATA_DIR": str(tmp_path)}

    with servers.embedded(configuration.load(given, tmp_path)) as variables:
        variables.check()
        variables.running["Valkey"].process.kill()
        variables.running["Valkey"].process.wait()

        with pytest.raises(LauncherError, match="Valkey ended by itself"):
            variables.check()
