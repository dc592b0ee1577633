"""A tenant moves to another database while gateways serve it and others: nothing is lost, doubled or written twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.drivers.clock import SystemClock, milliseconds
from gateway.drivers.store import inbox, moves
from gateway.drivers.store.copying.comparison import contents
from gateway.drivers.store.copying.tenant import OF_TENANT
from gateway.drivers.store.inbox import StoredCallback
from gateway.drivers.store.moves import Move, Moves, Step
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement
from gateway.flows import claims, move_tenant
from gateway.flows.background import inbox_retry
from gateway.flows.background import nodes as background_nodes
from gateway.web.server import running
from tests.support import postgresql
from tests.support.cli import run
from tests.support.factories.store_units import a_callback, stored
from tests.support.several_gateways import several_gateways
from tests.support.stack import GatewayStack, new_key, psp_body

ENOUGH = 3
"""Payments that each caller makes at least."""

MOST = 40
"""Payments that each caller makes at most, however slow the machine moves the tenant."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes look at the stores much more often."""
    monkeypatch.setattr(background_nodes, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(background_nodes, "MOVING_SECONDS", 0.05)


@contextlib.contextmanager
def in_two_databases() -> Iterator[Callable[[dict[str, Any]], None]]:
    """What lets settings name two databases; both tenants are in main."""
    with postgresql.fresh_database() as main, postgresql.fresh_database() as eu:

        def change(settings: dict[str, Any]) -> None:
            del settings["store"]
            settings["stores"] = {"main": {"url": main, "pool": 4}, "eu": {"url": eu, "pool": 4}}

        yield change


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[list[GatewayStack]]:
    """Two gateways on two databases."""
    with in_two_databases() as change:
        async with several_gateways(tmp_path, change=change, in_settings=True) as stacks:
            yield stacks


async def moved(stack: GatewayStack, tenant: str, to: str) -> Any:
    """Run the command."""
    config = stack.folder / "settings.yaml"
    done = await asyncio.to_thread(run, "store", "move-tenant", tenant, to, "--json", "--config", config)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_a_tenant_goes_on_in_the_other_store(two: list[GatewayStack]) -> None:
    """What it asked before is answered as before, and what comes is in the other store only."""
    body, key = psp_body(), new_key()
    first = await two[0].create(body, key=key)
    theirs = await two[0].create(psp_body(), tenant="globex")
    assert (first.status, theirs.status) == (201, 201)
    done = await moved(two[0], "acme", "eu")
    assert (done["moved"], done["from"], done["store"]) == (True, "main", "eu")
    for one in two:
        again = await one.create(body, key=key)
        assert (again.status, again.json) == (201, first.json)
    assert len(await two[0].provider_orders("psp")) == 2
    await two[1].click(first.json, "pay")
    for one in two:
        assert (await one.payment(first.json["id"]))["state"] == "captured"
    main, eu = two[0].gateway.store.parts
    assert await main.payment("acme", first.json["id"]) is None
    assert await eu.payment("acme", first.json["id"]) is not None
    assert "store: eu" in (two[0].folder / "settings.yaml").read_text()


async def pay_on(two: list[GatewayStack], tenant: str, ended: asyncio.Event, statuses: list[int]) -> list[Any]:
    """Make payments at both gateways until ``ended``, and some more; what was refused is asked for again."""
    made: list[Any] = []
    while len(made) < ENOUGH or (len(made) < MOST and not ended.is_set()):
        body, key, replies = psp_body(), new_key(), itertools.cycle(two)
        while (reply := await next(replies).create(body, tenant=tenant, key=key)).status != 201:
            statuses.append(reply.status)
            await two[0].gateway.clock.sleep(0.02)
        made.append(reply.json)
        await two[0].click(reply.json, "pay")
    return made


async def repeat_callbacks(stack: GatewayStack) -> None:
    """As the provider does: those that were not taken, until they are."""
    while left := [one["number"] for one in await callbacks(stack) if one["answers"][-1]["status"] == 503]:
        again = {"do": "repeat", "numbers": left}
        assert (await stack.call_provider("psp", "POST", "/_sim/callbacks", again)).status == 200


async def callbacks(stack: GatewayStack) -> list[Any]:
    """What the provider has sent, with each answer."""
    return (await stack.call_provider("psp", "GET", "/_sim/callbacks")).json


async def test_the_others_notice_nothing(two: list[GatewayStack]) -> None:
    """Under load: no request of globex fails. acme is refused for a while, and loses and doubles nothing."""
    ended = asyncio.Event()
    refused: dict[str, list[int]] = {"acme": [], "globex": []}
    async with asyncio.TaskGroup() as group:
        paying = [
            (tenant, group.create_task(pay_on(two, tenant, ended, refused[tenant])))
            for tenant in ("acme", "globex") * 2
        ]
        await moved(two[0], "acme", "eu")
        ended.set()
    assert {*refused["acme"]} <= {202, 503}
    assert refused["globex"] == []
    await repeat_callbacks(two[0])
    made = [(tenant, payment["id"]) for tenant, task in paying for payment in task.result()]
    orders = await two[0].provider_orders("psp")
    assert len(orders) == len(made) == len({*made})
    main, eu = two[0].gateway.store.parts
    for tenant, store, other in (("acme", eu, main), ("globex", main, eu)):
        theirs = {identifier for name, identifier in made if name == tenant}
        assert {one for (one,) in await store.rows("SELECT id FROM payments WHERE tenant = ?", (tenant,))} == theirs
        assert await other.rows("SELECT id FROM payments WHERE tenant = ?", (tenant,)) == []
        assert {(await two[1].payment(one, tenant=tenant))["state"] for one in theirs} == {"captured"}
        while await store.deliveries.has_pending(tenant):
            await two[0].gateway.clock.sleep(0.05)
        for one in theirs:
            versions = [body["data"]["payment"]["version"] for body in two[0].webhooks(one)]
            assert versions == sorted({*versions})


async def test_a_payment_on_its_way_ends_in_the_other_store(
    two: list[GatewayStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was sent before the bar fell and is answered after the move: once, and its outcome is known."""
    monkeypatch.setattr(move_tenant, "ENDED_WITHIN", 0.0)
    await two[0].faults("psp", delay_ms=1500, times=1)
    body, key = psp_body(), new_key()
    sending = asyncio.create_task(two[0].create(body, key=key))
    while not await two[0].gateway.store.open_operations("sending"):
        await two[0].gateway.clock.sleep(0.02)
    await moved(two[0], "acme", "eu")
    reply = await sending
    assert reply.status in (201, 202)
    await two[0].gateway.tasks.drain(10)
    again = await two[1].create(body, key=key)
    assert (again.status, len(await two[0].provider_orders("psp"))) == (201, 1)
    main, eu = two[0].gateway.store.parts
    (operation,) = await eu.operations("acme", again.json["id"])
    assert operation.status == "succeeded"
    assert await main.rows("SELECT id FROM operations WHERE tenant = 'acme'", ()) == []


async def test_a_webhook_on_its_way_is_not_sent_again(two: list[GatewayStack], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claim goes with it, so that its outcome is stored where it is now; those behind it wait for it."""
    monkeypatch.setattr(move_tenant, "ENDED_WITHIN", 0.0)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_: Any) -> int:
        arrived.set()
        await go_on.wait()
        return 204

    two[0].webhook_answer = slowly
    created = (await two[0].create(psp_body())).json
    await arrived.wait()
    await moved(two[0], "acme", "eu")
    await two[1].click(created, "pay")
    go_on.set()
    await two[0].webhook(created["id"], "payment.captured")
    eu = two[0].gateway.store.parts[1]
    while await eu.deliveries.has_pending("acme"):
        await two[0].gateway.clock.sleep(0.02)
    sent = [headers["webhook-id"] for _, headers, _ in two[0].webhook_attempts]
    assert len(sent) == len({*sent}) == len(await eu.deliveries.of_payment("acme", created["id"]))
    assert await eu.rows("SELECT id FROM claims WHERE tenant = 'acme'", ()) == []


async def test_a_process_that_was_paused_writes_nothing(two: list[GatewayStack]) -> None:
    """It knows of no move, and its time is over: the database that was left refuses what it begins."""
    paused, other = two
    first = (await paused.create(psp_body())).json
    async with standing_still(paused):
        await moved(other, "acme", "eu")
        main, _ = paused.gateway.store.parts
        assert paused.gateway.store.tenants.store_of("acme") == "main"
        assert (await paused.create(psp_body())).status == 503
        assert await contents(main, tables=OF_TENANT, tenant="acme") == {}
        assert len(await other.provider_orders("psp")) == 1
        assert (await paused.call("GET", f"/v1/payments/{first['id']}")).status == 503  # no 404
    assert (await paused.payment(first["id"]))["id"] == first["id"]


@contextlib.asynccontextmanager
async def standing_still(stack: GatewayStack) -> AsyncIterator[None]:
    """Let a process renew nothing for the time of the block, as if it had been paused for longer than its lease."""
    node = stack.gateway.node
    async with node._renewing:
        for part, lease in node._leases.items():
            await part.commit(NO_TENANT, [Statement("UPDATE nodes SET alive_until = 1 WHERE id = ?", (node.id,))])
            lease.until = stack.gateway.clock.now()
        yield
    await node.renew("", stack.url)


@pytest.mark.parametrize("ahead", [0, 3600])
async def test_all_that_live_have_seen_it_before_rows_are_copied(
    two: list[GatewayStack], monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """One that has not yet serves the tenant where it is: it would answer from rows that are left behind.

    Also where the clock of the machine that runs the command is ahead, by which nobody would be alive.
    """

    class Ahead(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(seconds=ahead)

    monkeypatch.setattr("gateway.cli.move_tenant.SystemClock", Ahead)
    slow, looked = two[1].gateway.node, asyncio.Event()
    seen: list[str] = []
    copy, not_seen = move_tenant.copy_tenant, Moves.not_acknowledged

    async def copied(source: Store, *others: Any) -> None:
        seen.extend(node for (node,) in await source.rows("SELECT node FROM claims WHERE kind = 'move'", ()))
        loop.call_soon_threadsafe(looked.set)
        await copy(source, *others)

    async def look(self: Moves, *about: Any) -> Any:
        found = await not_seen(self, *about)
        if [one.id for one in found] == [slow.id]:
            loop.call_soon_threadsafe(looked.set)
        return found

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(move_tenant, "copy_tenant", copied)
    monkeypatch.setattr(Moves, "not_acknowledged", look)
    created = (await two[0].create(psp_body())).json
    async with slow._renewing:
        moving = asyncio.create_task(moved(two[0], "acme", "eu"))
        await looked.wait()
        assert (await two[1].payment(created["id"]))["id"] == created["id"]
    await moving
    assert {*seen} == {stack.gateway.node.id for stack in two}


async def test_callbacks_are_repeated_and_applied(two: list[GatewayStack]) -> None:
    """While the tenant moves they are answered 503: nothing was stored, and the provider sends them again."""
    created = (await two[0].create(psp_body())).json
    main, eu = two[0].gateway.store.parts
    begun = Move(tenant="acme", to="eu", at=1)
    await eu.commit(NO_TENANT, moves.begin_arrival(begun))
    await main.commit(NO_TENANT, [moves.announce(begun)])
    for one in two:
        await one.gateway.node.renew("", one.url)
        assert (await one.call("GET", f"/v1/payments/{created['id']}")).status == 503
    await two[0].click(created, "pay")
    (callback,) = await callbacks(two[0])
    assert [one["status"] for one in callback["answers"]] == [503]
    await moved(two[0], "acme", "eu")
    await repeat_callbacks(two[0])
    assert (await two[1].payment(created["id"]))["state"] == "captured"


async def test_nothing_is_begun_that_was_claimed_meanwhile(two: list[GatewayStack]) -> None:
    """The announcement is seen between the claim and the work: the claim stays, and the work waits."""
    gw, store = two[0].gateway, two[0].gateway.store

    async def read(identifiers: Collection[str]) -> dict[str, str]:
        store.tenants.note_moves("main", [Move(tenant="acme", to="eu", at=1)])
        return dict.fromkeys(identifiers, "due")

    assert await claims.take(gw, "check", gw.node.claimant(), "acme", ["pay_1"], read) == []


async def test_a_tenant_that_waits_keeps_no_callback_of_another_waiting(
    two: list[GatewayStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are due of the one whose move is announced, those of others are retried."""
    tried: list[str] = []

    async def retry(_: object, row: StoredCallback) -> None:
        tried.append(row.tenant)

    monkeypatch.setattr(inbox_retry, "retry", retry)
    monkeypatch.setattr(inbox_retry, "BATCH_SIZE", 1)
    gw, main = two[0].gateway, two[0].gateway.store.parts[0]
    await main.commit(NO_TENANT, [moves.announce(Move(tenant="acme", to="eu", at=1))])
    for one in two:
        await one.gateway.node.renew("", one.url)
    for number, tenant in enumerate(("acme", "globex")):
        due = gw.clock.now() - timedelta(minutes=2 - number)
        row = {"tenant": tenant, "account": "main", "callback": a_callback(), "verdict": "pending"}
        await main.commit(tenant, [inbox.insert_callback("cb_1", **row, next_attempt_at=due)])  # type: ignore[arg-type]
    await inbox_retry.retry_due(gw)
    assert {*tried} == {"globex"}


async def test_a_start_does_not_wait_for_the_end_of_a_move(two: list[GatewayStack]) -> None:
    """What a process has left of that tenant goes along, and is resolved by its check."""
    main, eu = two[0].gateway.store.parts
    await stored(main, 1, account="psp-main", provider="psp_open_api")
    at = two[0].gateway.clock.now()
    barred = Move(tenant="acme", to="eu", step=Step.BARRED, at=milliseconds(at))
    await eu.commit(NO_TENANT, moves.begin_arrival(barred))
    await main.commit(NO_TENANT, [moves.announce(barred), moves.bar("acme", at)])
    async with asyncio.timeout(10), running(two[0].settings, two[0].registry):
        pass
    await moved(two[0], "acme", "eu")
    assert len(await eu.open_operations("sending")) == 1
