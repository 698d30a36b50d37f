"""Clients' addresses: whose they are, and which networks hold them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_PREFIX = 64
"""Whoever has one IPv6 address mostly has the whole network."""


def parse_address(text: str) -> Address:
    """An address as a socket or a proxy gives it; one of IPv4 in the clothes of IPv6 is one of IPv4.

    Raises:
        ValueError: it is none.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def holder_of(address: Address) -> str:
    """Who has an address: it alone in IPv4, its network in IPv6."""
    if address.version == 4:  # noqa: PLR2004 - its name
        return str(address)
    return str(ipaddress.ip_network(f"{address}/{_IPV6_PREFIX}", strict=False))


def is_loopback(host: str) -> bool:
    """Whether a name or an address can be reached from this machine alone."""
    try:
        return host == "localhost" or parse_address(host).is_loopback
    except ValueError:
        return False


class Networks:
    """Some networks, as a setting names them: addresses, or networks such as 10.0.0.0/8."""

    def __init__(self, names: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(name) for name in names]

    def __contains__(self, address: Address | str) -> bool:
        """Whether one holds an address. What is none, none does."""
        if isinstance(address, str):
            try:
                address = parse_address(address)
            except ValueError:
                return False
        return any(address in network for network in self._networks)
