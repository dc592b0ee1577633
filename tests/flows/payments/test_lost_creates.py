"""A create whose answer was lost: found by its reference, or failed where absence at the provider proves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.background import reconcile
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    BEGIN,
    DAY,
    TimedStack,
    Wire,
    accept,
    calls,
    operations,
    provider_orders_of,
    timeline,
    unknown,
)
from tests.support.stack import GatewayStack, creditkey_body

FIRST_LOOK, SECOND_LOOK = timedelta(seconds=30), timedelta(seconds=150)
"""The pauses ahead of the first checks of an unknown operation; the second is longer than the quiet period."""
A_MOMENT = timedelta(seconds=2)


def absence_proves(settings: dict[str, Any]) -> None:
    """Let a number that Credit Key does not know prove that nothing was begun."""
    settings["tenants"]["acme"]["accounts"]["creditkey-main"]["config"]["absence_proves"] = True


async def lost_create(stack: GatewayStack, silence: str, **changes: Any) -> Any:
    """A create that is answered with silence."""
    await stack.faults("creditkey", operation=BEGIN, silence=silence, times=1)
    reply = await stack.create(creditkey_body(**changes))
    payment = unknown(reply)
    assert (payment["state"], payment["failure"], payment["provider_reference"]) == ("created", None, None)
    return payment


async def test_a_create_whose_answer_was_lost_is_found_by_its_reference(timed: TimedStack) -> None:
    """The order that was begun is found under the merchant's number; no second one is begun."""
    stack = timed.stack
    payment = await lost_create(stack, "after_effect")
    await timed.advance(FIRST_LOOK)
    now = await stack.payment(payment["id"])
    [order] = await provider_orders_of(stack, payment)
    assert (now["state"], now["provider_reference"], now["pending_operation"]) == (
        "awaiting_customer",
        order["id"],
        None,
    )
    assert await timeline(stack, payment) == ["payment.created", "payment.awaiting_customer"]
    await accept(stack, now)
    await timed.advance(A_MOMENT)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    assert await calls(stack, payment, BEGIN) == [BEGIN]


async def test_a_create_that_cannot_be_found_stays_unknown(timed: TimedStack) -> None:
    """Where absence proves nothing, no number of looks makes an unknown create a failed one."""
    stack = timed.stack
    payment = await lost_create(stack, "before_effect")
    await timed.advance(29 * DAY)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["pending_operation"]["status"], now["failure"]) == ("created", "unknown", None)
    assert (await calls(stack, payment, BEGIN), await provider_orders_of(stack, payment)) == ([BEGIN], [])


async def test_an_order_that_cannot_be_found_by_its_number_is_not_lost(timed: TimedStack) -> None:
    """An order whose number Credit Key did not keep is not found, not begun anew, and settled by the customer."""
    stack = timed.stack
    await stack.faults("creditkey", seed_merchant_order_id=False, silence="after_effect", operation=BEGIN, times=1)
    payment = unknown(await stack.create(creditkey_body()))
    await timed.advance(2 * DAY)
    assert (await operations(stack, payment))[-1] == ("create", "unknown")
    [order] = await provider_orders_of(stack, payment)
    await stack.call_provider(
        "creditkey", "PUT", f"/_sim/orders/{order['id']}", {"merchant_order_id": order["remote_id"]}
    )
    await accept(stack, {**payment, "provider_reference": order["id"]})
    now = await stack.payment(payment["id"])
    assert (now["state"], now["provider_reference"]) == ("authorized", order["id"])
    assert await calls(stack, payment, BEGIN) == [BEGIN]


@pytest.fixture
async def proving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TimedStack]:
    """The same stack, where a number that is not known proves that nothing was begun."""
    monkeypatch.setattr(reconcile, "run", creditkey.idle)
    async with creditkey.open_timed(tmp_path, absence_proves) as opened:
        yield opened


async def test_a_create_fails_after_two_absences(proving: TimedStack) -> None:
    """Two reads a quiet period apart prove that nothing was begun: the payment fails and frees its reference."""
    stack = proving.stack
    payment = await lost_create(stack, "before_effect")
    await proving.advance(FIRST_LOOK)
    assert (await stack.payment(payment["id"]))["state"] == "created"
    await proving.advance(SECOND_LOOK)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["failure"]["code"], now["pending_operation"]) == ("failed", "not_created", None)
    assert (await operations(stack, payment))[-1] == ("create", "declined")
    assert await timeline(stack, payment) == ["payment.created", "payment.failed"]
    again = await stack.create(creditkey_body(merchant_reference=payment["merchant_reference"]))
    assert (again.status, again.json["state"]) == (201, "awaiting_customer")


async def test_an_order_begun_after_the_first_absence_is_found(proving: TimedStack) -> None:
    """A begin that arrives after the first read of its absence is found by the second."""
    stack, wire = proving.stack, Wire(proving.stack)
    wire.too_late(BEGIN)
    payment = unknown(await stack.create(creditkey_body()))
    await proving.advance(FIRST_LOOK)
    await wire.deliver(BEGIN)
    await proving.advance(SECOND_LOOK)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["failure"]) == ("awaiting_customer", None)
    assert await calls(stack, payment, BEGIN) == [BEGIN]


async def test_failed_looks_are_no_absences(proving: TimedStack) -> None:
    """A look that fails is no proof of absence, even where absence proves."""
    stack = proving.stack
    payment = await lost_create(stack, "before_effect")
    await stack.faults("creditkey", operation="find_order_by_merchant_order_id", html=True, status=404)
    await proving.advance(5 * DAY)
    assert (await operations(stack, payment))[-1] == ("create", "unknown")


async def test_a_key_that_is_not_known_proves_no_absence(proving: TimedStack) -> None:
    """Somebody visits the return address with an invented key, twice: the order that was begun is still found."""
    stack = proving.stack
    payment = await lost_create(stack, "after_effect")
    [order] = await provider_orders_of(stack, payment)
    for _ in range(2):
        await stack.visit(order["return_url"].replace("%CKKEY%", "CK-INVENTED"))
        await stack.gateway.tasks.drain(10)
        proving.clock.set(proving.clock.now() + timedelta(minutes=10))
    assert (await stack.payment(payment["id"]))["state"] == "created"
    await proving.run_due()
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"
