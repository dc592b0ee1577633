"""Behind reverse proxies: whose request it is, decided for each request, and only by what trusted proxies wrote."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gateway.drivers.settings import Rate
from gateway.drivers.store.inbox import InboxFilter, InboxRow
from gateway.web import failure_limits
from gateway.web.connections.capacity import Capacity
from gateway.web.proxies import Proxies
from tests.support.clients.psp_callbacks import new_payment, post, signed_body
from tests.support.stack import GatewayStack, running_stack

TRUSTED = Proxies([ip_network(one) for one in ("10.0.0.0/8", "127.0.0.1/32", "2001:db8:ff::/48")])
PROXY, BRIDGE = "10.0.0.1", "203.0.113.7"

TABLE: list[tuple[str, str | None, tuple[str, ...], str | None]] = [
    ("no header", PROXY, (), PROXY),
    ("one proxy", PROXY, (BRIDGE,), BRIDGE),
    ("two proxies", PROXY, (f"{BRIDGE}, 10.9.9.9",), BRIDGE),
    ("two proxies, two lines", PROXY, (BRIDGE, "10.9.9.9"), BRIDGE),
    ("no blank", PROXY, (f"{BRIDGE},10.9.9.9",), BRIDGE),
    ("a stranger wrote the first hop", PROXY, (f"198.51.100.1, {BRIDGE}",), BRIDGE),
    ("a stranger wrote a trusted hop", PROXY, (f"10.1.1.1, {BRIDGE}",), BRIDGE),
    ("a stranger wrote a line of its own", PROXY, ("198.51.100.1", f"{BRIDGE}, 10.9.9.9"), BRIDGE),
    ("only proxies", PROXY, ("10.2.2.2, 10.3.3.3",), "10.2.2.2"),
    ("from nobody trusted", BRIDGE, ("198.51.100.1",), BRIDGE),
    ("from nobody trusted, naming a proxy", BRIDGE, ("10.0.0.1",), BRIDGE),
    ("garbage", PROXY, ("unknown",), PROXY),
    ("an empty line", PROXY, ("",), PROXY),
    ("garbage behind the caller", PROXY, (f"{BRIDGE}, -",), PROXY),
    ("garbage before a proxy", PROXY, ("_hidden, 10.9.9.9",), "10.9.9.9"),
    ("an empty hop", PROXY, (f"{BRIDGE}, ,",), PROXY),
    ("a host name", PROXY, ("bridge.example",), PROXY),
    ("a port", PROXY, (f"{BRIDGE}:4711",), BRIDGE),
    ("IPv6", PROXY, ("2001:db8::7",), "2001:db8::7"),
    ("IPv6 in brackets", PROXY, ("[2001:db8::7]",), "2001:db8::7"),
    ("IPv6 with a port", PROXY, ("[2001:db8::7]:443",), "2001:db8::7"),
    ("IPv6 written out", PROXY, ("2001:0DB8:0000:0000:0000:0000:0000:0007",), "2001:db8::7"),
    ("an IPv6 proxy", "2001:db8:ff::1", (BRIDGE,), BRIDGE),
    ("a proxy within IPv6", "::ffff:10.0.0.1", (BRIDGE,), BRIDGE),
    ("a caller within IPv6", PROXY, (f"::ffff:{BRIDGE}",), BRIDGE),
    ("a scope", PROXY, ("fe80::1%eth0",), PROXY),
    ("leading zeros", PROXY, ("203.0.113.007",), PROXY),
    ("a number", PROXY, ("3405803783",), PROXY),
    ("no peer", None, (BRIDGE,), None),
    ("many hops", PROXY, (", ".join([BRIDGE, *["10.5.5.5"] * 500]),), BRIDGE),
    ("IPv6 in brackets and quotes", PROXY, ('"[2001:db8::7]:443"',), "2001:db8::7"),
    ("obfuscated", PROXY, ("_hidden",), PROXY),
]


@pytest.mark.parametrize(("name", "peer", "forwarded", "caller"), TABLE, ids=[row[0] for row in TABLE])
def test_the_caller_is_the_last_hop_that_no_trusted_proxy_is(
    name: str, peer: str | None, forwarded: tuple[str, ...], caller: str | None
) -> None:
    """Read from the end, as far as trusted proxies wrote it; whatever else stands there is not believed."""
    assert TRUSTED.caller(peer, forwarded) == caller, name
    assert Proxies([]).caller(peer, forwarded) == peer


FORWARDED: list[tuple[str, str | None, tuple[str, ...], str | None]] = [
    ("one proxy", PROXY, (f"for={BRIDGE}",), BRIDGE),
    ("with what else proxies write", PROXY, (f"by=10.0.0.1;FOR={BRIDGE};host=pay.example;proto=https",), BRIDGE),
    ("blanks between pairs", PROXY, (f"for={BRIDGE}; proto=https",), BRIDGE),
    ("a semicolon at the end", PROXY, (f"for={BRIDGE};",), BRIDGE),
    ("two proxies", PROXY, (f"for={BRIDGE}, for=10.9.9.9",), BRIDGE),
    ("two proxies, two lines", PROXY, (f"for={BRIDGE}", "for=10.9.9.9;proto=http"), BRIDGE),
    ("a stranger wrote the first hop", PROXY, (f"for=198.51.100.1, for={BRIDGE}",), BRIDGE),
    ("in quotes", PROXY, (f'for="{BRIDGE}"',), BRIDGE),
    ("a port, in quotes", PROXY, (f'for="{BRIDGE}:4711"',), BRIDGE),
    ("a port, without", PROXY, (f"for={BRIDGE}:4711",), BRIDGE),
    ("IPv6 in brackets and quotes", PROXY, ('for="[2001:db8::7]"',), "2001:db8::7"),
    ("IPv6 with a port", PROXY, ('for="[2001:db8::7]:4711"',), "2001:db8::7"),
    ("IPv6 without quotes", PROXY, ("for=[2001:db8::7]",), "2001:db8::7"),
    ("a caller within IPv6", PROXY, (f'for="[::ffff:{BRIDGE}]"',), BRIDGE),
    ("unknown", PROXY, ("for=unknown",), PROXY),
    ("obfuscated", PROXY, ("for=_hidden",), PROXY),
    ("obfuscated before a proxy", PROXY, ('for="_SEVKISEK", for=10.9.9.9',), "10.9.9.9"),
    ("nobody named", PROXY, ("proto=https",), PROXY),
    ("two named in one hop", PROXY, (f"for={BRIDGE};for=198.51.100.1",), PROXY),
    ("another name that ends so", PROXY, (f"x-for={BRIDGE}",), PROXY),
    ("named within another value", PROXY, (f'host=";for={BRIDGE}"',), PROXY),
    ("named within another value, and by itself", PROXY, (f'host=" for=198.51.100.1";for={BRIDGE}',), BRIDGE),
    ("a quote that does not end", PROXY, (f'for="{BRIDGE}',), PROXY),
    ("a quote that swallows the next hop", PROXY, (f'for=198.51.100.1;by=", for={BRIDGE}',), BRIDGE),
    ("garbage", PROXY, ("garbage",), PROXY),
    ("only the address", PROXY, (BRIDGE,), PROXY),
    ("an empty line", PROXY, ("",), PROXY),
    ("garbage behind the caller", PROXY, (f"for={BRIDGE}, -",), PROXY),
    ("only proxies", PROXY, ("for=10.2.2.2, for=10.3.3.3",), "10.2.2.2"),
    ("from nobody trusted", BRIDGE, ("for=198.51.100.1",), BRIDGE),
    ("no peer", None, (f"for={BRIDGE}",), None),
    ("many hops", PROXY, (", ".join([f"for={BRIDGE}", *["for=10.5.5.5"] * 500]),), BRIDGE),
]


@pytest.mark.parametrize(("name", "peer", "forwarded", "caller"), FORWARDED, ids=[row[0] for row in FORWARDED])
def test_the_standards_header_is_read_alike(
    name: str, peer: str | None, forwarded: tuple[str, ...], caller: str | None
) -> None:
    """RFC 7239: the same rule, with each address in the ``for`` of its hop."""
    assert TRUSTED.caller(peer, (), forwarded) == caller, name
    assert Proxies([]).caller(peer, (), forwarded) == peer


BOTH: list[tuple[str, str, str, str]] = [
    ("they agree", BRIDGE, f"for={BRIDGE}", BRIDGE),
    ("they agree, written differently", f"198.51.100.1, {BRIDGE}:99", f'for="{BRIDGE}:98", for=10.9.9.9', BRIDGE),
    ("they disagree", BRIDGE, "for=198.51.100.1", PROXY),
    ("one is not an address", BRIDGE, "for=unknown", PROXY),
    ("the other is not an address", "garbage", f"for={BRIDGE}", PROXY),
    ("neither is an address", "garbage", "for=unknown", PROXY),
]


@pytest.mark.parametrize(("name", "x_forwarded_for", "forwarded", "caller"), BOTH, ids=[row[0] for row in BOTH])
def test_where_the_two_headers_disagree_neither_is_believed(
    name: str, x_forwarded_for: str, forwarded: str, caller: str
) -> None:
    """A proxy writes one of them and passes on the other as the caller sent it."""
    assert TRUSTED.caller(PROXY, (x_forwarded_for,), (forwarded,)) == caller, name


def test_connections_of_a_trusted_proxy_are_those_of_many() -> None:
    """They are not counted against the limit of one address; a stranger's are."""
    capacity: Capacity[int] = Capacity(100, 2, TRUSTED.has)
    for number in range(5):
        capacity.enter(number, PROXY)
        capacity.enter(10 + number, BRIDGE)
    assert (capacity.takes_from(PROXY), capacity.takes_from(BRIDGE)) == (True, False)


