"""Which addresses belong to the public internet, and which are somebody's inside."""

from ipaddress import IPv4Address, IPv6Address, ip_network

Address = IPv4Address | IPv6Address

# Kept here rather than asked from `ipaddress`, whose tables change between patch releases of Python.
REFUSED_V4 = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; also a metadata address
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's metadata and health address, public by its look
        "169.254.0.0/16",  # link-local, with most metadata addresses
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; also a metadata address
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # former 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# Of IPv6 only the global unicast block is public, without what is set aside in it. Loopback, link-local,
# private, multicast and IPv4-compatible addresses all lie outside.
PUBLIC_V6 = ip_network("2000::/3")
REFUSED_V6 = tuple(
    ip_network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
NAT64 = ip_network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address, or the IPv4 address embedded in it, belongs to the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_V4)
    if embedded := _embedded(address):
        return is_public(embedded)
    return address in PUBLIC_V6 and not any(address in network for network in REFUSED_V6)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to an IPv6 address are translated or tunnelled to."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
