"""Once broken: successions and hints that nobody followed to their end, and proofs that were none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store.statements import Unit
from gateway.flows.background import reconcile
from tests.support.clients.psp_callbacks import call_back
from tests.support.passing_time import run_due_checks
from tests.support.scenarios.creditkey import (
    TimedStack,
    accept,
    act,
    authorized,
    awaiting,
    expired,
    idle,
    open_timed,
    provider_orders_of,
    review_of,
    total_of,
)
from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body, running_stack


async def test_a_successor_takes_no_successor_while_the_first_order_lives(timed: TimedStack) -> None:
    """Of three orders under one reference two could be paid: the second rise is refused and nothing begins."""
    stack = timed.stack
    old = await authorized(stack)
    first = await act(stack, old, "update", total_of("1300.00", allow_new_checkout=True))
    successor = await stack.payment(first.json["replaced_by"])
    second = await act(stack, successor, "update", total_of("1500.00", allow_new_checkout=True))
    assert (second.status, second.json["code"]) == (409, "invalid_state")
    assert len(await provider_orders_of(stack, old)) == 2


async def test_a_completion_is_not_read_off_the_customers_acceptance(timed: TimedStack) -> None:
    """A completion lost before its effect is asked again once the customer accepted; then a capture works."""
    stack = timed.stack
    payment = await awaiting(stack)
    await stack.faults("creditkey", operation="complete_checkout", silence="before_effect", times=1)
    token_url = (await provider_orders_of(stack, payment))[0]["cancel_url"]
    await stack.visit(token_url.replace("%CKKEY%", payment["provider_reference"]))
    await stack.approve(payment)
    await timed.advance(timedelta(hours=2))
    assert [one["completed"] for one in await provider_orders_of(stack, payment)] == [True]
    captured = await stack.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=new_key())
    assert captured.json["state"] == "captured"


async def test_a_replaced_order_is_canceled_however_late(timed: TimedStack) -> None:
    """A cancel that could not be sent is tried until it is decided, also past every grace."""
    stack = timed.stack
    old = await awaiting(stack)
    await timed.advance(timedelta(days=29))
    reply = await act(stack, old, "update", total_of("1300.00", allow_new_checkout=True))
    successor = await stack.payment(reply.json["replaced_by"])
    await timed.advance(timedelta(days=6))
    await stack.faults("creditkey", operation="cancel_order", status=429)
    await accept(stack, successor)
    await timed.advance(timedelta(hours=1))
    await stack.faults("creditkey")
    await timed.advance(timedelta(days=2))
    statuses = {one["id"]: one["status"] for one in await provider_orders_of(stack, old)}
    assert statuses[old["provider_reference"]] == "canceled"


async def test_a_silent_successor_gives_its_place_back_after_grace(timed: TimedStack) -> None:
    """A successor whose create nobody ever heard of again does not block the accepted order for good."""
    stack = timed.stack
    old = await authorized(stack)
    await stack.faults("creditkey", operation="begin_standalone_checkout", silence="before_effect", times=1)
    assert (await act(stack, old, "update", total_of("1300.00", allow_new_checkout=True))).status == 202
    await timed.advance(timedelta(days=34))
    assert (await stack.payment(old["id"]))["replaced_by"] is None


def after_the_look(timed: TimedStack, happens: Callable[[], Awaitable[Any]]) -> None:
    """Let something happen after it was read who owns a reference, and before what rests on that is committed."""
    store = timed.stack.gateway.store
    look, commit = store.reference_owner, store.commit

    async def looked(*asked: str) -> str | None:
        store.reference_owner, store.commit = look, overtaken  # type: ignore[method-assign]
        return await look(*asked)

    async def overtaken(tenant: str, unit: Unit) -> None:
        store.commit = commit  # type: ignore[method-assign]
        await happens()
        await commit(tenant, unit)

    store.reference_owner = looked  # type: ignore[method-assign]


async def test_a_late_success_sees_a_payment_that_takes_its_reference_meanwhile(timed: TimedStack) -> None:
    """The customer accepts an expired order while the tenant begins anew: both orders live, and both are flagged."""
    stack, begun = timed.stack, []
    first = await expired(timed)

    async def begin_anew() -> None:
        begun.append(await awaiting(stack, merchant_reference=first["merchant_reference"]))

    await timed.advance(timedelta(minutes=1))
    after_the_look(timed, begin_anew)
    await accept(stack, first)
    assert (await stack.payment(first["id"]))["state"] == "authorized"
    assert [await review_of(stack, one) for one in (first, *begun)] == ["two_live_orders"] * 2


async def come_back(stack: GatewayStack, payment: Any) -> None:
    """Let the customer accept and come back, and wait for no other work: this is done in the middle of some."""
    assert (await stack.visit(await stack.approve(payment))).status == 303
    assert (await stack.payment(payment["id"]))["state"] == "authorized"


async def test_of_two_late_successes_at_once_both_are_flagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two expired orders of one reference are accepted together: neither misses the other."""
    monkeypatch.setattr(reconcile, "run", idle)
    async with open_timed(tmp_path, lambda settings: settings["clocks"].update(late_grace="60d")) as timed:
        first = await expired(timed)
        second = await expired(timed, merchant_reference=first["merchant_reference"])
        after_the_look(timed, partial(come_back, timed.stack, second))
        await timed.advance(timedelta(minutes=1))
        await accept(timed.stack, first)
        assert [await review_of(timed.stack, one) for one in (first, second)] == ["two_live_orders"] * 2


