"""A backup took the store's place: what tenants asked since is forgotten, they ask again, and nothing happens twice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.drivers.clock import Clock, SystemClock
from gateway.drivers.store.backup import back_up
from gateway.drivers.store.statements import Statement
from gateway.flows import restore
from tests.support.cli import run
from tests.support.clients.psp_callbacks import call_back, new_payment
from tests.support.scenarios.creditkey import VERBS, authorized, awaiting, captured, total_of
from tests.support.server_process import running_server_process
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, run_gateway

RISE = total_of("1267.33", allow_new_checkout=True)


class LaterClock(SystemClock):
    """The real clock, so many days ahead."""

    def __init__(self, days: int) -> None:
        self._ahead = timedelta(days=days)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


class Disaster:
    """A gateway with a Credit Key that remembers, a backup, and what was asked since."""

    def __init__(self, stack: GatewayStack) -> None:
        self.stack = stack
        self.backup = stack.folder / "backup.db"
        self.asked: list[tuple[str, str, Mapping[str, Any], str]] = []

    @asynccontextmanager
    async def before(self) -> AsyncIterator[GatewayStack]:
        """A gateway at work."""
        async with run_gateway(self.stack):
            yield self.stack

    def save(self) -> None:
        """Take the backup."""
        back_up(self.stack.store_file, self.backup, at=datetime.now(UTC))

    async def ask(self, method: str, path: str, body: Mapping[str, Any]) -> Reply:
        """Ask for something that will be forgotten."""
        key = new_key()
        self.asked.append((method, path, body, key))
        return await self.stack.call(method, path, body, key=key)

    async def repeat(self) -> list[Reply]:
        """Ask for all of it again, under the same keys."""
        return [await self.stack.call(method, path, body, key=key) for method, path, body, key in self.asked]

    @asynccontextmanager
    async def after(self, clock: Clock | None = None) -> AsyncIterator[GatewayStack]:
        """The store is gone, the backup takes its place, and a gateway starts on it."""
        data = self.stack.store_file.parent
        shutil.rmtree(data)
        data.mkdir()
        shutil.copy(self.backup, self.stack.store_file)
        config = self.stack.folder / "settings.yaml"
        recovered = await asyncio.to_thread(run, "recover", "--restored", "--config", config)
        assert recovered.exit_code == 0, recovered.output
        async with run_gateway(self.stack, clock=clock):
            yield self.stack

    async def history(self) -> list[list[str]]:
        """What happened to each order at the provider."""
        orders = await self.stack.provider_orders("creditkey")
        return [[event["event"] for event in order["history"]] for order in orders]

    async def settled(self, payment_id: str) -> Any:
        """The payment as soon as no operation of it is open."""
        async with asyncio.timeout(10):
            while (now := await self.stack.payment(payment_id))["pending_operation"] is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return now


@pytest.fixture
async def disaster(tmp_path: Path) -> AsyncIterator[Disaster]:
    """Nothing has happened yet."""
    async with running_server_process(tmp_path) as server:
        yield Disaster(server.stack)


def path_of(payment: Any, verb: str) -> tuple[str, str]:
    """Method and path of something a tenant asks of a payment."""
    method, below, _ = VERBS[verb]
    return method, f"/v1/payments/{payment['id']}{below}"


async def test_a_forgotten_create_is_taken_over_and_not_begun_again(disaster: Disaster) -> None:
    """The repeated create sends nothing: it finds the order, and the payment has it."""
    async with disaster.before():
        disaster.save()
        first = (await disaster.ask("POST", "/v1/payments", creditkey_body())).json
    async with disaster.after():
        (reply,) = await disaster.repeat()
        assert (reply.status, reply.json["operation"]["status"]) == (202, "unknown")
        payment = await disaster.settled(reply.json["id"])
        assert payment["id"] != first["id"]
        assert (payment["state"], payment["provider_reference"]) == ("awaiting_customer", first["provider_reference"])
        assert [one.status for one in await disaster.repeat()] == [201]
    assert await disaster.history() == [["begun"]]


async def test_a_forgotten_order_with_a_whole_life_is_taken_over(disaster: Disaster) -> None:
    """An order that was accepted, shipped and partly refunded since comes back as that, for a person to look at."""
    async with disaster.before() as stack:
        disaster.save()
        body = creditkey_body()
        first = (await disaster.ask("POST", "/v1/payments", body)).json
        await stack.visit(await stack.approve(first))
        await stack.gateway.tasks.drain(10)
        await stack.call("POST", f"/v1/payments/{first['id']}/capture", {}, key=new_key())
        await stack.call("POST", f"/v1/payments/{first['id']}/refunds", {"amount": "50.00"}, key=new_key())
    before = await disaster.history()
    async with disaster.after() as stack:
        (reply,) = await disaster.repeat()
        payment = await disaster.settled(reply.json["id"])
        assert (payment["state"], payment["amount_refunded"]) == ("partially_refunded", "50.00")
        again = await stack.call("POST", f"/v1/payments/{payment['id']}/refunds", {"amount": "50.00"}, key=new_key())
        assert (again.status, again.json["code"]) == (409, "under_review")
    assert await disaster.history() == before


FORGOTTEN = [
    ("authorized", "capture", {}, (409, "invalid_state"), "captured", None),
    ("authorized", "update", total_of("1100.00"), (409, "under_review"), "authorized", "amount"),
    ("awaiting_customer", "cancel", {}, (409, "invalid_state"), "canceled", None),
    ("authorized", "cancel", {}, (409, "invalid_state"), "canceled", None),
    ("captured", "refund", {"amount": "67.33"}, (409, "under_review"), "partially_refunded", "refund_unclear"),
    ("captured", "refund", {}, (409, "under_review"), "refunded", "refund_unclear"),
]
BEGIN = {"awaiting_customer": awaiting, "authorized": authorized, "captured": captured}


@pytest.mark.parametrize(("began", "verb", "body", "refused", "state", "review"), FORGOTTEN)
async def test_a_forgotten_change_is_found_out_before_it_is_repeated(
    disaster: Disaster,
    began: str,
    verb: str,
    body: Mapping[str, Any],
    refused: tuple[int, str],
    state: str,
    review: str | None,
) -> None:
    """The repeated command looks first, learns what was done, and is refused; the provider hears of it once."""
    async with disaster.before() as stack:
        payment = await BEGIN[began](stack)
        disaster.save()
        assert (await disaster.ask(*path_of(payment, verb), body)).status < 300
    before = await disaster.history()
    async with disaster.after() as stack:
        (reply,) = await disaster.repeat()
        assert (reply.status, reply.json["code"]) == refused
        now = await stack.payment(payment["id"])
        assert (now["state"], (now["review"] or {}).get("reason")) == (state, review)
    assert await disaster.history() == before


async def test_it_does_not_matter_who_looks_first(disaster: Disaster) -> None:
    """A forgotten refund that somebody's sync found out is not made again either."""
    async with disaster.before() as stack:
        payment = await captured(stack)
        disaster.save()
        await disaster.ask(*path_of(payment, "refund"), {"amount": "10.00"})
    before = await disaster.history()
    async with disaster.after() as stack:
        assert (await stack.call("POST", f"/v1/payments/{payment['id']}/sync")).json["amount_refunded"] == "10.00"
        (reply,) = await disaster.repeat()
        assert (reply.status, reply.json["code"]) == (409, "under_review")
    assert await disaster.history() == before


