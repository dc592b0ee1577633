"""``GET /admin/v1/search``: a payment is found by whatever an operator has at hand, and by nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.support.clients.psp_callbacks import call_back, new_payment
from tests.support.factories.sqlite import pragma
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import admin, inbox_stack, rows
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, order_of, psp_body

shared = pytest.mark.asyncio(loop_scope="module")

CUSTOMER = {"id": "C-Ünique", "name": "Ana Ruiz", "email": "Ana.Ruiz@Shop.example", "phone": "+49 170 123-4567"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A stack whose operators have a key."""
    async with inbox_stack(tmp_path_factory.mktemp("search"), token=None) as (opened, _):
        yield opened


async def search(stack: GatewayStack, **query: object) -> Reply:
    """Call the route."""
    return await admin(stack, "GET", f"/admin/v1/search?{urlencode(query)}")


async def found(stack: GatewayStack, **query: object) -> list[str]:
    """The ids of one page of what is found."""
    reply = await search(stack, **query)
    assert reply.status == 200, reply.text
    assert "not_indexed" not in reply.json
    return [row["id"] for row in reply.json["data"]]


@shared
async def test_everything_that_names_a_payment_leads_to_it(stack: GatewayStack) -> None:
    """Ids, references, keys, the customer and the exact amount, in any spelling: this payment, not its neighbour."""
    key, body = new_key(), psp_body(customer=CUSTOMER, amount="77.10", fields={"custom_1": "VIP"})
    created = await stack.create(body, key=key)
    payment = created.json
    await new_payment(stack)
    await call_back(stack, payment, transaction_id="PSP-Tx-77")
    (callback,) = [row for row in await rows(stack) if row.payment_id == payment["id"]]
    events = await stack.events(payment["id"])
    delivered = await stack.call("GET", f"/v1/webhooks/deliveries?payment_id={payment['id']}")
    for text in (
        payment["id"],
        body["merchant_reference"],
        "PSP-Tx-77",
        " psp-tx-77 ",
        created.headers["X-Request-Id"],
        key,
        "C-Ünique",
        "ana.ruiz@shop.EXAMPLE",
        "+49 170 123-4567",
        "0049 (170) 1234567",
        payment["operation"]["id"],
        callback.id,
        events[0]["id"],
        delivered.json["data"][0]["id"],
        "77.1",
    ):
        assert await found(stack, q=text) == [payment["id"]], text
    assert await found(stack, q="Ana.Ruiz") == []


@shared
async def test_a_row_is_the_payment_as_it_is_now(stack: GatewayStack) -> None:
    """With its tenant, and in the state it has reached meanwhile."""
    payment = await new_payment(stack)
    await call_back(stack, payment)
    (row,) = (await search(stack, q=payment["id"])).json["data"]
    assert row == await stack.payment(payment["id"])
    assert (row["tenant"], row["state"]) == ("acme", "captured")


@shared
async def test_conditions_hold_together(stack: GatewayStack) -> None:
    """State, amount, error and tenant, alone and beside a text."""
    email = f"{new_key()}@reyes.example"
    customer = {**CUSTOMER, "email": email}
    first = (await stack.create(psp_body(customer=customer, amount="5.00"))).json
    second = (await stack.create(psp_body(customer=customer, amount="6.00"))).json
    await call_back(stack, second)
    await call_back(stack, first, status=0)
    assert await found(stack, q=email) == [second["id"], first["id"]]
    assert await found(stack, q=email, state="captured") == [second["id"]]
    assert await found(stack, q=email, amount_min="5.01") == [second["id"]]
    assert await found(stack, q=email, amount_max="5") == [first["id"]]
    assert await found(stack, amount_min="5.5", amount_max="6.5") == [second["id"]]
    assert await found(stack, q=email, error="declined") == [first["id"]]
    assert first["id"] in await found(stack, error="declined")
    assert second["id"] not in await found(stack, error="DECLINED")
    assert await found(stack, q=email, tenant="globex") == []


async def test_dates_are_those_that_payments_show(tmp_path: Path) -> None:
    """Both ends are included, to the millisecond."""
    async with inbox_stack(tmp_path) as (stack, clock):
        made = []
        for _ in range(3):
            made.append(await new_payment(stack))
            clock.set(clock.now() + timedelta(milliseconds=1))
        first, second, third = made
        assert await found(stack, since=second["created_at"]) == [third["id"], second["id"]]
        assert await found(stack, until=second["created_at"]) == [second["id"], first["id"]]
        assert await found(stack, since=second["created_at"], until=second["created_at"]) == [second["id"]]


