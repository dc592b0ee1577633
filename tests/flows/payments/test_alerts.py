"""Alerts are those of the newest change, told once; what a lost answer would have said is told when it is found again.

Credit Key's simulator is the witness: its ledger knows which mails were sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gateway.flows.background import reconcile
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    DAY,
    TimedStack,
    accept,
    act,
    awaiting,
    calls,
    provider_orders_of,
    timeline,
    total_of,
)
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key

shared = pytest.mark.asyncio(loop_scope="module")

BEGIN = "begin_standalone_checkout"
NOTIFIED, STARTED, CANCELED = "customer_will_be_notified", "new_checkout_started", "customer_notified_of_cancel"
ADMIN_KEY = "operators-test-key"
ITEM = {"merchant_id": "PJ-2", "name": "Stretch wrap", "price": "1067.33", "quantity": 1}
REPLACED = {**total_of("1500.00"), "allow_new_checkout": True}


def with_key(settings: dict[str, Any]) -> None:
    """Give the operators a key."""
    settings["server"]["admin"]["key_sha256"] = hashlib.sha256(ADMIN_KEY.encode()).hexdigest()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def timed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TimedStack]:
    """A stack whose clock stands still until a test turns it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "run", creditkey.idle)
        async with creditkey.open_timed(tmp_path_factory.mktemp("alerts"), with_key) as opened:
            yield opened


def codes(payment: Any) -> list[str]:
    """The alerts of an answer."""
    return [alert["code"] for alert in payment["alerts"]]


async def webhook_of(stack: GatewayStack, payment: Any, kind: str) -> Any:
    """The payment in the webhook of one type, as it is stored and sent; a standing clock would date its signature."""
    [made] = [one for one in await stack.gateway.store.deliveries.of_payment("acme", payment["id"]) if one.type == kind]
    return json.loads(made.body)["data"]["payment"]


async def lose(stack: GatewayStack, operation: str, asked: Awaitable[Reply]) -> Any:
    """Ask for something whose call has its effect and is answered with silence."""
    await stack.faults("creditkey", operation=operation, silence="after_effect", times=1)
    try:
        reply = await asked
    finally:
        await stack.faults("creditkey")
    assert reply.status == 202, reply.text
    return reply.json


# An answer's alerts are those of what it changed


class Quiet(NamedTuple):
    """Something after a create in link mode that tells nobody anything; ``fault``: what the provider does to it."""

    verb: str
    body: dict[str, Any] | None = None
    fault: dict[str, Any] | None = None


QUIET = {
    "other items": Quiet("update", {"order": {"items": [ITEM]}}),
    "merchant's status": Quiet("update", {"merchant_status": "processing"}),
    "another address": Quiet("update", {"order": {"shipping_address": {"city": "Elsewhere"}}}),
    "the same amount": Quiet("update", {"amount": "1067.33"}),
    "a fall": Quiet("update", total_of("900.00")),
    "an update refused": Quiet("update", None, {"status": 400, "body": {"result": "no"}}),
    "an update over the rate": Quiet("update", None, {"status": 429, "body": {"result": "slow"}}),
    "a cancel over the rate": Quiet("cancel", None, {"status": 429, "body": {"result": "slow"}}),
    "an update without an answer": Quiet("update", None, {"silence": "before_effect"}),
    "a cancel without an answer": Quiet("cancel", None, {"silence": "before_effect"}),
}


@shared
@pytest.mark.parametrize("name", QUIET)
async def test_an_old_alert_is_not_told_by_another_change(timed: TimedStack, name: str) -> None:
    """The create's alert is in its own answer and webhook; no later answer has it, and its repeat has the same."""
    stack, row, key, again = timed.stack, QUIET[name], new_key(), new_key()
    body = creditkey_body()
    created = await stack.create(body, key=key)
    payment = created.json
    assert codes(payment) == codes(await stack.payment(payment["id"])) == [NOTIFIED]
    if row.fault is not None:
        await stack.faults("creditkey", **row.fault, times=2)
    first = await act(stack, payment, row.verb, row.body, key=again)
    await stack.faults("creditkey")
    assert codes(first.json) == [], first.text
    assert (await stack.create(body, key=key)).text == created.text
    if first.status == 200:
        assert codes((await act(stack, payment, row.verb, row.body, key=again)).json) == []
        assert codes(await stack.payment(payment["id"])) == []
    assert codes(await webhook_of(stack, payment, "payment.awaiting_customer")) == [NOTIFIED]