# Over HTTP: this process is the proxy


@contextlib.asynccontextmanager
async def behind(folder: Path, *trusted: str) -> AsyncIterator[GatewayStack]:
    """A stack that trusts these proxies, and whose bridge may call from one address only."""

    def change(settings: dict[str, Any]) -> None:
        settings["server"]["trusted_proxies"] = list(trusted)
        settings["tenants"]["acme"]["accounts"]["psp-main"]["config"]["source_addresses"] = [BRIDGE]

    async with running_stack(folder, change=change) as opened:
        yield opened


async def newest(stack: GatewayStack) -> InboxRow:
    """The newest callback."""
    return (await stack.gateway.store.inbox.newest("acme", InboxFilter(limit=1)))[0]


async def called(stack: GatewayStack, headers: Mapping[str, str]) -> tuple[int, str]:
    """A right callback with these headers: its status, and whose address was seen."""
    reply = await post(stack, signed_body(stack, await new_payment(stack)), headers=headers)
    return reply.status, (await newest(stack)).remote


async def test_source_addresses_are_those_of_callers(tmp_path: Path) -> None:
    """On one kept connection each request is judged by its own header."""
    async with behind(tmp_path, "127.0.0.1") as stack:
        seen = [
            await called(stack, {"X-Forwarded-For": forwarded} if forwarded else {})
            for forwarded in (BRIDGE, "198.51.100.1", f"{BRIDGE}:99", f"{BRIDGE}, 198.51.100.1", "garbage", "", BRIDGE)
        ]
        assert seen == [
            (204, BRIDGE),
            (400, "198.51.100.1"),
            (204, BRIDGE),
            (400, "198.51.100.1"),
            (400, "127.0.0.1"),
            (400, "127.0.0.1"),
            (204, BRIDGE),
        ]


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8",)])
async def test_the_header_is_not_believed_from_anybody_else(tmp_path: Path, trusted: tuple[str, ...]) -> None:
    """Without trusted proxies, and from one that is not among them."""
    async with behind(tmp_path, *trusted) as stack:
        assert await called(stack, {"X-Forwarded-For": BRIDGE}) == (400, "127.0.0.1")


