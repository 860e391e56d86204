"""Reading settings: typed, blank means unset, a bad value names its variable."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import Env

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    return Env(tmp_path / "no.env")


def test_a_variable_of_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("EXAMPLE_WINS=file\nEXAMPLE_FILLS=file\n")
    monkeypatch.setenv("EXAMPLE_WINS", "environment")
    monkeypatch.delenv("EXAMPLE_FILLS", raising=False)

    env = Env(tmp_path / ".env")

    assert env.text("EXAMPLE_WINS") == "environment"
    assert env.text("EXAMPLE_FILLS") == "file"
    monkeypatch.delenv("EXAMPLE_FILLS")


def test_blank_means_unset(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE", "  ")

    assert env.text("EXAMPLE", "default") == "default"
    assert env.positive("EXAMPLE", 7) == 7
    assert env.boolean("EXAMPLE", default=True) is True


def test_a_blank_export_path_switches_the_export_off(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.path("EXAMPLE_PATH", "/somewhere") == "/somewhere"

    monkeypatch.setenv("EXAMPLE_PATH", "")

    assert env.path("EXAMPLE_PATH", "/somewhere") == ""


def test_a_missing_required_value_names_its_variable(env: Env) -> None:
    with pytest.raises(ImproperlyConfigured, match="EXAMPLE_REQUIRED is not set"):
        env.required("EXAMPLE_REQUIRED")


def test_a_secret_that_no_header_can_carry_is_refused_unseen(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAMPLE_SECRET", "gehüpft")

    with pytest.raises(ImproperlyConfigured, match="EXAMPLE_SECRET: expected printable ASCII") as refusal:
        env.secret("EXAMPLE_SECRET")

    assert "gehüpft" not in str(refusal.value)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "\u0661x"])
def test_a_count_that_is_none_names_its_variable(
    env: Env, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("EXAMPLE_COUNT", text)

    with pytest.raises(ImproperlyConfigured, match="EXAMPLE_COUNT"):
        env.positive("EXAMPLE_COUNT", 1)


@pytest.mark.parametrize("text", ["-0.1", "NaN", "Infinity", "a lot"])
def test_a_rate_that_is_none_names_its_variable(env: Env, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("EXAMPLE_RATE", text)

    with pytest.raises(ImproperlyConfigured, match="EXAMPLE_RATE"):
        env.decimal("EXAMPLE_RATE", "0")


def test_a_rate_keeps_every_digit(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_RATE", "0.0000053535961234567890123456789")

    assert env.decimal("EXAMPLE_RATE", "0") == Decimal("0.0000053535961234567890123456789")


@pytest.mark.parametrize(
    ("text", "value"), [("YES", True), ("on", True), ("1", True), ("Off", False), ("0", False)]
)
def test_booleans_are_words(env: Env, monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("EXAMPLE_FLAG", text)

    assert env.boolean("EXAMPLE_FLAG", default=not value) is value


def test_a_boolean_that_is_none_names_its_variable(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_FLAG", "maybe")

    with pytest.raises(ImproperlyConfigured, match="EXAMPLE_FLAG"):
        env.boolean("EXAMPLE_FLAG", default=False)


def test_lists_are_separated_by_commas_or_whitespace(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_LIST", "a, b\tc\n,d")

    assert env.words("EXAMPLE_LIST") == ["a", "b", "c", "d"]


def test_an_unknown_choice_names_its_variable(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_CHOICE", "carrier_pigeon")

    with pytest.raises(ImproperlyConfigured, match="EXAMPLE_CHOICE"):
        env.choice("EXAMPLE_CHOICE", "a", frozenset({"a", "b"}))


def test_every_setting_is_documented() -> None:
    settings = (ROOT / "config/settings.py").read_text()
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z0-9_]+)\"", settings))
    documented = set(re.findall(r"^([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    launcher = "".join(path.read_text() for path in (ROOT / "launcher").glob("*.py"))

    assert len(read) > 40
    assert read <= documented
    assert {name for name in documented - read if name not in launcher} == set()
