import stat
from pathlib import Path

from launcher import dotenv, first_run


def test_the_first_run_writes_random_secrets_that_only_the_owner_reads(tmp_path: Path) -> None:
    one, created = first_run.variables(tmp_path / ".env", {})
    other, _ = first_run.variables(tmp_path / "other", {})

    assert created
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert len(one["DJANGO_SECRET_KEY"]) >= 50
    for name in ("DJANGO_SECRET_KEY", "DJANGO_SUPERUSER_PASSWORD", "PAYMENTS_API_ADMIN_TOKEN"):
        assert one[name] != other[name]


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first, _ = first_run.variables(tmp_path / ".env", {})

    second, created = first_run.variables(tmp_path / ".env", {})

    assert not created
    assert second == first


def test_the_environment_wins_over_the_file_even_when_it_is_blank(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DJANGO_SECRET_KEY=file\nDATABASE_URL=file\nREDIS_URL=file\n")

    variables, _ = first_run.variables(tmp_path / ".env", {"DATABASE_URL": "environment", "REDIS_URL": ""})

    assert variables["DATABASE_URL"] == "environment"
    assert variables["REDIS_URL"] == ""
    assert variables["DJANGO_SECRET_KEY"] == "file"


def test_a_secret_of_the_environment_is_never_copied_into_the_file(tmp_path: Path) -> None:
    first_run.variables(tmp_path / ".env", {"PAYMENTS_API_ADMIN_TOKEN": "from-the-vault"})

    assert "from-the-vault" not in (tmp_path / ".env").read_text()


def test_a_file_of_ones_own_gets_only_what_the_server_cannot_start_without(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# mine\nDJANGO_SECRET_KEY=\nDATABASE_URL=postgres://db/x")

    variables, created = first_run.variables(tmp_path / ".env", {})

    assert not created
    assert variables["DJANGO_SECRET_KEY"]
    assert "PAYMENTS_API_ADMIN_TOKEN" not in variables
    assert (tmp_path / ".env").read_text() == (
        f"# mine\nDJANGO_SECRET_KEY={variables['DJANGO_SECRET_KEY']}\nDATABASE_URL=postgres://db/x\n"
        f"DJANGO_SUPERUSER_PASSWORD={variables['DJANGO_SUPERUSER_PASSWORD']}\n"
    )


def test_a_blank_secret_in_the_environment_does_not_replace_the_one_in_the_file(tmp_path: Path) -> None:
    first, _ = first_run.variables(tmp_path / ".env", {})

    second, _ = first_run.variables(tmp_path / ".env", {"DJANGO_SECRET_KEY": ""})

    assert second == first


def test_comments_quotes_and_exports_are_understood(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# A=1\n\nexport B=2\nC = 'a # b'\nD=\"x=y\"\nE=plain # why\nF=http://x/#y\nG=\nnonsense\n"
    )

    assert dotenv.read(tmp_path / ".env") == {
        "B": "2",
        "C": "a # b",
        "D": "x=y",
        "E": "plain",
        "F": "http://x/#y",
        "G": "",
    }
