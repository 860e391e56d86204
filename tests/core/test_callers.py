"""How an address is spelled, and who is calling."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from core.net import client_ip, host_ip, normalise_ip


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("203.0.113.1", "203.0.113.1"),
        (" 203.0.113.1 ", "203.0.113.1"),
        ("2001:DB8::0001", "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("::FFFF:cb00:7101", "203.0.113.1"),
        ("::1", "::1"),
    ],
)
def test_an_address_has_one_spelling(text: str, normal: str) -> None:
    assert normalise_ip(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "example.org",
        "203.0.113",
        "203.0.113.256",
        "010.0.0.1",
        "1",
        "fe80::1%eth0",
        "[::1]",
        "::1/64",
        "\x00",
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert normalise_ip(text) is None


@given(st.text())
def test_any_text_is_read_cleanly(text: str) -> None:
    normal = normalise_ip(text)

    assert normal is None or normalise_ip(normal) == normal


@given(st.ip_addresses())
def test_every_address_is_an_address(address: object) -> None:
    assert normalise_ip(str(address)) is not None


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://203.0.113.1:9090/health", "203.0.113.1"),
        ("https://[2001:DB8::1]/", "2001:db8::1"),
        ("http://example.org/", None),
        ("http://[::1", None),
        ("", None),
    ],
)
def test_a_url_may_name_its_host_by_address(url: str, host: str | None) -> None:
    assert host_ip(url) == host


def caller(peer: str, forwarded: str | None = None) -> str | None:
    meta = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_ip(meta)


def test_without_trusted_proxies_the_header_is_ignored_even_from_loopback() -> None:
    assert caller("127.0.0.1", "203.0.113.1") == "127.0.0.1"


def test_a_trusted_proxy_says_who_called(settings: Settings) -> None:
    settings.TRUSTED_PROXY_CIDRS = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]

    assert caller("10.1.2.3", "203.0.113.1") == "203.0.113.1"
    assert caller("10.1.2.3", " ::FFFF:203.0.113.1 , 10.9.9.9") == "203.0.113.1"
    assert caller("fd00::1", "2001:DB8::1") == "2001:db8::1"
    assert caller("::ffff:10.1.2.3", "203.0.113.1") == "203.0.113.1"


def test_a_header_that_says_nothing_useful_is_ignored(settings: Settings) -> None:
    settings.TRUSTED_PROXY_CIDRS = [ip_network("10.0.0.0/8")]

    assert caller("10.1.2.3", "unknown, 203.0.113.1") == "10.1.2.3"
    assert caller("10.1.2.3", "") == "10.1.2.3"
    assert caller("192.0.2.1", "203.0.113.1") == "192.0.2.1"


def test_a_caller_without_an_address_is_nobody(settings: Settings) -> None:
    settings.TRUSTED_PROXY_CIDRS = [ip_network("10.0.0.0/8")]

    assert caller("", "203.0.113.1") is None
    assert client_ip({}) is None
