"""When a payment was authorized, captured, canceled: the same in answers, reads, lists, webhooks and the timeline."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.drivers.store import statements
from tests.support.clients.psp_callbacks import call_back
from tests.support.scenarios.creditkey import BEGUN, act
from tests.support.stack import GatewayStack, psp_body

shared = pytest.mark.asyncio(loop_scope="module")

DATES = ("authorized_at", "captured_at", "canceled_at")


async def paid(stack: GatewayStack) -> Any:
    """A PSP payment that its callback captured."""
    payment = (await stack.create(psp_body())).json
    assert (await call_back(stack, payment, status=1)).status == 204
    return await stack.payment(payment["id"])


async def refunded(stack: GatewayStack) -> Any:
    """A captured payment of which a part went back."""
    payment = await BEGUN["captured"](stack)
    assert (await act(stack, payment, "refund", {"amount": "10.00"})).status == 201
    return await stack.payment(payment["id"])


async def canceled(stack: GatewayStack) -> Any:
    """An authorized payment that was given up."""
    payment = await BEGUN["authorized"](stack)
    assert (await act(stack, payment, "cancel")).status == 200
    return await stack.payment(payment["id"])


ROWS = {
    "waiting": (BEGUN["awaiting_customer"], ()),
    "authorized": (BEGUN["authorized"], ("authorized",)),
    "captured in two steps": (BEGUN["captured"], ("authorized", "captured")),
    "captured by a callback": (paid, ("captured",)),
    "partly refunded": (refunded, ("authorized", "captured")),
    "canceled": (canceled, ("authorized", "canceled")),
}


@shared
@pytest.mark.parametrize("name", ROWS)
async def test_a_date_is_that_of_the_event_everywhere(shared_stack: GatewayStack, name: str) -> None:
    """The payment names the moments of its events, and its list entry and newest webhook say the same."""
    begin, reached = ROWS[name]
    payment = await begin(shared_stack)
    events = {event["state_after"]: event["at"] for event in reversed(await shared_stack.events(payment["id"]))}
    shown = {date: payment[date] for date in DATES}
    assert shown == {date: events[date[:-3]] if date[:-3] in reached else None for date in DATES}
    query = f"/v1/payments?merchant_reference={payment['merchant_reference']}"
    assert {date: (await shared_stack.call("GET", query)).json["data"][0][date] for date in DATES} == shown
    newest = (await shared_stack.events(payment["id"]))[-1]
    webhook = (await shared_stack.webhook(payment["id"], newest["type"]))["data"]["payment"]
    assert {date: webhook[date] for date in DATES} == shown


@shared
async def test_a_payment_stored_by_an_older_gateway_has_no_dates(shared_stack: GatewayStack) -> None:
    """It is read, shown with null, and refunded like any other."""
    payment = await BEGUN["captured"](shared_stack)
    loaded = await shared_stack.gateway.store.payment("acme", payment["id"])
    assert loaded is not None
    older = replace(loaded.payment, **dict.fromkeys(DATES))
    await shared_stack.gateway.store.commit(
        "acme", [statements.update_payment(loaded.payment, older, open_before=None, open_after=None)]
    )
    assert {(await shared_stack.payment(payment["id"]))[date] for date in DATES} == {None}
    reply = await act(shared_stack, payment, "refund")
    assert (reply.status, reply.json["payment"]["captured_at"]) == (201, None)