async def test_a_forgotten_successor_is_taken_over(disaster: Disaster) -> None:
    """A repeated rise finds the second order and begins no third; the customer's acceptance still cancels the first."""
    async with disaster.before() as stack:
        payment = await authorized(stack)
        disaster.save()
        assert (await disaster.ask(*path_of(payment, "update"), RISE)).status == 200
    async with disaster.after() as stack:
        (reply,) = await disaster.repeat()
        assert reply.status == 202
        successor = await disaster.settled((await stack.payment(payment["id"]))["replaced_by"])
        assert (successor["state"], successor["amount"]) == ("awaiting_customer", "1267.33")
    assert [order["status"] for order in await disaster.stack.provider_orders("creditkey")] == ["placed", "new"]


async def test_what_may_still_move_is_looked_up_though_nobody_asks(disaster: Disaster) -> None:
    """A capture that was forgotten is in the store soon after the start."""
    async with disaster.before() as stack:
        payment = await authorized(stack)
        disaster.save()
        await disaster.ask(*path_of(payment, "capture"), {})
    async with disaster.after() as stack, asyncio.timeout(10):
        while (await stack.payment(payment["id"]))["state"] != "captured":  # noqa: ASYNC110  # the agenda's work
            await asyncio.sleep(0.01)


async def test_a_failed_lookup_stores_nothing(disaster: Disaster) -> None:
    """While the provider cannot be asked creates and changes are 502 and leave nothing; afterwards they work."""
    async with disaster.before() as stack:
        payment = await captured(stack)
        disaster.save()
    async with disaster.after() as stack:
        await disaster.ask("POST", "/v1/payments", creditkey_body())
        await stack.faults("creditkey", status=500)
        body = creditkey_body()
        key = new_key()
        for method, path, sent in (
            ("POST", "/v1/payments", body),
            ("POST", f"/v1/payments/{payment['id']}/refunds", {"amount": "1.00"}),
        ):
            reply = await stack.call(method, path, sent, key=key)
            assert (reply.status, reply.json["code"]) == (502, "provider_error")
        found = await stack.call("GET", f"/v1/payments?merchant_reference={body['merchant_reference']}")
        assert found.json["data"] == []
        await stack.faults("creditkey")
        assert (await stack.call("POST", "/v1/payments", body, key=key)).status == 201


