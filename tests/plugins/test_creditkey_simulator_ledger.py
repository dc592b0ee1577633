"""The simulator's ledger over real HTTP: raw requests as Credit Key's documents show them, and their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.clients.creditkey_simulator import (
    KEY,
    Client,
    authorize,
    begin,
    call,
    capture,
    choose,
    fault,
    find,
    ledger,
    sample,
    shown,
    simulator,
)
from tests.support.factories.creditkey import CREDENTIALS


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """The simulator, running."""
    async with simulator() as client:
        yield client


async def test_a_new_order_has_a_key_and_a_page(client: Client):
    """A new order answers its key and the customer's page, and the customer gets a mail."""
    status, answer = await call(client, "begin_standalone_checkout", sample("begin_request.json"))
    assert (status, answer) == (200, {"id": KEY, "checkout_url": str(client.make_url(f"/checkout/{KEY}"))})
    [order] = await ledger(client)
    assert (order["status"], order["amount"], order["merchant_order_id"]) == ("new", "1067.33", "SO-7001")
    assert order["notifications"] == [
        {"kind": "link", "via": "email", "to": "dana@reyes.example"},
        {"kind": "link_copy", "via": "email", "to": "rep@merchant.example"},
    ]


async def test_a_link_can_go_to_a_phone(client: Client):
    """With contact_method phone the text goes to the billing address' number."""
    await begin(client, merchant_data={"contact_method": "phone"})
    assert (await ledger(client))[0]["notifications"] == [{"kind": "link", "via": "phone", "to": "253-555-0142"}]


async def test_redirect_mode_notifies_nobody(client: Client):
    """In redirect mode no mail is sent."""
    await begin(client, mode="redirect")
    assert (await ledger(client))[0]["notifications"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "modal"},
        {"mode": None},
        {"cart_items": []},
        {"cart_items": [{"merchant_id": "A", "name": "", "price": 1.0, "quantity": 1}]},
        {"billing_address": None},
        {"billing_address": {"first_name": "Dana"}},
        {"charges": None},
        {"charges": {"total": 1.0}},
        {"charges": {"total": 1.0, "grand_total": "1.00"}},
        {"charges": {"total": 1.0, "grand_total": 1.005}},
        {"return_url": "https://pay.example/r?key=%25CKKEY%25"},
        {"merchant_data": {"contact_method": "fax"}},
    ],
)
async def test_an_incomplete_order_is_refused(client: Client, changes: dict[str, Any]):
    """What the documents require must be there; nothing is kept of a refused order."""
    status, _ = await call(client, "begin_standalone_checkout", sample("begin_request.json", **changes))
    assert status == 400
    assert await ledger(client) == []


async def test_each_order_has_its_own_key(client: Client):
    """Beginning is not idempotent: a second call makes a second order."""
    assert [await begin(client), await begin(client)] == [KEY, "CK-TST1002"]


async def test_an_update_within_the_limit(client: Client):
    """A rise of 75.00 is answered as the sample shows, and nobody is notified."""
    await authorize(client)
    sent = (await ledger(client))[0]["notifications"]
    status, answer = await call(client, "update_order", sample("update_request.json"))
    assert (status, answer) == (200, shown("update_answer.json"))
    assert (await ledger(client))[0]["notifications"] == sent


@pytest.mark.parametrize(("grand_total", "status"), [(1167.33, 200), (1167.34, 400), (500.00, 200)])
async def test_a_rise_of_at_most_100(client: Client, grand_total: float, status: int):
    """Exactly 100.00 more is allowed, a cent beyond is not, and less is free."""
    await authorize(client)
    message = sample("update_request.json", charges={"total": grand_total, "grand_total": grand_total})
    assert (await call(client, "update_order", message))[0] == status


async def test_rises_add_up(client: Client):
    """A second rise is measured from what the customer accepted."""
    await authorize(client)
    await call(client, "update_order", sample("update_request.json"))
    message = sample("update_request.json", charges={"total": 1217.33, "grand_total": 1217.33})
    assert await call(client, "update_order", message) == (400, {"result": "amount increase exceeds limit"})


async def test_a_confirmed_order_is_captured(client: Client):
    """Confirming answers as the sample shows."""
    await authorize(client)
    assert await call(client, "confirm_order", sample("confirm_request.json")) == (200, shown("confirm_answer.json"))


async def test_both_names_of_the_lines_are_taken(client: Client):
    """A confirmation may call its lines cart_contents."""
    await authorize(client)
    message = sample("confirm_request.json")
    message["cart_contents"] = message.pop("cart_items")[:1]
    assert len((await call(client, "confirm_order", message))[1]["items"]) == 1


async def test_confirming_needs_the_merchants_number(client: Client):
    """Without a merchant order id nothing is confirmed."""
    await authorize(client)
    message = sample("confirm_request.json", merchant_order_id=None)
    assert await call(client, "confirm_order", message) == (400, {"result": "merchant order id is required"})


async def test_an_order_is_confirmed_once(client: Client):
    """A second confirmation is refused, and so is an update."""
    await capture(client)
    for operation in ("confirm_order", "update_order"):
        assert (await call(client, operation, sample("confirm_request.json")))[0] == 400


@pytest.mark.parametrize(("needs", "status"), [(True, 400), (False, 200)])
async def test_an_order_that_is_not_completed_is_confirmed_by_choice(client: Client, needs: bool, status: int):
    """The documents ask for the completion; Credit Key's own Magento module confirms link orders without it."""
    await choose(client, await begin(client))
    await fault(client, confirm_needs_completion=needs)
    assert (await call(client, "confirm_order", sample("confirm_request.json")))[0] == status


