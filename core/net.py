"""Addresses: how an IP is spelled, and who is calling."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest


@lru_cache(maxsize=16_384)
def normalise_ip(text: str) -> str | None:
    """Spell an IP literal canonically, or return None when it is not one.

    IPv6 becomes lower-case and compressed, an IPv4-mapped IPv6 address becomes IPv4. Zone indices
    (`fe80::1%eth0`) name an interface of the caller and mean nothing here, so they are refused.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        address = address.ipv4_mapped or address
    return str(address)


def host_ip(url: str) -> str | None:
    """The host of a URL, when it is an IP literal."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    return normalise_ip(host) if host else None


def client_ip(meta: Mapping[str, str]) -> str | None:
    """Who is calling: the socket peer, or the first forwarded address if the peer is a trusted proxy.

    The front proxy must overwrite `X-Forwarded-For`, not append to it.
    """
    peer = normalise_ip(meta.get("REMOTE_ADDR", ""))
    forwarded = meta.get("HTTP_X_FORWARDED_FOR")
    if forwarded and peer and _is_trusted(peer):
        return normalise_ip(forwarded.split(",", 1)[0]) or peer
    return peer


@lru_cache(maxsize=1_024)
def _is_trusted_by(peer: str, networks: tuple[object, ...]) -> bool:
    address = ip_address(peer)
    return any(address in network for network in networks)  # type: ignore[operator]


def _is_trusted(peer: str) -> bool:
    return _is_trusted_by(peer, tuple(settings.TRUSTED_PROXY_CIDRS))


def request_ip(request: HttpRequest) -> str | None:
    """`client_ip` for a Django request."""
    return client_ip(request.META)
