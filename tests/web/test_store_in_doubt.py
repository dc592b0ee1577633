"""A connection to the store is lost while a request is stored: its caller does not wait, and it has one effect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.core.errors import Conflict, GatewayError, InDoubt, Unavailable
from gateway.core.payment import Payment
from gateway.drivers.store.engine import answering, stuck
from gateway.drivers.store.postgresql import commits
from gateway.drivers.store.postgresql.engine import PostgresqlEngine
from gateway.drivers.store.statements import Statement, Unit
from tests.drivers.test_store_postgresql_faults import held, waiting
from tests.support.postgresql import shut
from tests.support.scenarios.creditkey import COMPLETE, act, authorized, awaiting, calls, captured
from tests.support.scenarios.inbox import admin
from tests.support.settings_file import with_operator
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, psp_body, running_stack


class Doubt:
    """The next unit of a request is in doubt until ``end`` says what became of it."""

    def __init__(self, stack: GatewayStack) -> None:
        self._store, self._commit = stack.gateway.store, stack.gateway.store.commit
        self._store.commit = self._lost  # type: ignore[method-assign]
        self._write: Callable[[], Awaitable[None]]
        self.decided: asyncio.Future[GatewayError | None] = asyncio.get_running_loop().create_future()

    async def _lost(self, tenant: str, unit: Unit) -> None:
        if answering.get() is not asyncio.current_task():
            return await self._commit(tenant, unit)
        self._store.commit = self._commit  # type: ignore[method-assign]
        self._write = lambda: self._commit(tenant, unit)
        raise InDoubt(self.decided)

    async def end(self, *, is_written: bool) -> None:
        """Let the unit be written, or nothing of it be there."""
        try:
            if is_written:
                await self._write()
            self.decided.set_result(None if is_written else Unavailable("planted"))
        except Conflict as lost:
            self.decided.set_result(lost)


async def in_doubt(asked: Awaitable[Reply]) -> None:
    """The answer to a request whose unit is in doubt."""
    reply = await asked
    assert (reply.status, reply.json["code"], reply.headers["Retry-After"]) == (503, "store_in_doubt", "1"), reply.text


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_create_in_doubt_has_one_effect(stack: GatewayStack, is_written: bool) -> None:
    """Once it is known what became of it, it goes on or is gone; repeated it has the answer that is right."""
    body, key, doubt = creditkey_body(), new_key(), Doubt(stack)
    await in_doubt(stack.create(body, key=key))
    await doubt.end(is_written=is_written)
    await stack.gateway.tasks.drain(10)
    assert len(await stack.provider_orders("creditkey")) == is_written
    again = await stack.create(body, key=key)
    assert (again.status, again.headers.get("Idempotency-Replayed")) == (201, "true" if is_written else None)
    assert len(await stack.provider_orders("creditkey")) == 1
    assert (await stack.webhook(again.json["id"], "payment.created"))["data"]["payment"]["id"] == again.json["id"]


async def test_a_doubt_is_told_although_the_store_cannot_be_read(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That nothing was done would be a lie."""

    async def down(*_: str) -> None:
        raise Unavailable("planted")

    doubt = Doubt(stack)
    monkeypatch.setattr(stack.gateway.store, "idempotency_record", down)
    await in_doubt(stack.create(psp_body()))
    await doubt.end(is_written=False)


async def test_a_repetition_may_be_first(stack: GatewayStack) -> None:
    """The request comes again before it is known: that one is done, and the one in doubt finds its key taken."""
    body, key, doubt = creditkey_body(), new_key(), Doubt(stack)
    await in_doubt(stack.create(body, key=key))
    again = await stack.create(body, key=key)
    assert again.status == 201
    await doubt.end(is_written=True)
    await stack.gateway.tasks.drain(10)
    assert isinstance(doubt.decided.result(), Conflict)
    assert len(await stack.provider_orders("creditkey")) == 1


@pytest.mark.parametrize(
    ("verb", "made", "call"),
    [
        ("capture", authorized, "confirm_order"),
        ("cancel", authorized, "cancel_order"),
        ("update", authorized, "update_order"),
        ("refund", captured, "refund"),
    ],
)
async def test_an_operation_in_doubt_is_made_once(
    stack: GatewayStack, verb: str, made: Callable[[GatewayStack], Awaitable[Any]], call: str
) -> None:
    """Its repetition is answered with what it came to."""
    payment, key = await made(stack), new_key()
    before, doubt = await calls(stack, payment), Doubt(stack)
    await in_doubt(act(stack, payment, verb, key=key))
    await doubt.end(is_written=True)
    await stack.gateway.tasks.drain(10)
    again = await act(stack, payment, verb, key=key)
    assert again.status == (201 if verb == "refund" else 200)
    assert (await calls(stack, payment))[len(before) :] == [call]


async def test_what_a_lookup_showed_is_told_once_it_is_known(stack: GatewayStack) -> None:
    """A sync whose change is in doubt: plugins that observe, and the webhook, follow when it is known."""
    payment = await awaiting(stack)
    seen: list[Any] = []
    stack.gateway.observe = lambda payment, _: seen.append(payment)
    await stack.approve(payment)
    order = {"status": "canceled"}
    await stack.call_provider("creditkey", "PUT", f"/_sim/orders/{payment['provider_reference']}", order)
    doubt = Doubt(stack)
    await in_doubt(stack.call("POST", f"/v1/payments/{payment['id']}/sync", {}))
    assert seen == []
    await doubt.end(is_written=True)
    await stack.gateway.tasks.drain(10)
    await stack.webhook(payment["id"], "payment.canceled")
    assert [type(one) for one in seen] == [Payment]


