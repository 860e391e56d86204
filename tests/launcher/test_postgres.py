import os
import pwd
import shutil
import signal
import site
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from launcher import accounts, postgres, processes
from launcher.messages import LauncherError
from tests.servers import PROJECT


def remember(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE memory AS SELECT 42 AS answer")


def recall(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT answer FROM memory").fetchone()
    assert row is not None
    return int(row[0])


def stopped_cluster(data: Path) -> Path:
    postgres.start(data, fsync=False).stop()
    return data / "cluster"


def test_a_second_start_keeps_data_and_address(data: Path) -> None:
    first = postgres.start(data, fsync=False)
    remember(first.url)
    first.stop()

    second = postgres.start(data, fsync=False)

    try:
        assert second.url == first.url
        assert recall(second.url) == 42
    finally:
        second.stop()


def test_books_and_password_are_private_and_nobody_enters_without_it(data: Path) -> None:
    server = postgres.start(data, fsync=False)

    try:
        assert stat.S_IMODE((data / "cluster").stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "password").stat().st_mode) == 0o600
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.url.replace(server.url.split(":")[2].split("@")[0], "guess"))
    finally:
        server.stop()


def test_data_pages_carry_checksums_and_text_sorts_the_same_everywhere(data: Path) -> None:
    server = postgres.start(data, fsync=False)

    try:
        with psycopg.connect(server.url) as connection:
            checksums = connection.execute("SHOW data_checksums").fetchone()
            locale = connection.execute(
                "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'postgres'"
            )
            assert checksums == ("on",)
            assert locale.fetchone() == ("b", "C.UTF-8")
    finally:
        server.stop()


def test_a_killed_server_recovers_what_was_committed(data: Path) -> None:
    killed = postgres.start(data)
    remember(killed.url)
    os.killpg(killed.process.pid, signal.SIGKILL)
    killed.process.wait()

    server = postgres.start(data)

    try:
        assert recall(server.url) == 42
    finally:
        server.stop()


def test_a_lock_that_now_names_another_program_is_no_obstacle(data: Path) -> None:
    cluster = stopped_cluster(data)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (cluster / "postmaster.pid").write_text(f"{bystander.pid}\n{cluster}\n1\n5432\n\n\n0 0\nready\n")
        shutil.chown(cluster / "postmaster.pid", cluster.stat().st_uid)

        server = postgres.start(data, fsync=False)

        server.stop()
        assert bystander.poll() is None
        bystander.kill()


def test_an_empty_lock_is_no_obstacle(data: Path) -> None:
    cluster = stopped_cluster(data)
    (cluster / "postmaster.pid").touch()

    postgres.start(data, fsync=False).stop()


def test_a_server_that_lost_its_launcher_makes_way(data: Path) -> None:
    orphan = postgres.start(data, fsync=False)

    server = postgres.start(data, fsync=False)

    try:
        assert orphan.process.wait(10) == 0
    finally:
        server.stop()


def test_a_server_ends_with_the_launcher_that_was_killed(data: Path) -> None:
    program = f"""
import os, pathlib
from launcher import postgres
server = postgres.start(pathlib.Path({str(data)!r}), fsync=False)
print(server.process.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )

    pid = int(done.stdout)
    assert done.returncode == -signal.SIGKILL
    assert processes.wait_until(lambda: processes.command_of(pid) is None, seconds=10)


def test_an_interrupted_creation_starts_over(data: Path) -> None:
    (data / "cluster.new").mkdir()
    (data / "cluster.new" / "PG_VERSION").write_text("18\n")

    postgres.start(data, fsync=False).stop()

    assert not (data / "cluster.new").exists()


def test_a_port_that_somebody_took_meanwhile_is_replaced(data: Path) -> None:
    stopped_cluster(data)
    port = int((data / "port").read_text())
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()

        server = postgres.start(data, fsync=False)

        server.stop()
        assert urlsplit(server.url).port != port


def test_a_database_of_another_version_is_left_alone(data: Path) -> None:
    (stopped_cluster(data) / "PG_VERSION").write_text("15\n")

    with pytest.raises(LauncherError, match="made by PostgreSQL 15, and this is PostgreSQL 18"):
        postgres.start(data, fsync=False)


def test_a_directory_that_is_no_database_is_left_alone(data: Path) -> None:
    (data / "cluster").mkdir()

    with pytest.raises(LauncherError, match="is not a PostgreSQL database"):
        postgres.start(data, fsync=False)


def test_a_broken_database_is_explained_in_a_sentence(data: Path) -> None:
    (stopped_cluster(data) / "global" / "pg_control").write_bytes(b"")

    with pytest.raises(LauncherError, match=r"does not start\. PostgreSQL says: .* Restore it from a backup"):
        postgres.start(data, fsync=False)


def test_a_lost_password_is_explained_in_a_sentence(data: Path) -> None:
    stopped_cluster(data)
    (data / "password").unlink()

    with pytest.raises(LauncherError, match="password of the database"):
        postgres.start(data, fsync=False)


def test_a_file_in_place_of_the_directory_is_explained_in_a_sentence(data: Path) -> None:
    (data / "postgres").write_text("not a directory")

    with pytest.raises(LauncherError, match="something else is in its place"):
        postgres.start(data / "postgres", fsync=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which cannot run PostgreSQL as itself")
def test_root_reaches_a_closed_directory_through_a_user_namespace(data: Path) -> None:
    closed = data / "closed"
    closed.mkdir(mode=0o700)
    try:
        accounts.choose(Path("/bin/true"), closed)
    except LauncherError:
        pytest.skip("this kernel lets nobody make a user namespace")

    server = postgres.start(closed / "postgres", fsync=False)

    try:
        remember(server.url)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert (closed / "postgres" / "cluster").stat().st_uid == 0
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user_runs_it_plainly_and_is_told_what_is_closed_to_them(data: Path) -> None:
    own = data / "own"
    own.mkdir()
    shutil.chown(own, "nobody")
    start = (
        "import pathlib, sys; from launcher import postgres; postgres.start(pathlib.Path(sys.argv[1])).stop()"
    )
    if as_nobody("import launcher.postgres").returncode != 0:
        pytest.skip("the user nobody can reach no Python of 3.11 or newer")

    plain = as_nobody(start, own / "postgres")
    closed = as_nobody(start, data / "somebody-elses")

    assert plain.returncode == 0, plain.stderr
    assert (own / "postgres" / "cluster").owner() == "nobody"
    assert "cannot be written (Permission denied)" in closed.stderr


def as_nobody(program: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a program with the system's Python, because root's own may be out of others' reach."""
    packages = Path(postgres.__file__).parent.parent, *map(Path, site.getsitepackages())
    return subprocess.run(
        ["/usr/bin/env", "python3", "-c", program, *arguments],
        cwd="/",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": ":".join(map(str, packages))},
        user="nobody",
        group=pwd.getpwnam("nobody").pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
