"""A full, locked or read-only store under load: 503, no provider call, no false 204; and it heals by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from gateway.drivers.store.sqlite import BUSY_TIMEOUT_MS, SqliteEngine
from tests.support.clients.psp_callbacks import call_back
from tests.support.server_process import ServerProcess, running_server_process
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, of_sqlite, psp_body, running_stack

CLIENTS = 6
"""Clients that create payments, half of them at each provider."""

TAKEN = (201, 202)
"""The payment is stored, with or without an outcome yet."""

REFUSALS = 6
"""503 answers to creates that a trouble must cause, and one to a callback."""

Trouble = Callable[[], AbstractAsyncContextManager[None]]


def impatient(settings: dict[str, Any]) -> None:
    """Whose outcome cannot be stored is answered 202 after a second: until then each client waits for its answer."""
    settings["timeouts"] = {"tenant_answer": "1s"}


class Load:
    """Clients at work, and what they were told."""

    def __init__(self, stack: GatewayStack) -> None:
        self.stack = stack
        self.is_over = False
        self.created: list[Any] = []
        self.captured: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self.callbacks: Counter[int] = Counter()

    async def create(self, body: Callable[[], dict[str, Any]]) -> None:
        """Create payments one after the other; repeat under its key what was not done."""
        while not self.is_over:
            key, wanted = new_key(), body()
            while not self.is_over:
                reply = await self.stack.create(wanted, key=key)
                self.note(reply)
                if reply.status in TAKEN:
                    break

    def note(self, reply: Reply) -> None:
        """One answer to a create."""
        self.statuses[reply.status] += 1
        if reply.status == 503:
            assert reply.headers["Content-Type"].startswith("application/problem+json")
            assert reply.json["code"] == "store_unavailable"
        if reply.status in TAKEN:
            self.created.append(reply.json)

    async def pay(self) -> None:
        """Let every second customer of the PSP pay: its callback comes again until it is taken."""
        while not self.is_over:
            waiting = [one for one in self.created if one["provider"] == "psp_open_api"][::2]
            for payment in [one for one in waiting if one["id"] not in self.captured][:1]:
                reply = await call_back(self.stack, payment)
                self.callbacks[reply.status] += 1
                if reply.status == 204:
                    self.captured.add(payment["id"])
            await asyncio.sleep(0)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something the clients see."""
        async with asyncio.timeout(40):
            while not is_so():  # noqa: ASYNC110  # the clients count; nothing else is told
                await asyncio.sleep(0.01)


async def suffer(stack: GatewayStack, trouble: Trouble) -> Load:
    """Load, trouble in the middle of it, then enough load after its end."""
    load = Load(stack)
    async with asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            clients.create_task(load.create(psp_body if number % 2 else creditkey_body))
        clients.create_task(load.pay())
        await load.until(lambda: len(load.created) > 4 * CLIENTS and len(load.captured) > 2)
        async with trouble():
            await load.until(lambda: load.statuses[503] >= REFUSALS and load.callbacks[503] > 0)
            await still_works(stack, load)
        before, paid = len(load.created), len(load.captured)
        await load.until(lambda: len(load.created) > before + 2 * CLIENTS and len(load.captured) > paid + 2)
        load.is_over = True
    return load


async def still_works(stack: GatewayStack, load: Load) -> None:
    """What needs no writing works in the trouble: reading, the list, the health of the process."""
    payment = load.created[0]
    assert (await stack.payment(payment["id"]))["id"] == payment["id"]
    assert len((await stack.call("GET", "/v1/payments?limit=5")).json["data"]) == 5
    assert (await stack.visit(f"{stack.admin_url}/livez")).status == 200
    async with asyncio.timeout(40):  # a log that begins anew has room for a write or two
        while (await stack.visit(f"{stack.admin_url}/readyz")).status != 503:
            pass


async def check(stack: GatewayStack, load: Load) -> None:
    """Nothing acknowledged is missing, and no provider heard of anything that was not stored first."""
    async with asyncio.timeout(30):
        while rows(stack, UNDONE):  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.05)
    states = dict(rows(stack, "SELECT id, state FROM payments"))
    assert {one["id"] for one in load.created} <= set(states)
    assert {states[identifier] for identifier in load.captured} == {"captured"}
    begun = Counter(reference for (reference,) in rows(stack, CREATES))
    asked = Counter([*await references(stack, "creditkey", "remote_id"), *await references(stack, "psp", "order_no")])
    assert asked
    assert asked <= begun
    print(f"\n{dict(load.statuses)} creates, {dict(load.callbacks)} callbacks, {asked.total()} provider calls")


