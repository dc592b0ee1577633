"""The caller's address behind reverse proxies: the only place that decides it.

``X-Forwarded-For`` is believed from proxies in ``server.trusted_proxies`` alone, and only as far back as they wrote it:
each adds the address that called it at the end, so the list is read from there, and the first address that is not a
trusted proxy's is the caller. Everything before it may be forged. This is decided for each request, because a proxy
sends the requests of many callers on one connection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from aiohttp import web

from gateway.core.networks import Network

HEADER = "X-Forwarded-For"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]*)\](?::[0-9]{1,5})?|(?P<v4>[0-9.]+):[0-9]{1,5}")


class Proxies:
    """The trusted proxies. Without any, the caller's address is that of the connection."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self.trust(networks)

    def trust(self, networks: Sequence[Network]) -> None:
        """Trust these from now on, and no others."""
        self._networks = tuple(networks)

    def has(self, address: str | None) -> bool:
        """Whether this is the address of a trusted proxy."""
        return bool(self._networks) and self._trusts(_parsed(address or ""))

    def caller(self, peer: str | None, forwarded: Iterable[str]) -> str | None:
        """The address of the caller. ``peer`` made the connection; ``forwarded`` are the header's lines in order.

        A text that is not an address ends the search: then the proxy before it is the caller.
        """
        if not self.has(peer):
            return peer
        found = _parsed(peer or "")
        hops = ",".join(forwarded).split(",")
        while self._trusts(found) and hops:
            before = _parsed(hops.pop().strip())
            if before is None:
                break
            found = before
        return str(found)

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


PROXIES = web.AppKey("proxies", Proxies)


def caller_of(request: web.Request) -> str | None:
    """The address of a request's caller."""
    return request.app[PROXIES].caller(request.remote, request.headers.getall(HEADER, ()))


def _parsed(text: str) -> Address | None:
    """An address as proxies write it, also with a port; an IPv4-mapped IPv6 address as IPv4. None otherwise."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((with_port["v6"] or with_port["v4"]) if with_port else text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address
