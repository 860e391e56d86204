"""Settings of the registry that stop start-up when they cannot be meant."""

import os
import subprocess
import sys

import pytest


def start(**variables: str) -> str:
    """What Python says when it loads the settings with these variables; nothing if it is content."""
    program = "import config.settings"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stderr


def test_the_settings_of_the_tests_are_good() -> None:
    wallet = "0x" + 40 * "1"
    lists = {
        "PAYMENTS_MANAGER_IP_ALLOWLIST": "192.0.2.1,2001:DB8::7",
        "PAYMENTS_ADDRESS_DENYLIST": f"{wallet},",
    }

    assert start(TOP_CONTRACT_ADDRESS=wallet, **lists) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOP_CONTRACT_ADDRESS", "0x12"),
        ("TOP_CACHE_TTL_SECONDS", "0"),
        ("PAYMENTS_REGISTRATION_PER_MINUTE", "many"),
        ("PAYMENTS_TRUSTED_PROXY_CIDRS", "10.0.0.0/33"),
        ("PAYMENTS_MANAGER_IP_ALLOWLIST", "192.0.2.1, 10.0.0.0/8"),
        ("PAYMENTS_ADDRESS_DENYLIST", f"0x{40 * 'a'} 0x{39 * 'b'}"),
        ("PAYMENTS_SINGLE_ORCHESTRATOR_MODE", "perhaps"),
    ],
)
def test_a_bad_value_stops_start_up_and_names_the_variable(name: str, value: str) -> None:
    assert f"ImproperlyConfigured: {name} is {value!r}" in start(**{name: value})


def test_single_mode_needs_an_id_and_an_address() -> None:
    missing = start(PAYMENTS_SINGLE_ORCHESTRATOR_MODE="true", ORCHESTRATOR_ID="solo")
    complete = start(
        PAYMENTS_SINGLE_ORCHESTRATOR_MODE="true", ORCHESTRATOR_ID="solo", ORCHESTRATOR_ADDRESS="0x" + 40 * "1"
    )

    assert "ORCHESTRATOR_ID and ORCHESTRATOR_ADDRESS are required" in missing
    assert complete == ""


def test_proxies_are_words_or_a_json_list() -> None:
    assert start(PAYMENTS_TRUSTED_PROXY_CIDRS='["10.0.0.0/8", "fd00::/8"]') == ""
    assert start(PAYMENTS_TRUSTED_PROXY_CIDRS="10.0.0.1/8, fd00::/8") == ""