@shared
async def test_a_sync_has_the_alerts_of_what_it_found(timed: TimedStack) -> None:
    """One that changes nothing has none, one that finds the order canceled has its alert; a read has the newest."""
    stack = timed.stack
    payment = await awaiting(stack)
    assert codes((await act(stack, payment, "sync")).json) == []
    timed.clock.set(timed.clock.now() + DAY)
    await creditkey.edit(stack, payment, status="canceled")
    assert codes((await act(stack, payment, "sync")).json) == [CANCELED]
    assert codes(await stack.payment(payment["id"])) == [CANCELED]
    timed.clock.set(timed.clock.now() + DAY)
    assert codes((await act(stack, payment, "sync")).json) == []


@shared
async def test_a_refused_rise_promises_nothing(timed: TimedStack) -> None:
    """The detail says that nothing was done, how far the rise is over, and what to send to go on; nothing was sent."""
    stack = timed.stack
    payment = await awaiting(stack)
    reply = await act(stack, payment, "update", total_of("1217.33"))
    assert (reply.status, reply.json["code"]) == (409, "increase_over_limit")
    detail = reply.json["detail"]
    for words in ("nothing was changed and nobody was notified", "150.00 USD", "100.00", "allow_new_checkout"):
        assert words in detail
    assert codes(reply.json) == ["increase_over_limit"]
    assert (await provider_orders_of(stack, payment))[0]["notifications"][1:] == []
    assert codes(await stack.payment(payment["id"])) == [NOTIFIED]


@shared
async def test_a_new_checkout_is_told_by_the_answer_that_began_it(timed: TimedStack) -> None:
    """Also where the successor's create has no answer yet; when it came to nothing, nothing is told any more."""
    stack, key = timed.stack, new_key()
    payment = await awaiting(stack)
    asked = act(stack, payment, "update", REPLACED, key=key)
    answer = await lose(stack, BEGIN, asked)
    assert (codes(answer), answer["replaced_by"] is not None) == ([STARTED], True)
    other = await awaiting(stack)
    await stack.faults("creditkey", operation=BEGIN, status=400, body={"result": "no"}, times=1)
    declined = await act(stack, other, "update", REPLACED)
    assert (declined.json["operation"]["status"], codes(declined.json)) == ("declined", [])


# What a lost answer would have said


async def look(timed: TimedStack, payment: Any) -> None:
    """The agenda looks by itself."""
    for _ in range(3):
        if (await timed.stack.payment(payment["id"]))["pending_operation"] is not None:
            await timed.advance(DAY / 24)


async def sync(timed: TimedStack, payment: Any) -> None:
    """The tenant asks for a look."""
    timed.clock.set(timed.clock.now() + DAY / 24)
    assert (await act(timed.stack, payment, "sync")).status == 200


async def give_up(timed: TimedStack, payment: Any) -> None:
    """The customer comes back without having accepted: a hint, which causes a lookup."""
    [begun] = [
        one for one in await timed.stack.provider_requests("creditkey") if payment["merchant_reference"] in one["body"]
    ]
    url = next(part for part in begun["body"].split('"') if "/cancel/" in part).replace("%CKKEY%", "")
    assert (await timed.stack.visit(url)).status == 303
    await timed.stack.gateway.tasks.drain(10)


