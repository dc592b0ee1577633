"""Senders of both ways for tests, one request to send, and the errors it ends with."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.core.errors import NotSent, ProviderError
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.sender.connection import ClosingConnections
from gateway.drivers.sender.connection_slots import ConnectionSlots
from gateway.drivers.sender.direct import Direct
from gateway.drivers.sender.host_addresses import Address
from gateway.drivers.sender.proxied import Proxied
from gateway.drivers.sender.sender import Sender
from tests.support.servers.forward_proxy import forward_proxy

OWNER = "acme/psp"
WAYS = ("direct", "proxied")


@asynccontextmanager
async def direct(
    *,
    allow_private: bool = True,
    slots: ConnectionSlots | None = None,
    closing: ClosingConnections | None = None,
    **way: Any,
) -> AsyncIterator[Sender]:
    """A sender with connections of its own."""
    made = Direct(closing or ClosingConnections(100), allow_private=allow_private, **way)
    async with Sender(made, slots or ConnectionSlots(100), allow_private=allow_private) as sender:
        yield sender


@asynccontextmanager
async def proxied(
    *, allow_private: bool = True, slots: ConnectionSlots | None = None, **way: Any
) -> AsyncIterator[Sender]:
    """A sender that goes through a proxy."""
    async with forward_proxy() as proxy:
        made = Proxied(proxy.url, **way)
        async with Sender(made, slots or ConnectionSlots(100), allow_private=allow_private) as sender:
            yield sender


def opening(way: str) -> Callable[..., Any]:
    """The function that opens a sender of a way."""
    return {"direct": direct, "proxied": proxied}[way]


def resolving_to(*addresses: str) -> Callable[[str, int], Any]:
    """A look-up that answers every name with these addresses; with an error when there is no address."""

    async def look_up(host: str, port: int) -> list[Address]:
        if not addresses:
            raise OSError(None, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (one, port)) for one in addresses]

    return look_up


async def never(host: str, port: int) -> list[Address]:
    """A look-up that never ends."""
    return await asyncio.get_running_loop().create_future()


async def ask(
    sender: Sender,
    url: str,
    method: str = "POST",
    *,
    total: float = 5,
    connect: float = 5,
    owner: str = OWNER,
    **request: Any,
) -> HttpResponse:
    """Send one small request."""
    body = b'{"amount":"10.00"}' if method in {"POST", "PUT"} else b""
    made = HttpRequest(**({"method": method, "url": url, "body": body} | request))
    return await sender.send(made, total=total, connect=connect, owner=owner)


async def send(
    url: str, method: str = "POST", *, way: str = "direct", total: float = 5, connect: float = 5, **sender: Any
) -> HttpResponse:
    """Send one small request with a sender of its own."""
    async with opening(way)(**sender) as own:
        return await ask(own, url, method, total=total, connect=connect)


async def failure(*args: Any, **kwargs: Any) -> ProviderError:
    """Send and return the error it must end with."""
    with pytest.raises(ProviderError) as caught:
        await send(*args, **kwargs)
    return caught.value


def assert_not_sent(error: ProviderError, word: str, *, connection: bool = True, why: str = "") -> None:
    """The error is ``NotSent``, in one fixed word; by default for want of a connection. ``why``: part of the reason."""
    assert type(error) is NotSent
    assert error.connection is connection
    assert str(error) == word
    assert why in error.why


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def trusting(authority: Any) -> ssl.SSLContext:
    """What a client needs to believe a test's certificate authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
