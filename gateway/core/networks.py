"""IP networks as people write them, for the settings and for plugins."""

from __future__ import annotations

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_RIGHT = "must be an IP address such as 10.0.0.7 or a network such as 10.0.0.0/8, without bits behind its mask"


def network(text: str) -> Network:
    """Read one address or a network in CIDR form; an IPv4 one that is written within IPv6 as what it is.

    Raises ``ValueError`` with what would be right.
    """
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(_RIGHT + _without_bits(text)) from None
    mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
    return found if mapped is None else ipaddress.IPv4Network((mapped, max(found.prefixlen - 96, 0)))


def _without_bits(text: str) -> str:
    """The network that was meant, where only bits behind the mask are wrong."""
    try:
        return f": write {ipaddress.ip_network(text, strict=False)}"
    except ValueError:
        return ""
