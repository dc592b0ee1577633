"""What becomes of a create for everything the provider can do: the answer, the operation, the payment, and the truth.

``orders`` is what the provider has afterwards: a gateway that says "failed" while it has one, or asks twice, is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")

BODIES = {"psp": psp_body, "creditkey": creditkey_body}
CREATES = {"psp": "/pay/url", "creditkey": "/ecomm/begin_standalone_checkout"}


class Row(NamedTuple):
    """One thing that happens to a create, and what follows from it."""

    side: str
    what: str
    faults: Mapping[str, Any]
    status: int
    operation: str
    state: str
    orders: int = 0
    failure: str | None = None
    requests: int = 1


def declined(side: str, what: str, **faults: Any) -> Row:
    return Row(side, what, MappingProxyType(faults), 201, "declined", "failed", failure="declined")


def unknown(side: str, what: str, orders: int = 0, **faults: Any) -> Row:
    return Row(side, what, MappingProxyType(faults), 202, "unknown", "created", orders=orders)


ROWS = (
    Row("psp", "done", MappingProxyType({}), 201, "succeeded", "awaiting_customer", orders=1),
    declined("psp", "result false", result=False),
    *(declined("psp", f"{status} with the envelope", status=status) for status in (400, 401, 403, 404, 422)),
    Row("psp", "429", MappingProxyType({"status": 429}), 201, "not_sent", "failed", failure="not_sent"),
    *(unknown("psp", f"{status}", status=status) for status in (302, 307, 409, 418, 500, 502, 503, 504)),
    unknown("psp", "201 result false", status=201),
    unknown("psp", "silence before the effect", silence="before_effect"),
    unknown("psp", "silence after the effect", orders=1, silence="after_effect"),
    unknown("psp", "cut json", orders=1, malformed=True),
    Row("creditkey", "done", MappingProxyType({}), 201, "succeeded", "awaiting_customer", orders=1),
    *(declined("creditkey", f"{status} with json", status=status) for status in (400, 401, 403, 404, 422)),
    Row("creditkey", "429", MappingProxyType({"status": 429}), 201, "not_sent", "failed", failure="not_sent"),
    *(unknown("creditkey", f"{status}", status=status) for status in (201, 204, 302, 409, 500, 503)),
    *(unknown("creditkey", f"{status} with html", html=True, status=status) for status in (200, 400, 401, 404, 500)),
    unknown("creditkey", "200 with other json", status=200, body={"ok": True}),
    unknown("creditkey", "200 without an address", status=200, body={"id": "CK-1"}),
    unknown("creditkey", "200 with an address that is none", status=200, body={"id": "CK-1", "checkout_url": "js:x"}),
    unknown("creditkey", "200 with a list", status=200, body=[]),
    unknown("creditkey", "silence before the effect", silence="before_effect"),
    unknown("creditkey", "silence after the effect", orders=1, silence="after_effect"),
    unknown("creditkey", "cut json", orders=1, malformed=True),
)


@shared
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.side} {row.what}")
async def test_what_becomes_of_a_create(shared_stack: GatewayStack, row: Row) -> None:
    """Each outcome is told as what is known: done, declined, not sent or unknown; the provider hears once."""
    stack, key = shared_stack, new_key()
    faults = (
        {**row.faults, "operation": CREATES["creditkey"].rpartition("/")[2]} if row.side == "creditkey" else row.faults
    )
    orders, requests = len(await stack.provider_orders(row.side)), len(await stack.provider_requests(row.side))
    await stack.faults(row.side, **faults)
    body = BODIES[row.side]()
    created = await stack.create(body, key=key)
    await stack.faults(row.side)
    answer = created.json
    assert (created.status, answer["operation"]["kind"], answer["operation"]["status"], answer["state"]) == (
        row.status,
        "create",
        row.operation,
        row.state,
    )
    assert (answer["failure"] or {}).get("code") == row.failure
    assert (answer["operation"]["failure"] or {}).get("code") == row.failure
    assert (answer["pending_operation"] is not None) == (row.operation == "unknown")
    assert len(await stack.provider_orders(row.side)) - orders == row.orders
    assert len(await stack.provider_requests(row.side)) - requests == row.requests
    shown = await stack.payment(answer["id"])
    assert {name: answer[name] for name in shown} == shown
    events = [event["type"] for event in await stack.events(answer["id"])]
    assert events == ["payment.created", *([] if row.operation == "unknown" else [f"payment.{row.state}"])]


@shared
@pytest.mark.parametrize("side", BODIES)
async def test_a_second_operation_waits_for_an_unknown_one(shared_stack: GatewayStack, side: str) -> None:
    """While a create is unknown a command for its payment is 409 ``operation_outcome_pending`` and names it."""
    stack = shared_stack
    await stack.faults(side, silence="after_effect", times=1)
    payment = (await stack.create(BODIES[side]())).json
    reply = await stack.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=new_key())
    expected = (409, "operation_outcome_pending") if side == "creditkey" else (422, "unsupported_by_provider")
    assert (reply.status, reply.json["code"]) == expected
    if side == "creditkey":
        assert reply.json["operation_id"] == payment["operation"]["id"]


async def test_a_slow_create_is_202_and_then_done(tmp_path: Path) -> None:
    """A tenant is not kept waiting beyond ``tenant_answer``; the operation goes on and its answer is kept."""

    def impatient(settings: dict[str, Any]) -> None:
        settings["timeouts"] = {"tenant_answer": "1ms"}

    async with running_stack(tmp_path, change=impatient) as stack:
        await stack.faults("psp", delay_ms=200, times=1)
        body, key = psp_body(), new_key()
        first = await stack.create(body, key=key)
        assert (first.status, first.json["operation"]["status"]) == (202, "sending")
        await stack.gateway.tasks.drain(10)
        again = await stack.create(body, key=key)
        assert (again.status, again.json["operation"]["status"]) == (201, "succeeded")
        assert len(await stack.provider_requests("psp")) == 1


async def test_a_provider_slower_than_its_deadline_is_unknown(tmp_path: Path) -> None:
    """A provider that answers after ``provider_total`` is unknown, though it did what it was asked."""

    def short(settings: dict[str, Any]) -> None:
        settings["timeouts"] = {"provider_total": "100ms"}

    async with running_stack(tmp_path, change=short) as stack:
        await stack.faults("psp", delay_ms=300, times=1)
        created = await stack.create(psp_body())
        assert (created.status, created.json["operation"]["status"]) == (202, "unknown")
        assert len(await stack.provider_requests("psp")) == 1


# Nobody there


def closed(settings: dict[str, Any]) -> None:
    """Both providers of tenant acme are at a port where nobody listens."""
    accounts = settings["tenants"]["acme"]["accounts"]
    accounts["psp-main"]["config"]["app_url"] = "http://127.0.0.1:1"
    accounts["creditkey-main"]["config"]["base_url"] = "http://127.0.0.1:1"


@pytest.mark.parametrize("side", BODIES)
async def test_a_refused_connection_is_tried_once_more(
    tmp_path: Path, side: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no connection was made one new operation follows, and then the payment failed: certainly not sent."""
    async with running_stack(tmp_path, change=closed) as stack:
        created = await stack.create(BODIES[side]())
        answer = created.json
        assert (created.status, answer["state"], answer["operation"]["status"]) == (201, "failed", "not_sent")
        said = "no connection to the provider could be made"
        assert answer["failure"] == {"code": "not_sent", "message": said, "provider_code": None}
        account = {"psp": "psp-main", "creditkey": "creditkey-main"}[side]
        assert (
            next(one for one in map(vars, caplog.records) if one["msg"] == "not sent").items()
            >= {
                "tenant": "acme",
                "account": account,
                "payment_id": answer["id"],
                "host": "127.0.0.1:1",
                "problem": "connect_failed",
                "reason": "the connection was refused",
            }.items()
        )
        operations = await stack.gateway.store.operations("acme", answer["id"])
        assert [str(one.status) for one in operations] == ["not_sent", "not_sent"]
        assert answer["operation"]["id"] == operations[-1].id
        assert [event["type"] for event in await stack.events(answer["id"])] == ["payment.created", "payment.failed"]
        assert await stack.provider_requests(side) == []