async def test_what_is_really_new_is_done_as_ever(disaster: Disaster) -> None:
    """A new reference is begun, an old payment nobody touched is refunded, and twice in part."""
    async with disaster.before() as stack:
        payment = await captured(stack)
        disaster.save()
    async with disaster.after() as stack:
        assert (await stack.create(creditkey_body())).status == 201
        for amount in ("10.00", "20.00"):
            reply = await stack.call(*path_of(payment, "refund"), {"amount": amount}, key=new_key())
            assert reply.status == 201, reply.text
        assert (await stack.payment(payment["id"]))["review"] is None


async def test_an_order_that_does_not_fit_stays_unknown(disaster: Disaster) -> None:
    """The same reference with another amount is neither begun nor taken over: a person must look."""
    async with disaster.before():
        disaster.save()
        await disaster.ask("POST", "/v1/payments", creditkey_body(merchant_reference="SO-1"))
    async with disaster.after() as stack:
        body = creditkey_body(merchant_reference="SO-1", amount="942.50", order={**creditkey_body()["order"]})
        body["order"]["charges"] = {"total": "942.50", "grand_total": "942.50"}
        reply = await stack.create(body)
        assert (reply.status, reply.json["operation"]["status"]) == (202, "unknown")
        synced = await stack.call("POST", f"/v1/payments/{reply.json['id']}/sync")
        assert synced.json["pending_operation"]["status"] == "unknown"
    assert await disaster.history() == [["begun"]]


async def test_after_a_week_nobody_looks_first(disaster: Disaster) -> None:
    """Keys are not kept longer than that, so a create is what it seems: it causes no lookup."""
    async with disaster.before():
        disaster.save()
    async with disaster.after(clock=LaterClock(days=8)) as stack:
        assert (await stack.create(creditkey_body())).status == 201
        asked = [one["path"] for one in await stack.provider_requests("creditkey")]
        assert [path for path in asked if "find_order" in path] == []


async def test_a_replaced_order_is_looked_up_before_it_is_canceled(disaster: Disaster) -> None:
    """The backup knows that the successor was accepted, not that the old order was canceled then: nobody cancels it."""
    async with disaster.before() as stack, asyncio.timeout(10):
        payment = await authorized(stack)
        rise = await stack.call(*path_of(payment, "update"), RISE, key=new_key())
        await stack.faults("creditkey", operation="cancel_order", status=429)
        await stack.visit(await stack.approve(await stack.payment(rise.json["replaced_by"])))
        while not await cancels(stack):  # noqa: ASYNC110  # the agenda's work
            await asyncio.sleep(0.01)
        await stack.gateway.tasks.drain(10)
        disaster.save()
    await disaster.stack.faults("creditkey")
    order = f"/_sim/orders/{payment['provider_reference']}"
    await disaster.stack.call_provider("creditkey", "PUT", order, {"status": "canceled"})
    sent = await cancels(disaster.stack)
    async with disaster.after() as stack, asyncio.timeout(10):
        while (now := await stack.payment(payment["id"]))["state"] != "canceled":  # noqa: ASYNC110  # the agenda's work
            await asyncio.sleep(0.01)
        assert (now["review"], await cancels(stack)) == (None, sent)


async def cancels(stack: GatewayStack) -> int:
    """How often the provider was asked to cancel."""
    return sum("cancel_order" in one["path"] for one in await stack.provider_requests("creditkey"))


async def test_what_was_seen_since_a_restore_is_remembered_only_as_long_as_it_matters(stack: GatewayStack) -> None:
    """Payments younger than the restore are not remembered one by one for ever."""
    payment = await new_payment(stack)
    await call_back(stack, payment)
    loaded = await stack.gateway.store.payment("acme", payment["id"])
    assert loaded is not None
    stack.gateway.restored_at = loaded.payment.created_at - timedelta(days=8)
    restore.note_refreshed(stack.gateway, loaded.payment)
    assert stack.gateway.memory.seen_since_restored == set()


FLAG = """
    UPDATE payments SET review = 'contradiction',
    doc = json_set(doc, '$.review', json('{"reason": "contradiction", "since": "2026-01-01T00:00:00Z"}'))"""


CLEAR = "UPDATE payments SET review = NULL, doc = json_set(doc, '$.review', NULL)"


async def test_a_forgotten_refund_is_said_although_the_payment_was_under_review_already(disaster: Disaster) -> None:
    """Anyone who clears the old flag a second time is told of the refund: its repetition would give the money twice."""
    async with disaster.before() as stack:
        payment = await captured(stack)
        await stack.gateway.store.commit("acme", [Statement(FLAG, ())])
        assert (await stack.payment(payment["id"]))["review"]["reason"] == "contradiction"
        disaster.save()
        await stack.gateway.store.commit("acme", [Statement(CLEAR, ())])
        assert (await disaster.ask(*path_of(payment, "refund"), {"amount": "10.00"})).status == 201
    async with disaster.after() as stack:
        now = (await stack.call("POST", f"/v1/payments/{payment['id']}/sync")).json
        assert (now["amount_refunded"], now["review"]["reason"]) == ("10.00", "refund_unclear")
