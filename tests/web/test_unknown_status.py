"""A status word of a provider that nobody here knows: no money moves, and whoever must know of it is told once."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gateway.flows.payments import lookup
from tests.support.clients.psp_callbacks import call_back
from tests.support.scenarios.creditkey import BEGUN, accept, act, edit, stored, timeline
from tests.support.stack import GatewayStack, psp_body

MISSING = object()
shared = pytest.mark.asyncio(loop_scope="module")

WORDS = {
    "Placed": "Placed",
    "PLACED": "PLACED",
    "pending": "pending",
    "AUTHORIZED": "AUTHORIZED",
    "in review": "in review",
    " placed": '" placed"',
    "placed\n": "placed, without its control characters",
    "": '""',
    "x" * 5000: "x" * 64,
}
"""What Credit Key may say, and how people are told."""


def alerts(caplog: pytest.LogCaptureFixture, payment: Any) -> list[str]:
    """The words the log warns of, for one payment."""
    return [
        vars(record)["provider_status"]
        for record in caplog.records
        if record.levelno == logging.WARNING
        and "provider_status" in vars(record)
        and vars(record)["payment_id"] == payment["id"]
    ]


async def noted(stack: GatewayStack, payment: Any) -> list[str]:
    """The words the timeline tells of."""
    events = await stack.events(payment["id"])
    return [event["details"]["unknown_status"] for event in events if "unknown_status" in event["details"]]


@shared
@pytest.mark.parametrize("state", ["awaiting_customer", "authorized", "captured"])
async def test_a_lookup_that_shows_an_unknown_status_is_told_once(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    """Log and timeline have each new word once, however often it is looked up; the payment stands as it stood."""
    stack = shared_stack
    payment = await BEGUN[state](stack)
    expected = list(WORDS.values())
    for given in [*WORDS, *WORDS]:
        await edit(stack, payment, status=given)
        stack.gateway.memory.last_lookup.clear()
        await stack.gateway.tasks.drain(5)
        assert await lookup_now(stack, payment) == state
    assert alerts(caplog, payment) == await noted(stack, payment) == expected
    now = await stack.payment(payment["id"])
    shown = ("state", "amount", "amount_captured", "amount_refunded", "review", "failure", "capture_by")
    assert {name: now[name] for name in shown} == {name: payment[name] for name in shown}
    await timeline(stack, payment)


async def lookup_now(stack: GatewayStack, payment: Any) -> str:
    """Look the order up as the agenda does, without the tenant's rate; return the state."""
    await lookup.refresh(stack.gateway, "acme", payment["id"], hinted=False)
    return str((await stack.payment(payment["id"]))["state"])


@shared
@pytest.mark.parametrize(
    ("given", "told"), [(7, "7"), (None, "none"), (MISSING, "none"), (True, "true"), ([], "a list")]
)
async def test_a_status_that_is_no_text_is_told(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, given: Any, told: str
) -> None:
    """A number, null and the like are unknown, not unreadable: the order is looked up and the payment can be read."""
    payment = await BEGUN["authorized"](shared_stack)
    status = {} if given is MISSING else {"status": given}
    body = {"id": payment["provider_reference"], "amount": 1067.33, **status}
    await shared_stack.faults("creditkey", operation="find_order", status=200, body=body)
    assert await lookup_now(shared_stack, payment) == "authorized"
    await shared_stack.faults("creditkey")
    assert alerts(caplog, payment) == await noted(shared_stack, payment) == [told]


@shared
async def test_the_customer_who_accepted_waits_with_a_reason(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """The order says ``Placed`` after the customer came back: the tenant and operators can find out why it waits."""
    stack = shared_stack
    payment = await BEGUN["awaiting_customer"](stack)
    await stack.approve(payment)
    await edit(stack, payment, status="Placed")
    await accept(stack, payment)
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"
    assert await noted(stack, payment) == alerts(caplog, payment) == ["Placed"]
    assert (await stored(stack, payment)).unknown_statuses == ("Placed",)
    webhook = (await stack.webhook(payment["id"], "payment.updated"))["data"]["payment"]
    assert webhook["state"] == "awaiting_customer"


@shared
@pytest.mark.parametrize(("verb", "operation"), [("capture", "confirm_order"), ("cancel", "cancel_order")])
async def test_an_answer_with_an_unknown_status_leaves_the_outcome_open(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, verb: str, operation: str
) -> None:
    """The command may have had its effect: 202, and the word is told."""
    stack = shared_stack
    payment = await BEGUN["authorized"](stack)
    body = {"id": payment["provider_reference"], "status": "Processing", "amount": 1067.33}
    await stack.faults("creditkey", operation=operation, status=200, body=body, times=1)
    reply = await act(stack, payment, verb)
    await stack.faults("creditkey")
    assert (reply.status, reply.json["state"]) == (202, "authorized")
    assert await noted(stack, payment) == alerts(caplog, payment) == ["Processing"]


@shared
@pytest.mark.parametrize(
    ("given", "told"),
    [(9, "9"), ("1", '"1"'), ("success", "success"), (" 1", '" 1"'), ("ok\x07", "ok, without its control characters")],
)
async def test_a_callback_with_an_unknown_status_is_refused_and_told(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, given: Any, told: str
) -> None:
    """A proved callback moves nothing, is refused as ever, and stands in the timeline once."""
    stack = shared_stack
    payment = (await stack.create(psp_body())).json
    for _ in range(2):
        reply = await call_back(stack, payment, status=given)
        assert (reply.status, reply.json["type"]) == (400, "payment_status_not_allowed")
    now = await stack.payment(payment["id"])
    assert (now["state"], now["amount_captured"], now["review"]) == ("awaiting_customer", "0.00", None)
    assert alerts(caplog, payment) == await noted(stack, payment) == [told]
    assert (await call_back(stack, payment, status=1)).status == 204
    assert (await stack.payment(payment["id"]))["state"] == "captured"