async def test_a_provider_that_is_back_gets_the_second_operation(tmp_path: Path) -> None:
    """When the second connection is made, the create is done, under the id of the second operation."""
    async with running_stack(tmp_path) as stack:
        send, refused = stack.gateway.send, []

        async def refuse_once(request: Any, **times: float) -> Any:
            if "/pay/url" in request.url and not refused:
                refused.append(request)
                moved = type(request)(method=request.method, url="http://127.0.0.1:1/pay/url", body=request.body)
                return await send(moved, **times)
            return await send(request, **times)

        stack.gateway.send = refuse_once
        created = await stack.create(psp_body())
        operations = await stack.gateway.store.operations("acme", created.json["id"])
        assert [str(one.status) for one in operations] == ["not_sent", "succeeded"]
        assert (created.status, created.json["operation"]["id"]) == (201, operations[1].id)
        assert (created.json["state"], len(await stack.provider_requests("psp"))) == ("awaiting_customer", 1)


async def test_a_payment_that_was_not_sent_may_be_made_again(tmp_path: Path) -> None:
    """After ``not_sent`` the reference is free; the old key keeps its answer, a new key is a new payment."""
    async with running_stack(tmp_path, change=closed) as stack:
        body, key = psp_body(), new_key()
        first = await stack.create(body, key=key)
        assert (await stack.create(body, key=key)).text == first.text
        second = await stack.create(body)
        assert (second.status, second.json["state"]) == (201, "failed")
        assert second.json["id"] != first.json["id"]


# Afterwards


@shared
async def test_a_declined_create_says_why(shared_stack: GatewayStack) -> None:
    """The provider's own words are kept for operators: our code, its message, its code."""
    await shared_stack.faults("psp", result=False, times=1)
    answer = (await shared_stack.create(psp_body())).json
    assert answer["failure"] == answer["operation"]["failure"]
    assert answer["failure"] == {
        "code": "declined",
        "message": "declined by a fault",
        "provider_code": "result_false",
    }


@shared
async def test_an_unknown_credit_key_create_is_found_by_sync(shared_stack: GatewayStack) -> None:
    """A create that had its effect and no answer is found again by its reference: the payment gets its key."""
    stack = shared_stack
    await stack.faults("creditkey", operation="begin_standalone_checkout", silence="after_effect", times=1)
    created = (await stack.create(creditkey_body())).json
    synced = await stack.call("POST", f"/v1/payments/{created['id']}/sync", {})
    assert synced.status == 200
    assert (synced.json["state"], synced.json["pending_operation"]) == ("awaiting_customer", None)
    assert synced.json["provider_reference"].startswith("CK-")


@shared
async def test_an_unknown_create_that_never_was_stays_unknown(shared_stack: GatewayStack) -> None:
    """Not being found proves nothing where the provider may simply not find by number: the payment stays open."""
    stack = shared_stack
    await stack.faults("creditkey", operation="begin_standalone_checkout", silence="before_effect", times=1)
    created = (await stack.create(creditkey_body())).json
    for _ in range(2):
        synced = await stack.call("POST", f"/v1/payments/{created['id']}/sync", {})
        assert (synced.status, synced.json["state"]) == (200, "created")
        assert synced.json["pending_operation"]["status"] == "unknown"
