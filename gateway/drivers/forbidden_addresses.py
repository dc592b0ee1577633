"""Where the gateway never connects outside development: an explicit table, because ``ipaddress.is_global`` is true
for NAT64, 6to4 and others that can carry a private address inside a public one.

Source: the IANA special-purpose address registries for IPv4 and IPv6, plus one platform address they do not list.
"""

from __future__ import annotations

import functools
import ipaddress

_FORBIDDEN = {
    "0.0.0.0/8": "this network, unspecified",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared with a carrier (CGNAT)",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's host agent, on a public address",
    "169.254.0.0/16": "link-local, instance metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, broadcast",
    "::/96": "unspecified, loopback, IPv4-compatible",
    "::ffff:0:0/96": "IPv4-mapped",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b::/96": "NAT64: any IPv4 address inside",
    "64:ff9b:1::/48": "NAT64, local use",
    "100::/64": "discard",
    "100:0:0:1::/64": "dummy",
    "2001::/23": "protocol assignments: Teredo, benchmarks, ORCHID",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4: any IPv4 address inside",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")  # all that is assigned for hosts; the rest of IPv6 is reserved
_NETWORKS = tuple(ipaddress.ip_network(network) for network in _FORBIDDEN)


@functools.lru_cache(1024)
def is_forbidden(address: str) -> bool:
    """Whether an address, in the form a socket takes, is in the table. What is not an address is forbidden."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return True
    if found.version == 6 and (found not in _GLOBAL_IPV6 or found.scope_id is not None):
        return True  # a zone is for link-local addresses; on another one it only chooses the way out
    return any(found in network for network in _NETWORKS)
