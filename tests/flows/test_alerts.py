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
from tests import creditkey_story as story
from tests.creditkey_story import DAY, Timed, accept, act, awaiting, calls, far_orders_of, timeline, total_of
from tests.house import House, Reply, creditkey_body, new_key

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
async def timed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Timed]:
    """A house whose clock stands still until a test turns it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "run", story.idle)
        async with story.open_timed(tmp_path_factory.mktemp("alerts"), with_key) as opened:
            yield opened


def codes(payment: Any) -> list[str]:
    """The alerts of an answer."""
    return [alert["code"] for alert in payment["alerts"]]


async def webhook_of(house: House, payment: Any, kind: str) -> Any:
    """The payment in the webhook of one type, as it is stored and sent; a standing clock would date its signature."""
    [made] = [one for one in await house.gateway.store.webhooks.of_payment("acme", payment["id"]) if one.type == kind]
    return json.loads(made.body)["data"]["payment"]


async def lose(house: House, operation: str, asked: Awaitable[Reply]) -> Any:
    """Ask for something whose call has its effect and is answered with silence."""
    await house.faults("creditkey", operation=operation, silence="after_effect", times=1)
    try:
        reply = await asked
    finally:
        await house.faults("creditkey")
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
async def test_an_old_alert_is_not_told_by_another_change(timed: Timed, name: str) -> None:
    """The create's alert is in its own answer and webhook; no later answer has it, and its repeat has the same."""
    house, row, key, again = timed.house, QUIET[name], new_key(), new_key()
    body = creditkey_body()
    created = await house.create(body, key=key)
    payment = created.json
    assert codes(payment) == codes(await house.payment(payment["id"])) == [NOTIFIED]
    if row.fault is not None:
        await house.faults("creditkey", **row.fault, times=2)
    first = await act(house, payment, row.verb, row.body, key=again)
    await house.faults("creditkey")
    assert codes(first.json) == [], first.text
    assert (await house.create(body, key=key)).text == created.text
    if first.status == 200:
        assert codes((await act(house, payment, row.verb, row.body, key=again)).json) == []
        assert codes(await house.payment(payment["id"])) == []
    assert codes(await webhook_of(house, payment, "payment.awaiting_customer")) == [NOTIFIED]


@shared
async def test_a_sync_has_the_alerts_of_what_it_found(timed: Timed) -> None:
    """One that changes nothing has none, one that finds the order canceled has its alert; a read has the newest."""
    house = timed.house
    payment = await awaiting(house)
    assert codes((await act(house, payment, "sync")).json) == []
    timed.clock.set(timed.clock.now() + DAY)
    await story.edit(house, payment, status="canceled")
    assert codes((await act(house, payment, "sync")).json) == [CANCELED]
    assert codes(await house.payment(payment["id"])) == [CANCELED]
    timed.clock.set(timed.clock.now() + DAY)
    assert codes((await act(house, payment, "sync")).json) == []


@shared
async def test_a_refused_rise_promises_nothing(timed: Timed) -> None:
    """The detail says that nothing was done, how far the rise is over, and what to send to go on; nothing was sent."""
    house = timed.house
    payment = await awaiting(house)
    reply = await act(house, payment, "update", total_of("1217.33"))
    assert (reply.status, reply.json["code"]) == (409, "increase_over_limit")
    detail = reply.json["detail"]
    for words in ("nothing was changed and nobody was notified", "150.00 USD", "100.00", "allow_new_checkout"):
        assert words in detail
    assert codes(reply.json) == ["increase_over_limit"]
    assert (await far_orders_of(house, payment))[0]["notifications"][1:] == []
    assert codes(await house.payment(payment["id"])) == [NOTIFIED]


@shared
async def test_a_new_checkout_is_told_by_the_answer_that_began_it(timed: Timed) -> None:
    """Also where the successor's create has no answer yet; when it came to nothing, nothing is told any more."""
    house, key = timed.house, new_key()
    payment = await awaiting(house)
    asked = act(house, payment, "update", REPLACED, key=key)
    answer = await lose(house, BEGIN, asked)
    assert (codes(answer), answer["replaced_by"] is not None) == ([STARTED], True)
    other = await awaiting(house)
    await house.faults("creditkey", operation=BEGIN, status=400, body={"result": "no"}, times=1)
    declined = await act(house, other, "update", REPLACED)
    assert (declined.json["operation"]["status"], codes(declined.json)) == ("declined", [])


