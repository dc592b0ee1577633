"""Erased payments go on as before: refunds, callbacks, lookups; what is open waits; what was erased stays erased."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.core.errors import Unavailable
from gateway.core.personal_data import ERASED, Subject
from gateway.drivers.store import pending_erasures
from gateway.drivers.store.audit import AuditFilter
from gateway.drivers.store.stored_bytes import RECOUNT
from gateway.flows import search
from gateway.flows.audit import Act, Actor
from gateway.flows.background import reconcile
from gateway.flows.customers import erase, old_data
from gateway.flows.customers.erase import Found
from gateway.flows.webhooks.dispatch import MAX_CONCURRENT_ATTEMPTS
from tests.support.clients.psp_callbacks import change_store, post, signed_body
from tests.support.factories.deliveries import a_clock, rows_when
from tests.support.factories.sqlite import engine_of
from tests.support.scenarios import creditkey
from tests.support.stack import GatewayStack, new_key, of_sqlite, psp_body, running_stack

MAIL = "dana@reyes.example"
SUBJECT = Subject(kind="email", written=MAIL)
ACT = Act(name="customers.erase", by=Actor(key_id="k1"), reason="asked by Dana Reyes")
PAIRS = {"vip": "gold-of-dana"}


async def erased(stack: GatewayStack) -> dict[str, Found]:
    """Erase the customer of all tenants."""
    case = await erase.look_into(stack.gateway, ["acme", "globex"], SUBJECT)
    await erase.erase(stack.gateway, case, ACT)
    return case.found


async def paid(stack: GatewayStack, **changes: Any) -> Any:
    """A payment that the PSP reported as captured."""
    created = await stack.create(psp_body(metadata=PAIRS, **changes))
    assert (await post(stack, signed_body(stack, created.json, payer=MAIL))).status < 300
    return created.json


async def purchase_of(stack: GatewayStack, payment: Any) -> Any:
    """The payment as it is stored."""
    found = await stack.gateway.store.payment(payment["tenant"], payment["id"])
    assert found is not None
    return found.payment


async def test_an_erased_payment_is_refunded(stack: GatewayStack) -> None:
    """In parts and to the end, with what the provider is told as before; a lookup changes nothing."""
    payment = await creditkey.captured(stack, metadata=PAIRS)
    assert await erased(stack) == {"acme": Found(payments=1, operations=3, events=4, webhooks=4, callbacks=1)}
    assert (await creditkey.act(stack, payment, "sync")).json["state"] == "captured"
    for amount, state in (("67.33", "partially_refunded"), (None, "refunded")):
        reply = await creditkey.act(stack, payment, "refund", {"amount": amount} if amount else {})
        assert (reply.status, reply.json["payment"]["state"]) == (201, state), reply.text
    assert await creditkey.calls(stack, payment, "refund") == ["refund", "refund"]
    stored = await purchase_of(stack, payment)
    assert (stored.customer.id, stored.metadata, stored.order.items) == (None, {}, None)
    assert stored.order.charges is not None


async def test_a_callback_after_it_is_kept_without_its_contents(stack: GatewayStack) -> None:
    """A repetition is recognized, a new one has its effect; neither brings the customer back."""
    payment = await paid(stack)
    await erased(stack)
    again = signed_body(stack, payment, payer=MAIL)
    assert (await post(stack, again)).status < 300
    rows = [await stack.gateway.store.inbox.find(["acme"], row[0]) for row in await inbox_of(stack, payment)]
    assert [(row.verdict, row.body, row.query, row.headers) for row in rows if row] == [
        ("recorded", b"", "", ()),
        ("repeated", b"", "", ()),
    ]
    assert (await stack.payment(payment["id"]))["state"] == "captured"


async def inbox_of(stack: GatewayStack, payment: Any) -> list[tuple[Any, ...]]:
    """The stored callbacks of a payment."""
    return await stack.gateway.store.inbox.of_payment("acme", payment["id"])


async def test_what_is_open_waits_and_is_erased_when_it_has_ended(stack: GatewayStack) -> None:
    """Authorized, its capture needs the order; nothing of it is touched until then."""
    payment = await creditkey.authorized(stack, metadata=PAIRS)
    before = await purchase_of(stack, payment)
    assert await erased(stack) == {"acme": Found(waiting=1)}
    assert await purchase_of(stack, payment) == before
    assert (await creditkey.act(stack, payment, "capture")).json["state"] == "captured"
    await old_data.erase(stack.gateway)
    assert (await purchase_of(stack, payment)).erased_at is not None
    assert await stack.gateway.store.pending_erasures.page(("", ""), 9) == []
    assert await erased(stack) == {}


async def test_a_pending_webhook_is_sent_without_the_customer(stack: GatewayStack) -> None:
    """Its signature is made when it is sent, so it fits what is sent."""
    stack.webhook_answer = lambda _: 503
    payment = await paid(stack)
    await rows_when(stack, payment["id"], lambda rows: len(rows) == 3 and all(row.attempts for row in rows[:1]))
    await erased(stack)
    stack.webhook_answer = lambda _: 204
    deliveries = await stack.gateway.store.deliveries.of_payment("acme", payment["id"])
    assert {row.status for row in deliveries} == {"pending"}
    await stack.call("POST", f"/v1/webhooks/deliveries/{deliveries[-1].id}/redeliver", {})
    webhook = await stack.webhook(payment["id"], "payment.captured")
    assert (webhook["data"]["payment"]["metadata"], webhook["data"]["payment"]["amount"]) == ({}, "162.48")


async def test_a_webhook_that_was_read_ahead_is_read_again(stack: GatewayStack) -> None:
    """A slow endpoint takes eight at a time; those behind them in the line were read before the erasure."""
    turns, arrived = asyncio.Semaphore(0), asyncio.Queue[bytes]()

    async def slow(request: web.Request) -> int:
        arrived.put_nowait(await request.read())
        await turns.acquire()
        return 204

    stack.webhook_answer = slow
    payments = [await paid(stack) for _ in range(MAX_CONCURRENT_ATTEMPTS + 4)]
    async with asyncio.timeout(10):
        before = [await arrived.get() for _ in range(MAX_CONCURRENT_ATTEMPTS)]
        turns.release()  # what is due by now is read, and one of it sent
        before.append(await arrived.get())
    await erased(stack)
    for _ in range(4 * len(payments)):
        turns.release()
    for payment in payments:
        await stack.webhook(payment["id"], "payment.captured")
    after = [arrived.get_nowait() for _ in range(arrived.qsize())]
    vip = PAIRS["vip"].encode()
    assert all(vip in body for body in before)
    assert after
    assert not [body for body in after if vip in body]


async def test_an_erasure_gives_way_to_who_was_first(stack: GatewayStack) -> None:
    """Refunds that run at the same time are whole, and the payment is erased after them."""
    payment = await creditkey.captured(stack, metadata=PAIRS)
    refunds = [creditkey.act(stack, payment, "refund", {"amount": "1.00"}, key=new_key()) for _ in range(3)]
    begun = [asyncio.create_task(refund) for refund in refunds]
    await erased(stack)
    done = [reply for reply in await asyncio.gather(*begun) if reply.status == 201]
    assert done
    await erased(stack)
    stored = await purchase_of(stack, payment)
    assert (stored.refunded, stored.customer.email) == (len(done), None)


async def test_the_search_forgets_the_customer_and_not_the_payment(stack: GatewayStack) -> None:
    """In the same transaction as the payment: what leads to it afterwards is what it still has."""
    payment = await creditkey.captured(stack, metadata=PAIRS)
    found, gw = [], stack.gateway
    for _ in range(2):
        await search.catch_up(gw, search.BATCHES_BEFORE_SEARCH)
        for text in (MAIL, payment["merchant_reference"]):
            wanted = search.Search(tenants=["acme"], text=text, limit=9)
            found.append([one.payment.id for one in await search.find(gw, wanted)])
        await erased(stack)
    assert found == [[payment["id"]], [payment["id"]], [], [payment["id"]]]


@of_sqlite
async def test_bytes_are_counted(stack: GatewayStack) -> None:
    """What is erased is given back to the tenant's budget, to the byte."""
    payment = await paid(stack)
    await rows_when(stack, payment["id"], lambda rows: all(row.status == "delivered" for row in rows))

    async def counted() -> tuple[int, int]:
        recounted = dict(await engine_of(stack.gateway.store).rows(RECOUNT, ()))
        stored = (await stack.gateway.store.stored_bytes())["acme"]
        return stored, stored - recounted["acme"]

    (before, drift), _ = await counted(), await erased(stack)
    after, drift_after = await counted()
    assert (after < before, drift_after) == (True, drift)