async def test_a_refund_may_cancel_a_placed_order(client: Client):
    """Seen in the Odoo module: a refund before the confirmation is answered ``canceled``."""
    await choose(client, await begin(client))
    await fault(client, refund_cancels=True, refund_moves_sum=False)
    status, order = await call(client, "refund", {"id": "CK-TST1001", "amount": 10})
    assert (status, order["status"], order["refunded_amount"]) == (200, "canceled", 0)


async def test_a_cancel_before_shipment(client: Client):
    """A placed order is canceled and the customer is notified."""
    key = await authorize(client)
    status, answer = await call(client, "cancel_order", {"id": key})
    assert (status, answer["status"]) == (200, "canceled")
    assert (await ledger(client))[0]["notifications"][-1] == {"kind": "order_canceled"}


async def test_a_cancel_after_shipment(client: Client):
    """A confirmed order is not canceled: it is refused, or, by choice, answered unchanged."""
    key = await capture(client)
    assert await call(client, "cancel_order", {"id": key}) == (400, {"result": "order already confirmed"})
    await fault(client, cancel_after_confirm_status=200)
    status, answer = await call(client, "cancel_order", {"id": key})
    assert (status, answer["status"]) == (200, "shipped")


@pytest.mark.parametrize("word", ["shipped", "returned"])
async def test_refunds_in_parts(client: Client, word: str):
    """A refund in part gets the chosen status, the rest gets returned."""
    key = await capture(client)
    await fault(client, partial_refund_status=word)
    status, answer = await call(client, "refund", {"id": key, "amount": 122.50})
    assert (status, answer) == (200, shown("refund_part_answer.json", status=word))
    status, answer = await call(client, "refund", {"id": key, "amount": 1019.83})
    assert (status, answer) == (200, shown("refund_rest_answer.json"))


@pytest.mark.parametrize("amount", [-5, 0, 1142.34, 0.001, "5.00", None])
async def test_an_impossible_refund_changes_nothing(client: Client, amount: Any):
    """Nothing, less than nothing, more than is left and what is not a number are refused."""
    key = await capture(client)
    assert (await call(client, "refund", {"id": key, "amount": amount}))[0] == 400
    assert (await ledger(client))[0]["refunded_amount"] == "0.00"


async def test_a_refund_needs_a_confirmed_order(client: Client):
    """Before shipment there is nothing to give back."""
    assert (await call(client, "refund", {"id": await authorize(client), "amount": 1}))[0] == 400


async def test_find_by_key(client: Client):
    """A known key shows its order, an unknown one is not found, none is a bad request."""
    await authorize(client)
    await call(client, "update_order", sample("update_request.json"))
    assert await find(client, id=KEY) == (200, shown("update_answer.json"))
    assert await find(client, id="CK-NOPE") == (404, {"result": "not found"})
    assert (await find(client))[0] == 400


async def test_amounts_are_numbers_with_two_decimals(client: Client):
    """Amounts are written as JSON numbers with cents."""
    await begin(client)
    async with client.get("/ecomm/find_order", params={**CREDENTIALS, "id": KEY}) as answer:
        text = await answer.text()
    assert '"amount":1067.33' in text
    assert '"refunded_amount":0.00' in text


async def test_find_by_the_merchants_number(client: Client):
    """The merchant's number finds the newest order that carries it; by choice a new order carries none."""
    path, query = "/ecomm/find_order_by_merchant_order_id", {**CREDENTIALS, "merchant_order_id": "SO-7001"}
    await begin(client)
    newest = await begin(client)
    async with client.get(path, params=query) as answer:
        assert (await answer.json())["id"] == newest
    await fault(client, seed_merchant_order_id=False)
    await begin(client, remote_id="SO-8000")
    async with client.get(path, params={**query, "merchant_order_id": "SO-8000"}) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    "operation",
    ["begin_standalone_checkout", "complete_checkout", "confirm_order", "update_order", "cancel_order", "refund"],
)
async def test_a_wrong_secret_is_unauthorized(client: Client, operation: str):
    """Every operation asks for the right secret."""
    message = sample("begin_request.json", id=KEY)
    answer = await call(client, operation, message, shared_secret="guessed")
    assert answer == (401, {"result": "unauthorized"})
    assert await find(client, id=KEY, shared_secret="guessed") == (401, {"result": "unauthorized"})


async def test_credentials_may_be_in_the_query(client: Client):
    """A POST is also believed by its query."""
    key = await begin(client)
    async with client.post("/app/ecomm/complete_checkout", params=CREDENTIALS, json={"id": key}) as answer:
        assert await answer.json() == {"success": False}


async def test_merchants_do_not_see_each_other(client: Client):
    """An order's key is worth nothing to another merchant."""
    key = await begin(client)
    assert await call(client, "cancel_order", {"id": key}, shared_secret="ss_other") == (404, {"result": "not found"})


async def test_unknown_operations_are_not_found(client: Client):
    """What the simulator does not have, and known operations by the wrong method, are not found."""
    assert (await call(client, "authenticate", {}))[0] == 404
    assert (await call(client, "find_order", {"id": KEY}))[0] == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"<xml/>"])
async def test_a_body_must_be_an_object(client: Client, body: bytes):
    """Anything but a JSON object is a bad request."""
    async with client.post("/ecomm/refund", data=body) as answer:
        assert answer.status == 400