async def settle(timed: TimedStack, payment: Any) -> None:
    """An operator says that it succeeded; the next look finds the order."""
    stack, operation_id = timed.stack, payment["operation"]["id"]
    url = f"{stack.admin_url}/admin/v1/operations/{operation_id}/resolve"
    body, headers = {"outcome": "succeeded", "reason": "asked"}, {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with stack.http.post(url, json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
    await sync(timed, payment)


FOUND_BY: dict[str, Callable[[TimedStack, Any], Awaitable[None]]] = {
    "a look": look,
    "a sync": sync,
    "a hint": give_up,
    "an operator": settle,
}


@shared
@pytest.mark.parametrize("mode", ["link", "redirect"])
@pytest.mark.parametrize("how", FOUND_BY)
async def test_a_lost_begin_that_is_found_tells_who_was_notified(timed: TimedStack, how: str, mode: str) -> None:
    """In link mode the customer got the mail: the payment says so, with the alert the lost answer would have had."""
    stack = timed.stack
    payment = await lose(stack, BEGIN, stack.create(creditkey_body(checkout={"mode": mode})))
    assert (payment["customer_notified"], codes(payment)) == (False, [])
    await FOUND_BY[how](timed, payment)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["customer_notified"]) == ("awaiting_customer", mode == "link")
    assert codes(now) == ([NOTIFIED] if mode == "link" else [])
    [order] = await provider_orders_of(stack, payment)
    assert [one["kind"] for one in order["notifications"]] == (["link"] if mode == "link" else [])
    assert await calls(stack, payment, BEGIN) == [BEGIN]
    webhook = await webhook_of(stack, payment, "payment.awaiting_customer")
    assert (webhook["customer_notified"], codes(webhook)) == (now["customer_notified"], codes(now))
    await timeline(stack, payment)


@shared
async def test_a_customer_who_has_accepted_needs_no_alert(timed: TimedStack) -> None:
    """They had the mail and answered it before the order was found: it is noted, and no longer news."""
    stack = timed.stack
    payment = await lose(stack, BEGIN, stack.create(creditkey_body()))
    [order] = await provider_orders_of(stack, payment)
    await accept(stack, {**payment, "provider_reference": order["id"]})
    now = await stack.payment(payment["id"])
    assert (now["state"], now["customer_notified"], codes(now)) == ("authorized", True, [])


@shared
async def test_a_successors_lost_begin_is_told_by_the_successor(timed: TimedStack) -> None:
    """The new payment says that its customer is notified when its order is found."""
    stack = timed.stack
    payment = await awaiting(stack)
    answer = await lose(stack, BEGIN, act(stack, payment, "update", REPLACED))
    successor = await stack.payment(answer["replaced_by"])
    await creditkey.edit(stack, payment, merchant_order_id="moved-away")  # else the old order is found under the number
    await look(timed, successor)
    now = await stack.payment(successor["id"])
    assert (now["state"], now["customer_notified"], codes(now)) == ("awaiting_customer", True, [NOTIFIED])


@shared
@pytest.mark.parametrize("how", ["a look", "a sync"])
@pytest.mark.parametrize(
    ("verb", "body", "operation", "alerts"),
    [
        ("cancel", None, "cancel_order", [CANCELED]),
        ("update", total_of("1100.00"), "update_order", []),
        ("update", {"order": {"items": [ITEM]}}, "update_order", []),
    ],
)
async def test_a_lost_command_that_is_found_has_its_own_alerts(
    timed: TimedStack, verb: str, body: Any, operation: str, alerts: list[str], how: str
) -> None:
    """A cancel that is found tells that the customer was told; an update tells nothing, nor the create's alert."""
    stack, key = timed.stack, new_key()
    payment = await awaiting(stack)
    lost = await lose(stack, operation, act(stack, payment, verb, body, key=key))
    assert codes(lost) == []
    for _ in range(3):
        await FOUND_BY[how](timed, payment)
    repeated = await act(stack, payment, verb, body, key=key)
    assert (repeated.status, codes(repeated.json)) == (200, alerts)
    assert codes(await stack.payment(payment["id"])) == alerts