# What a lost answer would have said


async def look(timed: Timed, payment: Any) -> None:
    """The agenda looks by itself."""
    for _ in range(3):
        if (await timed.house.payment(payment["id"]))["pending_operation"] is not None:
            await timed.pass_by(DAY / 24)


async def sync(timed: Timed, payment: Any) -> None:
    """The tenant asks for a look."""
    timed.clock.set(timed.clock.now() + DAY / 24)
    assert (await act(timed.house, payment, "sync")).status == 200


async def give_up(timed: Timed, payment: Any) -> None:
    """The customer comes back without having accepted: a hint, which causes a lookup."""
    [begun] = [
        one for one in await timed.house.far_requests("creditkey") if payment["merchant_reference"] in one["body"]
    ]
    url = next(part for part in begun["body"].split('"') if "/cancel/" in part).replace("%CKKEY%", "")
    assert (await timed.house.visit(url)).status == 303
    await timed.house.gateway.drain(10)


async def settle(timed: Timed, payment: Any) -> None:
    """An operator says that it succeeded; the next look finds the order."""
    house, operation_id = timed.house, payment["operation"]["id"]
    url = f"{house.admin_url}/admin/v1/operations/{operation_id}/resolve"
    body, headers = {"outcome": "succeeded", "reason": "asked"}, {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with house.http.post(url, json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
    await sync(timed, payment)


FOUND_BY: dict[str, Callable[[Timed, Any], Awaitable[None]]] = {
    "a look": look,
    "a sync": sync,
    "a hint": give_up,
    "an operator": settle,
}


@shared
@pytest.mark.parametrize("mode", ["link", "redirect"])
@pytest.mark.parametrize("how", FOUND_BY)
async def test_a_lost_begin_that_is_found_tells_who_was_notified(timed: Timed, how: str, mode: str) -> None:
    """In link mode the customer got the mail: the payment says so, with the alert the lost answer would have had."""
    house = timed.house
    payment = await lose(house, BEGIN, house.create(creditkey_body(checkout={"mode": mode})))
    assert (payment["customer_notified"], codes(payment)) == (False, [])
    await FOUND_BY[how](timed, payment)
    now = await house.payment(payment["id"])
    assert (now["state"], now["customer_notified"]) == ("awaiting_customer", mode == "link")
    assert codes(now) == ([NOTIFIED] if mode == "link" else [])
    [order] = await far_orders_of(house, payment)
    assert [one["kind"] for one in order["notifications"]] == (["link"] if mode == "link" else [])
    assert await calls(house, payment, BEGIN) == [BEGIN]
    webhook = await webhook_of(house, payment, "payment.awaiting_customer")
    assert (webhook["customer_notified"], codes(webhook)) == (now["customer_notified"], codes(now))
    await timeline(house, payment)


@shared
async def test_a_customer_who_has_accepted_needs_no_alert(timed: Timed) -> None:
    """They had the mail and answered it before the order was found: it is noted, and no longer news."""
    house = timed.house
    payment = await lose(house, BEGIN, house.create(creditkey_body()))
    [order] = await far_orders_of(house, payment)
    await accept(house, {**payment, "provider_reference": order["id"]})
    now = await house.payment(payment["id"])
    assert (now["state"], now["customer_notified"], codes(now)) == ("authorized", True, [])


@shared
async def test_a_successors_lost_begin_is_told_by_the_successor(timed: Timed) -> None:
    """The new payment says that its customer is notified when its order is found."""
    house = timed.house
    payment = await awaiting(house)
    answer = await lose(house, BEGIN, act(house, payment, "update", REPLACED))
    successor = await house.payment(answer["replaced_by"])
    await story.edit(house, payment, merchant_order_id="moved-away")  # else the old order is found under the number
    await look(timed, successor)
    now = await house.payment(successor["id"])
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
    timed: Timed, verb: str, body: Any, operation: str, alerts: list[str], how: str
) -> None:
    """A cancel that is found tells that the customer was told; an update tells nothing, nor the create's alert."""
    house, key = timed.house, new_key()
    payment = await awaiting(house)
    lost = await lose(house, operation, act(house, payment, verb, body, key=key))
    assert codes(lost) == []
    for _ in range(3):
        await FOUND_BY[how](timed, payment)
    repeated = await act(house, payment, verb, body, key=key)
    assert (repeated.status, codes(repeated.json)) == (200, alerts)
    assert codes(await house.payment(payment["id"])) == alerts