async def test_a_late_success_has_its_reference_back(timed: TimedStack) -> None:
    """Whoever took it has ended unpaid: a third payment of the same reference is refused as it would be beside any."""
    stack = timed.stack
    first = await expired(timed)
    second = await awaiting(stack, merchant_reference=first["merchant_reference"])
    assert (await act(stack, second, "cancel")).json["state"] == "canceled"
    await timed.advance(timedelta(minutes=1))
    await accept(stack, first)
    third = await stack.create(creditkey_body(merchant_reference=first["merchant_reference"]))
    assert (third.status, third.json["code"]) == (409, "duplicate_reference")
    assert await review_of(stack, first) is None


async def test_a_payment_that_is_reinstated_sees_who_took_its_reference(timed: TimedStack) -> None:
    """A replacement has passed its grace, and before anybody looks at it the tenant begins a third payment."""
    stack = timed.stack
    old = await authorized(stack)
    await stack.faults("creditkey", operation="begin_standalone_checkout", silence="before_effect", times=1)
    replaced = await act(stack, old, "update", total_of("1300.00", allow_new_checkout=True))
    await timed.advance(timedelta(days=32))
    assert (await stack.payment(old["id"]))["replaced_by"] == replaced.json["replaced_by"]
    timed.clock.set(timed.clock.now() + timedelta(days=2))
    third = await awaiting(stack, merchant_reference=old["merchant_reference"])
    await timed.advance(timedelta(hours=1))
    assert (await stack.payment(old["id"]))["replaced_by"] is None
    assert [await review_of(stack, one) for one in (old, third)] == ["two_live_orders"] * 2


async def test_a_fallback_never_moves_a_payment_that_was_paid(tmp_path: Path) -> None:
    """The callback came first and the answer was 429: the payment stays where it was paid, no second create leaves."""

    def chain(settings: dict[str, Any]) -> None:
        acme = settings["tenants"]["acme"]
        acme["accounts"]["psp-b"] = {"provider": "psp_open_api", "config": acme["accounts"]["psp-main"]["config"]}
        acme["deposit_methods"]["b"] = {"account": "psp-b"}
        acme["routing"] = [{"account": "psp-main", "fallback": ["psp-b"]}]

    async with running_stack(tmp_path, change=chain) as stack:
        send = stack.gateway.send
        paid = []

        async def paid_then_refused(request: Any, **limits: float) -> Any:
            response = await send(request, **limits)
            if request.url.endswith("/pay/url") and not paid:
                (row,) = await stack.gateway.store.open_operations("sending")
                paid.append(row.payment_id)
                assert (await call_back(stack, await stack.payment(row.payment_id))).status == 204
                return type(response)(status=429, headers=(), body=b"")
            return response

        stack.gateway.send = paid_then_refused
        created = (await stack.create(psp_body(account=None))).json
        assert (created["state"], created["account"], created["amount_captured"]) == ("captured", "psp-main", "162.48")
        assert len(await stack.provider_orders("psp")) == 1


async def test_an_answer_that_cannot_be_read_is_not_called_undone(stack: GatewayStack) -> None:
    """When the store fails after the provider was called, the tenant is told to repeat, never that nothing was done."""
    store, look = stack.gateway.store, stack.gateway.store.idempotency_record

    async def unreadable(*_: str) -> Any:
        store.idempotency_record = look  # type: ignore[method-assign]
        raise Unavailable("planted")

    store.idempotency_record = unreadable  # type: ignore[method-assign]
    await stack.faults("psp", silence="after_effect", times=1)
    first = await stack.create(psp_body())
    assert (first.status, first.json["code"]) == (409, "request_in_progress")
    assert len(await stack.provider_orders("psp")) == 1


async def test_no_provider_is_asked_while_nothing_can_be_kept(timed: TimedStack) -> None:
    """With a store that takes no writes the agenda sends nothing."""
    stack = timed.stack
    payment = await awaiting(stack)
    timed.clock.set(await timed.next_check(payment))
    before = len(await stack.provider_requests("creditkey"))

    async def full(*_: object) -> None:
        raise Unavailable("planted")

    async def no_pause(_: float) -> None:
        pass

    stack.gateway.store.prove_writable = full  # type: ignore[method-assign]
    stack.gateway.clock.sleep = no_pause  # type: ignore[method-assign]
    await run_due_checks(stack.gateway)
    assert len(await stack.provider_requests("creditkey")) == before
