"""What is kept of a callback is bounded by what was made of it, and so is what one customer's link may leave."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.wire import Callback
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows.background import retention
from gateway.flows.callbacks import inbox_rows, receive
from gateway.flows.callbacks.inbox_rows import HINT, PROVED, REFUSED, REPEATED, bounded
from gateway.flows.runtime import Gateway
from tests.support.clients.psp_callbacks import post
from tests.support.factories.sqlite import engine_of
from tests.support.factories.store_units import a_callback
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import inbox_stack, rows
from tests.support.stack import GatewayStack
from tests.support.virtual_clock import VirtualClock

MB = 1_000_000
LONG = "x" * 8000


def test_what_is_short_is_kept_whole() -> None:
    """An ordinary callback is kept as it came, but the body of a hint."""
    for bound in (PROVED, REPEATED, REFUSED):
        assert bounded(a_callback(), bound) == a_callback()
    assert bounded(a_callback(), HINT) == replace(a_callback(), body=b"")


@pytest.mark.parametrize("bound", [PROVED, REPEATED, REFUSED, HINT])
def test_what_is_too_long_is_left_out_whole(bound: inbox_rows.SizeLimits) -> None:
    """A part that is one byte too long is not cut: half of it might be half of a secret."""
    fits = replace(a_callback(), body=b"b" * bound.body, query="q" * bound.query, suffix="s" * bound.suffix, headers=())
    assert bounded(fits, bound) == fits
    longer = replace(fits, body=fits.body + b"b", query=fits.query + "q", suffix=fits.suffix + "s")
    assert bounded(longer, bound) == replace(fits, body=b"", query="", suffix="")


def test_headers_that_fit_are_kept() -> None:
    """One that is too long takes no room from those after it."""
    headers = (("A", "1"), ("Long", "x" * HINT.headers), ("B", "2"), ("C", "x" * (HINT.headers - 5)), ("D", ""))
    assert bounded(replace(a_callback(), headers=headers), HINT).headers == (headers[0], headers[2], headers[3])


def junk(gw: Gateway, number: int, payment_id: str | None) -> Callback:
    """A large request by a customer's own link, or below its endpoint."""
    return Callback(
        method="POST",
        suffix="complete" if payment_id else f"{number}/{LONG[:200]}",
        query=f"key={number}{LONG}" if number % 2 else f"key={number}{LONG[:200]}",
        headers=tuple((f"X-{name}", LONG) for name in range(100))
        + tuple((f"Y-{name}", "y" * 60) for name in range(100)),
        body=LONG.encode(),
        remote="127.0.0.1",
        received_at=gw.clock.now(),
        payment_id=payment_id,
    )


@pytest.mark.parametrize("has_token", [True, False])
async def test_one_link_keeps_less_than_8_mb(tmp_path: Path, has_token: bool) -> None:
    """Whatever a customer sends with its own token, or without one below the endpoint it knows from the link."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await creditkey.awaiting(stack)
        gw, entry = stack.gateway, stack.entry("acme", "creditkey-main")
        before = (await gw.store.stored_bytes())["acme"]
        count = receive.MAX_HINTED_REFERENCES if has_token else inbox_rows.MAX_REFUSED
        requests = [junk(gw, number, payment["id"] if has_token else None) for number in range(count + 20)]
        await asyncio.gather(*(receive.accept(gw, receive.verify(gw, entry, request)) for request in requests))
        grown = (await gw.store.stored_bytes())["acme"] - before
        keys = await engine_of(gw.store).rows("SELECT provider_reference FROM hints", ())
        assert grown + sum(len(key) for (key,) in keys) < (100_000 if has_token else 8 * MB)


async def test_a_key_that_no_provider_gives_is_no_key(tmp_path: Path) -> None:
    """The hint is taken, and the payment looked up by what the store knows; the long key is kept nowhere."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await creditkey.awaiting(stack)
        gw, entry = stack.gateway, stack.entry("acme", "creditkey-main")
        await receive.accept(gw, receive.verify(gw, entry, junk(gw, 1, payment["id"])))
        rows = await engine_of(gw.store).rows("SELECT provider_reference FROM hints", ())
        assert rows == [(payment["provider_reference"],)]


async def test_hints_are_forgotten_after_a_month(tmp_path: Path) -> None:
    """The rows that were accepted without proof, and the keys that were asked for."""
    async with inbox_stack(tmp_path) as (stack, clock):
        payment = await creditkey.awaiting(stack)
        gw, entry = stack.gateway, stack.entry("acme", "creditkey-main")
        await receive.accept(gw, receive.verify(gw, entry, junk(gw, 0, payment["id"])))
        await gw.tasks.drain(10)

        async def left() -> list[int]:
            counts = "SELECT (SELECT COUNT(*) FROM inbox), (SELECT COUNT(*) FROM hints)"
            return list((await engine_of(gw.store).rows(counts, ()))[0])

        assert await left() == [1, 1]
        for days, expected in ((29, [1, 1]), (2, [0, 0])):
            clock.set(clock.now() + timedelta(days=days))
            await housekeeping_of(gw, clock)
            assert await left() == expected


async def housekeeping_of(gw: Gateway, clock: VirtualClock) -> None:
    """One round over the hints."""
    async with asyncio.timeout(10):
        forgetting = asyncio.create_task(retention.delete_hints(gw))
        while not forgetting.done():
            await clock.advance(1)


async def one_row(stack: GatewayStack) -> StoredCallback:
    [row] = await rows(stack)
    return row


async def test_a_callback_too_large_to_read_is_kept_as_evidence(tmp_path: Path) -> None:
    """It is refused, and the inbox tells when, from where and why, without the body."""
    async with inbox_stack(tmp_path) as (stack, _):
        assert (await post(stack, b" " * (64 * 1024 + 1))).status == 413
        row = await one_row(stack)
        assert (row.verdict, row.reason, row.body) == ("refused", "too_large", b"")
        assert row.size > 64 * 1024