async def test_the_other_headers_of_proxies(tmp_path: Path) -> None:
    """``Forwarded`` counts as much; ``X-Real-IP`` and its like are never read, alone or beside the others."""
    async with behind(tmp_path, "127.0.0.1") as stack:
        real = {"X-Real-IP": BRIDGE, "X-Client-IP": BRIDGE, "True-Client-IP": BRIDGE}
        sent = (
            {"Forwarded": f"for={BRIDGE};proto=https"},
            {"Forwarded": f"for={BRIDGE}", "X-Forwarded-For": BRIDGE},
            {"Forwarded": f"for={BRIDGE}", "X-Forwarded-For": "198.51.100.1"},
            real,
            {**real, "X-Forwarded-For": "198.51.100.1"},
        )
        assert [await called(stack, headers) for headers in sent] == [
            (204, BRIDGE),
            (204, BRIDGE),
            (400, "127.0.0.1"),
            (400, "127.0.0.1"),
            (400, "198.51.100.1"),
        ]


async def test_failures_are_counted_and_logged_by_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One caller behind the proxy is limited, another is not; the log names both."""
    monkeypatch.setattr(failure_limits, "FAILURE_RATE", Rate(per_second=0.001, burst=2))
    async with behind(tmp_path, "127.0.0.0/8") as stack:
        caplog.set_level(logging.INFO, "gateway")
        loud = [await ask(stack, "198.51.100.1") for _ in range(3)]
        assert (loud, await ask(stack, "198.51.100.2")) == ([401, 401, 429], 401)
    named = [vars(record)["address"] for record in caplog.records if "address" in vars(record)]
    assert {"198.51.100.1", "198.51.100.2"} == set(named)


async def ask(stack: GatewayStack, caller: str) -> int:
    """Ask for payments without a key, as this caller."""
    return (await stack.call("GET", "/v1/payments", tenant=None, headers={"X-Forwarded-For": caller})).status
