"""The caller's address behind reverse proxies: the only place that decides it.

``X-Forwarded-For`` and ``Forwarded`` (RFC 7239) are believed from proxies in ``server.trusted_proxies`` alone, and only
as far back as they wrote it: each adds the address that called it at the end, so the list is read from there, and the
first address that is not a trusted proxy's is the caller. Everything before it may be forged. A proxy that writes one
of the two passes on the other as it came: where they disagree, neither is believed. Headers with one address, such as
``X-Real-IP``, are never read. This is decided for each request, because a proxy sends the requests of many callers on
one connection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from aiohttp import web

from gateway.core.networks import Network

X_FORWARDED_FOR, FORWARDED = "X-Forwarded-For", "Forwarded"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]*)\](?::[0-9]{1,5})?|(?P<v4>[0-9.]+):[0-9]{1,5}")
_PAIR = re.compile(r'([A-Za-z-]+)=([^\s;="]+|"[^"\\]*")')
_HOP = re.compile(rf"{_PAIR.pattern}(?:[ \t]*;[ \t]*{_PAIR.pattern}){{0,7}};?")


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

    def caller(self, peer: str | None, x_forwarded_for: Sequence[str], forwarded: Sequence[str] = ()) -> str | None:
        """The address of the caller. ``peer`` made the connection; the others are the lines of each header in order.

        A text that is not an address (``unknown``, ``_hidden``) ends the search: and the proxy before it is the caller.
        """
        if not self.has(peer):
            return peer
        chains = [[one.strip().strip('"') for one in _hops(x_forwarded_for)]] if x_forwarded_for else []
        chains += [[_for_of(one.strip()) for one in _hops(forwarded)]] if forwarded else []
        found = {self._first_stranger(peer, chain) for chain in chains}
        return str(found.pop() if len(found) == 1 else _parsed(peer or ""))

    def _first_stranger(self, peer: str | None, hops: list[str]) -> Address | None:
        found = _parsed(peer or "")
        while self._trusts(found) and hops:
            before = _parsed(hops.pop())
            if before is None:
                break
            found = before
        return found

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


PROXIES = web.AppKey("proxies", Proxies)


def caller_of(request: web.Request) -> str | None:
    """The address of a request's caller."""
    headers = request.headers
    written = headers.getall(X_FORWARDED_FOR, ()), headers.getall(FORWARDED, ())
    return request.app[PROXIES].caller(request.remote, *written)


def _hops(lines: Sequence[str]) -> list[str]:
    """The hops of a header, the last one nearest. A comma within quotes makes two texts, neither an address."""
    return ",".join(lines).split(",")


def _for_of(hop: str) -> str:
    """What a hop of ``Forwarded`` says of the address that called; "" where it is not exactly one thing."""
    pairs = _PAIR.findall(hop) if _HOP.fullmatch(hop) else []
    found = [value for name, value in pairs if name.lower() == "for"]
    return found[0].strip('"') if len(found) == 1 else ""


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