UNDONE = "SELECT id FROM payments WHERE open_status = 'sending' UNION SELECT id FROM inbox WHERE verdict = 'pending'"
"""What a healed store lets the gateway finish by itself."""

CREATES = (
    "SELECT CASE p.provider WHEN 'creditkey' THEN p.merchant_reference ELSE p.id END"
    " FROM all_operations o JOIN payments p ON p.tenant = o.tenant AND p.id = o.payment_id WHERE o.kind = 'create'"
)
"""Every create that was stored, by the name under which its provider hears of it."""


async def references(stack: GatewayStack, side: str, member: str) -> list[str]:
    """What a simulator was asked to begin."""
    bodies = [json.loads(one["body"] or "{}") for one in await stack.provider_requests(side)]
    return [body[member] for body in bodies if member in body and "items" not in body]


def rows(stack: GatewayStack, sql: str) -> list[Any]:
    """Read the database beside the gateway."""
    with contextlib.closing(sqlite3.connect(f"file:{stack.store_file}?mode=ro", uri=True)) as look:
        return look.execute(sql).fetchall()


def full_disk(server: ServerProcess) -> Trouble:
    """No file of the process may grow, as on a full disk."""

    @contextlib.asynccontextmanager
    async def trouble() -> AsyncIterator[None]:
        assert server.process is not None
        before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        log = server.stack.store_file.with_name("gateway.db-wal")
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (os.stat(log).st_size, before[1]))
        yield
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)

    return trouble


def locked(stack: GatewayStack) -> Trouble:
    """Somebody with another program holds the database for longer than the writer waits for it."""
    assert writer(stack).execute("PRAGMA busy_timeout").fetchone() == (BUSY_TIMEOUT_MS,)
    writer(stack).execute("PRAGMA busy_timeout = 100")  # as long a wait, sooner over

    @contextlib.asynccontextmanager
    async def trouble() -> AsyncIterator[None]:
        with contextlib.closing(sqlite3.connect(stack.store_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    return trouble


def read_only(stack: GatewayStack) -> Trouble:
    """The database takes no writes."""

    @contextlib.asynccontextmanager
    async def trouble() -> AsyncIterator[None]:
        writer(stack).execute("PRAGMA query_only = ON")
        yield
        writer(stack).execute("PRAGMA query_only = OFF")

    return trouble


def writer(stack: GatewayStack) -> sqlite3.Connection:
    """The connection through which the gateway writes."""
    engine = stack.gateway.store._engine
    assert isinstance(engine, SqliteEngine)
    return engine._writer


async def test_a_full_disk_under_load(tmp_path: Path) -> None:
    """The process may write no longer: nothing acknowledged is lost, and it works again as soon as there is room."""
    async with running_server_process(tmp_path, impatient) as server:
        await server.start()
        await check(server.stack, await suffer(server.stack, full_disk(server)))
        assert await server.end() == 0


@of_sqlite
async def test_a_locked_store_under_load(tmp_path: Path) -> None:
    """While another program holds the database nobody waits for minutes, and afterwards all goes on."""
    async with running_stack(tmp_path, change=impatient) as stack:
        await check(stack, await suffer(stack, locked(stack)))


@of_sqlite
async def test_a_read_only_store_under_load(tmp_path: Path) -> None:
    """A store that refuses every write costs nobody anything that was acknowledged, and heals."""
    async with running_stack(tmp_path, change=impatient) as stack:
        await check(stack, await suffer(stack, read_only(stack)))


@of_sqlite
async def test_a_refund_asks_no_provider_while_nothing_can_be_stored(stack: GatewayStack) -> None:
    """Where a lookup comes first the store is tried before it: 503, and the provider hears nothing."""
    payment = (await stack.create(creditkey_body())).json
    await stack.visit(await stack.approve(payment))
    captured = await stack.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=new_key())
    assert captured.status == 200, captured.text
    before = len(await stack.provider_requests("creditkey"))
    async with read_only(stack)():
        reply = await stack.call("POST", f"/v1/payments/{payment['id']}/refunds", {"amount": "1.00"}, key=new_key())
        assert (reply.status, reply.json["code"]) == (503, "store_unavailable")
        assert len(await stack.provider_requests("creditkey")) == before
