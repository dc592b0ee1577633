"""Several gateways in one test on one store, each with workers, ports and a memory of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from gateway.drivers.clock import Clock, SystemClock
from gateway.drivers.store.postgresql.engine import PostgresqlEngine
from gateway.drivers.store.reads import Store
from gateway.flows.background.nodes import RENEW_SECONDS
from gateway.web import server
from gateway.web.server import running
from tests.support.shared_engine import shared_database, shared_store
from tests.support.stack import GatewayStack, running_stack
from tests.support.virtual_clock import TURNS, VirtualClock


@contextlib.asynccontextmanager
async def several_gateways(
    folder: Path,
    count: int = 2,
    *,
    clock: Clock | None = None,
    url: str | None = None,
    in_settings: bool = False,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
) -> AsyncIterator[list[GatewayStack]]:
    """Run them for the time of the block: each stack calls one of them, the providers and the endpoint are shared.

    ``url``: of the database they share; None for one in memory, but for settings that name their own (``in_settings``).
    Their first looks for work are over when they are there: later ones are made by who is woken, or when time has
    passed.
    """

    def changed(settings: dict[str, Any]) -> None:
        if url is not None:
            settings["store"] = {"url": url}
        change(settings)

    with contextlib.closing(shared_database(clock or SystemClock())) as database:

        async def open_shared(*_: object, **__: object) -> Store:
            return shared_store(database)

        async with contextlib.AsyncExitStack() as exits:
            if url is None and not in_settings:
                exits.enter_context(mock.patch.object(server, "open_stores", open_shared))
            first = await exits.enter_async_context(running_stack(folder, clock=clock, change=changed, engine="sqlite"))
            stacks = [first]
            for _ in range(count - 1):
                one = await exits.enter_async_context(running(first.settings, first.registry, clock))
                stacks.append(replace(first, current=one.current, url=one.url, admin_url=one.admin_url))
            await at_rest(stacks)
            yield stacks


async def at_rest(stacks: Sequence[GatewayStack]) -> None:
    """Wait until none of these gateways waits for its database, nor has anything to do but wait."""
    turns = 0
    while turns < TURNS:
        await asyncio.sleep(0)
        turns = 0 if any(_is_asking(part) for stack in stacks for part in stack.gateway.store.parts) else turns + 1


def _is_asking(store: Store) -> bool:
    """Whether a store waits for an answer, or for a connection."""
    engine = store._engine
    pools = (engine._units, engine._reads) if isinstance(engine, PostgresqlEngine) else ()
    return any(pool._waiting or pool._opening or len(pool._idle) < len(pool._all) for pool in pools)


async def pass_time(stacks: Sequence[GatewayStack], clock: VirtualClock, seconds: float) -> None:
    """Let time pass; these gateways stay alive meanwhile, as a database answers in no time of this clock."""
    end = clock.now() + timedelta(seconds=seconds)
    while (left := (end - clock.now()).total_seconds()) > 0:
        await clock.advance(min(RENEW_SECONDS, left))
        for stack in stacks:
            await stack.gateway.node.renew(stack.settings.digest, stack.url)
        await at_rest(stacks)


@contextlib.asynccontextmanager
async def one_on_shared(folder: Path, **given: Any) -> AsyncIterator[GatewayStack]:
    """One gateway on a store that others may share; as ``running_stack`` takes them."""
    async with several_gateways(folder, 1, **given) as (stack,):
        yield stack
