from pathlib import Path

import pytest

from launcher import configuration
from launcher.messages import LauncherError

PROJECT = Path("/project")


def test_unset_means_this_machine_only() -> None:
    setup = configuration.load({}, PROJECT)

    assert setup.address == "http://127.0.0.1:8081"
    assert setup.data == PROJECT / "data"


def test_exports_go_into_the_data_directory_unless_they_are_named_or_switched_off() -> None:
    unset = configuration.load({"PAYMENTS_DATA_DIR": "/books"}, PROJECT).variables
    blank = configuration.load(
        {"PAYMENTS_LEDGER_JOURNAL_PATH": "", "PAYMENTS_AUDIT_LOG_PATH": "/x"}, PROJECT
    ).variables

    assert unset["PAYMENTS_LEDGER_JOURNAL_PATH"] == "/books/audit/ledger-events.log"
    assert unset["PAYMENTS_AUDIT_LOG_PATH"] == "/books/audit/registry.log"
    assert blank["PAYMENTS_LEDGER_JOURNAL_PATH"] == ""
    assert blank["PAYMENTS_AUDIT_LOG_PATH"] == "/x"


@pytest.mark.parametrize(
    ("variables", "host", "port"),
    [
        ({"LISTEN_ADDR": "10.0.0.1:9000"}, "10.0.0.1", 9000),
        ({"LISTEN_ADDR": ":9000"}, "0.0.0.0", 9000),
        ({"LISTEN_ADDR": "[::1]:9000"}, "::1", 9000),
        ({"LISTEN_ADDR": "10.0.0.1:9000", "PAYMENTS_API_PORT": "9001"}, "127.0.0.1", 9001),
        ({"LISTEN_ADDR": "10.0.0.1:9000", "PAYMENTS_API_HOST": "::"}, "::", 8081),
    ],
)
def test_listen_addr_stands_in_when_neither_host_nor_port_is_set(
    variables: dict[str, str], host: str, port: int
) -> None:
    setup = configuration.load(variables, PROJECT)

    assert (setup.host, setup.port) == (host, port)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"PAYMENTS_API_HOST": "0.0.0.0"}, "http://127.0.0.1:8081"),
        ({"PAYMENTS_API_HOST": "::"}, "http://[::1]:8081"),
        ({"PAYMENTS_API_ROOT_PATH": "/payments/"}, "http://127.0.0.1:8081/payments"),
    ],
)
def test_the_address_is_one_that_a_browser_can_visit(variables: dict[str, str], address: str) -> None:
    assert configuration.load(variables, PROJECT).address == address


@pytest.mark.parametrize("port", ["0", "-1", "65536", "80.5", "http"])
def test_a_port_that_makes_no_sense_names_its_variable(port: str) -> None:
    with pytest.raises(LauncherError, match=f"PAYMENTS_API_PORT is '{port}': expected a whole number"):
        configuration.load({"PAYMENTS_API_PORT": port}, PROJECT)
