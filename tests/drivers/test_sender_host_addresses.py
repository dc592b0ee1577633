"""Look-ups of names: shared while they run, remembered for a moment, and no hanging one holds anything."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from gateway.drivers.sender import host_addresses as module
from gateway.drivers.sender.host_addresses import HostAddresses, look_up
from tests.support.factories.senders import resolving_to


class Resolver:
    """Counts look-ups and answers each once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.addresses: tuple[str, ...] = ("192.0.2.1",)

    async def __call__(self, host: str, port: int) -> Any:
        self.asked += 1
        await self.may_answer.wait()
        return await resolving_to(*self.addresses)(host, port)


async def test_one_look_up_serves_all_who_ask_meanwhile() -> None:
    """And one of them that goes away takes nothing from the others."""
    resolver = Resolver()
    resolver.may_answer.clear()
    names = HostAddresses(resolver)
    first, second = (asyncio.create_task(names.addresses("shop.example", 443)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    resolver.may_answer.set()
    assert (await second)[0][4] == ("192.0.2.1", 443)
    assert resolver.asked == 1


async def test_a_name_is_remembered_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call does not ask; one after the moment does."""
    resolver = Resolver()
    names = HostAddresses(resolver)
    for _ in range(2):
        await names.addresses("shop.example", 443)
    assert resolver.asked == 1
    monkeypatch.setattr(module, "CACHE_SECONDS", 0.0)
    await names.addresses("other.example", 443)
    await names.addresses("other.example", 443)
    assert resolver.asked == 3


async def test_a_failure_is_not_remembered() -> None:
    """The next call asks again."""
    resolver = Resolver()
    resolver.addresses = ()
    names = HostAddresses(resolver)
    with pytest.raises(OSError, match="no such name"):
        await names.addresses("shop.example", 443)
    resolver.addresses = ("192.0.2.1",)
    assert await names.addresses("shop.example", 443)


async def test_the_systems_resolver_is_asked() -> None:
    """A name of this machine, an address, and what cannot be a name."""
    assert [one[4][0] for one in await look_up("192.0.2.1", 80)] == ["192.0.2.1"]
    assert {one[4][0] for one in await look_up("localhost", 80)} <= {"127.0.0.1", "::1"}
    with pytest.raises((OSError, ValueError)):
        await look_up("x" * 64 + ".example", 80)


async def test_a_hanging_look_up_holds_neither_others_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names hang, another one is looked up, and no thread keeps the process from ending."""
    real, answers = socket.getaddrinfo, threading.Event()

    def hanging(host: str, *args: Any, **kwargs: Any) -> Any:
        if host.startswith("hangs"):
            answers.wait()
            raise OSError
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    names = HostAddresses()
    waiting = [asyncio.create_task(names.addresses(f"hangs{number}.example", 80)) for number in range(40)]
    async with asyncio.timeout(5):
        assert await names.addresses("localhost", 80)
    threads = [thread for thread in threading.enumerate() if thread.name == "look-up"]
    assert len(threads) == len(waiting)
    assert all(thread.daemon for thread in threads)
    names.close()
    answers.set()
    assert all(
        isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*waiting, return_exceptions=True)
    )