@shared
async def test_pages_follow_each_other(stack: GatewayStack) -> None:
    """Newest first across tenants, each payment once, to the end."""
    email = f"{new_key()}@reyes.example"
    customer = {**CUSTOMER, "email": email}
    made = [
        (await stack.create(psp_body(customer=customer), tenant=tenant)).json["id"]
        for tenant in ("acme", "globex", "acme", "globex", "acme")
    ]
    for query in ({"q": email}, {"q": email, "state": "awaiting_customer"}, {"amount_min": "162.48"}, {}):
        seen: list[str] = []
        page: Any = {"next_cursor": ""}
        while page["next_cursor"] is not None and len(seen) < len(made):
            page = (await search(stack, **query, limit=2, cursor=page["next_cursor"])).json
            seen += [row["id"] for row in page["data"]]
        assert seen[: len(made)] == made[::-1], query
        assert ("q" in query) == (page["next_cursor"] is None)


@shared
async def test_a_store_that_takes_no_writes_is_searched_as_it_is(stack: GatewayStack) -> None:
    """What is indexed is found, and the answer says how much is not."""
    email = f"{new_key()}@reyes.example"
    known = await new_payment(stack, customer={**CUSTOMER, "email": email})
    assert await found(stack, q=email) == [known["id"]]
    later = await new_payment(stack, customer={**CUSTOMER, "email": email})
    await pragma(stack.gateway.store, "query_only = ON")
    try:
        replies = [await search(stack, q=text) for text in (email, later["id"])]
    finally:
        await pragma(stack.gateway.store, "query_only = OFF")
    assert [reply.status for reply in replies] == [200, 200], replies[0].text
    assert [row["id"] for row in replies[0].json["data"]] == [known["id"]]
    assert all(reply.json["not_indexed"] for reply in replies)
    assert await found(stack, q=email) == [later["id"], known["id"]]


@shared
async def test_an_address_in_the_order_leads_to_its_payment(stack: GatewayStack) -> None:
    """Where a link was sent, also after an update has changed it."""
    body = creditkey_body()
    body["order"]["billing_address"] |= {"email": "first@dock.example", "phone_number": "253-555-0199"}
    payment = (await stack.create(body)).json
    assert await found(stack, q="first@dock.example") == [payment["id"]]
    assert await found(stack, q="2535550199") == [payment["id"]]
    await stack.visit(await stack.approve(payment))
    order = {"charges": order_of("900.00")["charges"], "shipping_address": {"email": "second@dock.example"}}
    updated = await stack.call(
        "PATCH", f"/v1/payments/{payment['id']}", {"amount": "900.00", "order": order}, key=new_key()
    )
    assert updated.status == 200, updated.text
    assert await found(stack, q="second@dock.example") == [payment["id"]]


@shared
async def test_a_refused_request_is_found_by_its_id(stack: GatewayStack) -> None:
    """Its code and the members that were wrong, of the tenants that are asked for, on the first page."""
    refused = await stack.create(psp_body(amount="1,50"))
    request_id = refused.headers["X-Request-Id"]
    answer = (await search(stack, q=request_id)).json
    (row,) = answer["refused_requests"]
    assert answer["data"] == []
    assert (row["request_id"], row["tenant"], row["status"]) == (request_id, "acme", 422)
    assert (row["code"], row["fields"]) == (refused.json["code"], ["$.amount"])
    assert "refused_requests" not in (await search(stack, q=request_id, tenant="globex")).json
    assert "refused_requests" not in (await search(stack, q="req_1")).json


@shared
async def test_an_operation_that_is_still_open_leads_to_its_payment(stack: GatewayStack) -> None:
    """Its id is in no event yet."""
    payment = await creditkey.authorized(stack)
    await stack.faults("creditkey", operation="confirm_order", silence="before_effect", times=1)
    answer = await creditkey.act(stack, payment, "capture", key=new_key())
    assert await found(stack, q=answer.json["pending_operation"]["id"]) == [payment["id"]]


@shared
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tenant", "nobody"),
        ("state", "paid"),
        ("amount_min", "1,50"),
        ("amount_max", "much"),
        ("since", "yesterday"),
        ("until", "2026-01-01"),
        ("limit", "0"),
        ("cursor", "7"),
        ("q", "x" * 513),
        ("merchant_reference", "D-1"),
    ],
)
async def test_bad_input_is_refused_by_name(stack: GatewayStack, name: str, value: str) -> None:
    """The parameter, and what would be right."""
    reply = await search(stack, **{name: value})
    assert reply.status == 422
    assert [error["field"] for error in reply.json["errors"]] == [name]


@shared
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"amount_min": "2", "amount_max": "1"}, "amount_max"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
    ],
)
async def test_bounds_that_exclude_each_other_are_refused(
    stack: GatewayStack, query: dict[str, str], field: str
) -> None:
    """Nothing could be found."""
    reply = await search(stack, **query)
    assert (reply.status, [error["field"] for error in reply.json["errors"]]) == (422, [field])
