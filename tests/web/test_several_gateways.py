"""What tenants, customers and providers see of several gateways on one store: one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from gateway.drivers.store import claims
from gateway.flows.payments import lookup, waiting
from gateway.web.customer_return import BROWSER_WAIT
from tests.flows.test_claims import hold_lookups
from tests.support.scenarios.creditkey import awaiting, lookups
from tests.support.several_gateways import several_gateways
from tests.support.stack import GatewayStack, new_key, psp_body

LOOKUPS_OF_ONE_HINT = 2
"""Before and after the completion."""


def seldom(settings: dict[str, Any]) -> None:
    """A hint causes a lookup every minute at most."""
    settings["clocks"] = {"hint": "1m"}


@pytest.fixture(params=["in memory", "postgresql"])
async def two(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[list[GatewayStack]]:
    """Two gateways on one store of either kind."""
    url = request.getfixturevalue("database_url") if request.param == "postgresql" else None
    async with several_gateways(tmp_path, url=url, change=seldom) as stacks:
        yield stacks


async def test_copies_over_two_gateways_have_one_effect(two: list[GatewayStack]) -> None:
    """Fifty at once: one order at the provider, and every copy gets the answer of the first."""
    await two[0].faults("psp", delay_ms=200, times=1)
    body, key = psp_body(), new_key()
    replies = await asyncio.gather(*(two[number % 2].create(body, key=key) for number in range(50)))
    assert {(reply.status, reply.text) for reply in replies} == {(201, replies[0].text)}
    assert sum("Idempotency-Replayed" not in reply.headers for reply in replies) == 1
    assert len(await two[0].provider_orders("psp")) == 1


async def test_a_copy_elsewhere_is_answered_soon_after_the_first(two: list[GatewayStack]) -> None:
    """It reads the store until the answer is there, not for the whole time that it may wait."""
    await two[0].faults("psp", delay_ms=300, times=1)
    body, key = psp_body(), new_key()
    first = asyncio.create_task(two[0].create(body, key=key))
    while not await two[0].provider_requests("psp"):  # noqa: ASYNC110  # the provider has no event to wait for
        await asyncio.sleep(0)
    copy = await two[1].create(body, key=key)
    assert first.done() or (await first).status == 201
    assert (copy.status, copy.text) == (201, (await first).text)


async def test_a_hint_stays_due_where_a_gateway_may_begin_nothing(two: list[GatewayStack]) -> None:
    """It looks up, but leaves the completion, and the hint, to one that may."""
    payment = await awaiting(two[0])
    back = await two[0].approve(payment)
    with mock.patch.object(two[0].gateway.node, "may_begin", return_value=False):
        await two[0].visit(back)
        await two[0].gateway.tasks.drain(10)
    assert await two[1].gateway.store.due_hints("acme", payment["id"])
    assert [one.kind for one in await two[1].gateway.store.operations("acme", payment["id"])] == ["create"]


async def test_a_customer_waits_for_a_lookup_elsewhere(
    two: list[GatewayStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider's call has come to one gateway, the customer comes back to the other: the outcome is shown."""
    asked, answered = asyncio.Event(), asyncio.Event()

    def pauses(seconds: float) -> Iterator[float]:
        answered.set()
        yield from waiting.pauses(seconds)

    payment = await awaiting(two[0])
    back = await two[0].approve(payment)
    hold_lookups(two[0], asked, answered)
    first = asyncio.create_task(two[0].visit(back))
    await asyncio.wait_for(asked.wait(), 10)
    monkeypatch.setattr(lookup, "waiting", SimpleNamespace(pauses=pauses, wait_for=waiting.wait_for))
    reply = await two[1].visit(back.replace(two[0].url, two[1].url))
    answered.set()
    await first
    assert reply.headers["Location"].endswith("state=authorized")


async def test_a_lookup_elsewhere_is_not_waited_for_when_it_is_over(two: list[GatewayStack]) -> None:
    """Nothing came of it, and it began too long ago to be under way."""
    payment, gw = await awaiting(two[0]), two[1].gateway
    began = gw.clock.now() - timedelta(seconds=BROWSER_WAIT)
    claim = claims.claim_lookup("acme", payment["id"], began, last_before=began)
    await gw.store.claim("acme", claim)
    reads = mock.AsyncMock(side_effect=gw.store.payment)
    with mock.patch.object(gw.store, "payment", reads):
        await lookup.wait_for_hint(gw, "acme", payment["id"], BROWSER_WAIT)
    assert reads.await_count == 0


async def test_hints_over_two_gateways_cause_one_lookup(two: list[GatewayStack]) -> None:
    """However often the customer comes back within ``clocks.hint``, and wherever."""
    payment = await awaiting(two[0])
    back = await two[0].approve(payment)
    elsewhere = back.replace(two[0].url, two[1].url)
    assert elsewhere != back
    for _ in range(2):
        await asyncio.gather(*(two[0].visit(url) for url in [back, elsewhere] * 3))
        for one in two:
            await one.gateway.tasks.drain(10)
    assert (await two[1].payment(payment["id"]))["state"] == "authorized"
    assert await lookups(two[0], payment) == LOOKUPS_OF_ONE_HINT