class Kept:
    """The store keeps the work that a request has begun waiting, and says so, until ``let_go``."""

    def __init__(self, stack: GatewayStack) -> None:
        self._commit, self.let_go = stack.gateway.store.commit, asyncio.Event()
        stack.gateway.store.commit = self.commit  # type: ignore[method-assign]

    async def commit(self, tenant: str, unit: Unit) -> None:
        if answering.get() is not asyncio.current_task() and not self.let_go.is_set():
            stuck.get().set()
            await self.let_go.wait()
        await self._commit(tenant, unit)


async def test_a_sync_does_not_wait_for_a_completion_that_cannot_be_stored(stack: GatewayStack) -> None:
    """It is told, and the outcome is stored once it can be."""
    payment = await awaiting(stack)
    await stack.approve(payment)
    kept = Kept(stack)
    async with asyncio.timeout(10):
        await in_doubt(stack.call("POST", f"/v1/payments/{payment['id']}/sync", {}))
    assert (await stack.payment(payment["id"]))["pending_operation"]["kind"] == "complete"
    kept.let_go.set()
    await stack.gateway.tasks.drain(10)
    assert await calls(stack, payment, COMPLETE) == [COMPLETE]
    assert (await stack.payment(payment["id"]))["pending_operation"] is None


async def test_a_store_that_refuses_an_outcome_keeps_no_request_waiting(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is tried again, but the sync that caused it does not wait for that."""
    payment = await awaiting(stack)
    await stack.approve(payment)
    commit, sleep, told = stack.gateway.store.commit, stack.gateway.clock.sleep, asyncio.Event()

    async def refuse(tenant: str, unit: Unit) -> None:
        if answering.get() is not asyncio.current_task() and not told.is_set():
            raise Unavailable("planted")
        await commit(tenant, unit)

    monkeypatch.setattr(stack.gateway.store, "commit", refuse)
    monkeypatch.setattr(stack.gateway.clock, "sleep", lambda pause: sleep(pause) if told.is_set() else told.wait())
    async with asyncio.timeout(10):
        await in_doubt(stack.call("POST", f"/v1/payments/{payment['id']}/sync", {}))
    told.set()
    await stack.gateway.tasks.drain(10)
    assert await calls(stack, payment, COMPLETE) == [COMPLETE]
    assert (await stack.payment(payment["id"]))["pending_operation"] is None


async def test_an_erasure_goes_on_without_the_operator(tmp_path: Path) -> None:
    """Who asked for it is told that it is not known yet."""
    async with running_stack(tmp_path, change=with_operator) as stack:
        created = await stack.create(psp_body(customer={"id": "C-9", "email": "dana@reyes.example"}))
        kept = Kept(stack)
        body = {"email": "dana@reyes.example", "apply": True, "reason": "asked by letter"}
        async with asyncio.timeout(10):
            await in_doubt(admin(stack, "POST", "/admin/v1/customers/erase", body))
        kept.let_go.set()
        await stack.gateway.tasks.drain(10)
        wanted = await stack.gateway.store.pending_erasures.page(("", ""), 10)
        assert [one.key for one in wanted] == [("acme", created.json["id"])]


async def test_a_lost_connection_keeps_no_caller_waiting(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is lost while the create waits for a lock: 503 at once, and when the lock is free the create is made."""
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 0.0)
    body, key = psp_body(), "key-00000001"  # which is held

    def change(settings: dict[str, Any]) -> None:
        settings["store"] = {"url": database_url}

    async with running_stack(tmp_path, change=change) as stack:
        with psycopg.connect(database_url, autocommit=True) as beside, held(database_url):
            asked = asyncio.create_task(stack.create(body, key=key))
            await waiting(beside)
            lose_connections(stack)
            await in_doubt(asked)
        async with asyncio.timeout(20):
            while (again := await stack.create(body, key=key)).status != 201:
                assert again.status in (409, 503), again.text
        assert len(await stack.provider_orders("psp")) == 1


async def test_a_stop_does_not_wait_for_what_is_in_doubt(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is gone: whoever waits for an outcome to be stored is told, and the next start finds it out."""
    monkeypatch.setattr(commits, "DOUBT_WAIT_SECONDS", 0.0)

    def change(settings: dict[str, Any]) -> None:
        settings["store"] = {"url": database_url}

    async with running_stack(tmp_path, change=change) as stack:
        unit = stack.gateway.store.commit("acme", [Statement("SELECT pg_sleep(60)", ())])
        outcome = stack.gateway.tasks.start("an outcome", unit)
        await asyncio.sleep(0)
        shut(database_url)
    with pytest.raises(Unavailable, match="it is not known whether the request was stored"):
        await outcome


def lose_connections(stack: GatewayStack) -> None:
    """End the connections on which something is under way, from this side."""
    engine = stack.gateway.store._engine
    assert isinstance(engine, PostgresqlEngine)
    for connection in [*engine._units._all]:
        if connection._exchange is not None:
            connection.lose("planted")