@of_sqlite
async def test_the_list_beside_the_store_names_payments_only(stack: GatewayStack) -> None:
    """It is what a restored backup is compared with."""
    payment = await paid(stack)
    await erased(stack)
    path = pending_erasures.erased_file(stack.settings.store)
    assert path is not None
    assert pending_erasures.noted_in_file(path) == [("acme", payment["id"])]


async def test_the_audit_trail_names_nobody(stack: GatewayStack) -> None:
    """What was erased is told in numbers, and a reason without the customer."""
    await paid(stack)
    await erased(stack)
    [row] = await stack.gateway.store.audit.newest(AuditFilter(limit=1))
    assert (row.act, row.reason) == ("customers.erase", f"asked by {ERASED}")
    assert json.loads(row.details)["payments"] == 1


async def acts(stack: GatewayStack) -> list[tuple[str, str | None, str | None]]:
    """Act, tenant and who approved it, of the rows of the audit trail, newest first."""
    return [
        (row.act, row.tenant, row.approved_by) for row in await stack.gateway.store.audit.newest(AuditFilter(limit=99))
    ]


async def test_an_erasure_and_its_row_in_the_audit_trail_are_one_transaction(stack: GatewayStack) -> None:
    """What cannot be asked for is not on record, and what cannot be put on record is not asked for."""
    await paid(stack)
    before = await acts(stack)
    for table in ("pending_erasures", "audit_log"):
        await change_store(stack, f"CREATE TRIGGER balk BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(Unavailable):
            await erased(stack)
        await change_store(stack, "DROP TRIGGER balk")
        assert await acts(stack) == before
        assert await stack.gateway.store.pending_erasures.page(("", ""), 9) == []


async def test_the_erasure_of_several_tenants_is_on_record_for_each(stack: GatewayStack) -> None:
    """In the transaction in which its payments are asked for; where there is nothing to erase, that is on record."""
    await paid(stack)
    await stack.create(psp_body(), tenant="globex")
    before = await acts(stack)
    await erased(stack)
    asked = [("customers.erase", "acme", None), ("customers.erase", "globex", None)]
    assert await acts(stack) == [*asked, *before]
    other = Subject(kind="email", written="nobody@reyes.example")
    await erase.erase(stack.gateway, await erase.look_into(stack.gateway, ["acme", "globex"], other), ACT)
    assert await acts(stack) == [("customers.erase", None, None), *asked, *before]


async def test_nothing_is_remembered_of_who_is_erased(stack: GatewayStack) -> None:
    """Not even of a payment that has ended without this process knowing, which remembers it as one that waits."""
    payment, recent = await paid(stack), stack.gateway.memory.recent_payments
    recent.note(await purchase_of(stack, payment))
    await erased(stack)
    assert recent.find("acme", payment["id"]) is None


async def test_others_keep_their_data(tmp_path: Path) -> None:
    """Other customers, and the same customer at a tenant that was not meant."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        other = await paid(stack, customer={"id": "C-99", "name": "Kim", "email": f"x{MAIL}"})
        case = await erase.look_into(stack.gateway, ["globex"], SUBJECT)
        await erase.erase(stack.gateway, case, ACT)
        await paid(stack)
        await erased(stack)
        assert (await purchase_of(stack, other)).customer.email == f"x{MAIL}"
        assert (await stack.payment(other["id"]))["metadata"] == PAIRS


async def test_an_expired_payment_waits_for_its_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may still turn out to be paid, and its capture needs what was bought; after that it is erased."""
    monkeypatch.setattr(reconcile, "run", creditkey.idle)
    async with creditkey.open_timed(tmp_path) as timed:
        late, never = [await creditkey.awaiting(timed.stack, metadata=PAIRS) for _ in range(2)]
        await timed.advance(30 * creditkey.DAY + timedelta(minutes=1))
        assert (await erased(timed.stack))["acme"] == Found(waiting=2)
        await creditkey.accept(timed.stack, late)
        assert (await timed.stack.payment(late["id"]))["state"] == "authorized"
        await timed.advance(timed.stack.settings.clocks.late_grace)
        assert (await erased(timed.stack))["acme"] == Found(payments=1, operations=1, events=3, webhooks=3, waiting=1)
        assert (await purchase_of(timed.stack, never)).erased_at is not None
        assert (await purchase_of(timed.stack, late)).erased_at is None
