"""The far side of Credit Key over real HTTP: raw requests as Credit Key's documents show them, and their answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from gateway_creditkey import CreditKey
from gateway_creditkey.simulator import make_app
from yarl import URL

import gateway
from tests.support.factories.creditkey import CREDENTIALS, command, create, fetch, fixture, make_account, urls

Client = TestClient[web.Request, web.Application]
KEY = "CK-TST1001"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A far side with two merchants, on a free loopback port."""
    accounts = {
        "acme/creditkey-main": make_account(),
        "globex/creditkey-main": make_account(shared_secret=gateway.Secret("ss_other")),
    }
    simulated = {
        name: gateway.SimulatedAccount(account=account, callback_url="https://pay.example/callbacks/e1", credentials={})
        for name, account in accounts.items()
    }
    async with TestClient(TestServer(make_app(simulated))) as client:
        yield client


def exact(text: str | bytes) -> Any:
    """Read JSON without losing a digit."""
    return json.loads(text, parse_float=Decimal)


async def call(client: Client, operation: str, message: dict[str, Any], **secret: str) -> tuple[int, dict[str, Any]]:
    """Post one operation with credentials in the body; the answer's numbers are exact."""
    body = {**CREDENTIALS, **secret, **message}
    async with client.post(f"/ecomm/{operation}", json=body) as answer:
        return answer.status, exact(await answer.text())


async def find(client: Client, **query: str) -> tuple[int, dict[str, Any]]:
    """Look an order up by its key."""
    async with client.get("/ecomm/find_order", params={**CREDENTIALS, **query}) as answer:
        return answer.status, exact(await answer.text())


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """A sample's request."""
    return {**json.loads(fixture(name)), **changes}


def shown(name: str, **changes: Any) -> dict[str, Any]:
    """A sample's answer, its numbers exact."""
    return {**exact(fixture(name)), **changes}


async def begin(client: Client, **changes: Any) -> str:
    """Begin the samples' order and return its key."""
    status, answer = await call(client, "begin_standalone_checkout", sample("begin_request.json", **changes))
    assert status == 200, answer
    return str(answer["id"])


async def choose(client: Client, key: str, choice: str = "approve") -> str | None:
    """Press a button of the hosted page; returns where the browser goes next."""
    async with client.post(f"/checkout/{key}/{choice}", headers={"Accept": "application/json"}) as answer:
        return (await answer.json())["redirect"]


async def authorize(client: Client, **changes: Any) -> str:
    """Begin, accept and complete the samples' order."""
    key = await begin(client, **changes)
    await choose(client, key)
    assert await call(client, "complete_checkout", {"id": key}) == (200, {"success": True})
    return key


async def capture(client: Client) -> str:
    """Authorize and confirm the samples' order over 1142.33."""
    key = await authorize(client)
    assert (await call(client, "confirm_order", sample("confirm_request.json")))[0] == 200
    return key


async def fault(client: Client, **members: Any) -> None:
    async with client.put("/_sim/faults", json=members) as answer:
        assert answer.status == 200, await answer.text()


async def ledger(client: Client) -> list[dict[str, Any]]:
    async with client.get("/_sim/orders") as answer:
        return await answer.json()


async def exchange(client: Client, given: gateway.Command) -> Any:
    """Send a command as the adapter builds it and read the answer as the adapter does."""
    account = make_account(base_url=str(client.make_url("/app")))
    request = CreditKey().build(given, account)
    async with client.session.request(
        request.method, URL(request.url, encoded=True), headers=request.headers, data=request.body
    ) as answer:
        response = gateway.HttpResponse(
            status=answer.status, headers=tuple(answer.headers.items()), body=await answer.read()
        )
    return CreditKey().parse(given, response, account)


# begin


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


# complete and the hosted page


async def test_completing_waits_for_the_customer(client: Client):
    """Completion fails before the customer accepts, then succeeds and stays so."""
    key = await begin(client)
    assert await call(client, "complete_checkout", {"id": key}) == (200, {"success": False})
    await choose(client, key)
    for _ in range(2):
        assert await call(client, "complete_checkout", {"id": key}) == (200, {"success": True})


async def test_completing_needs_a_known_key(client: Client):
    """No key is a bad request, an unknown one is not found."""
    assert await call(client, "complete_checkout", {}) == (400, {"result": "id is required"})
    assert await call(client, "complete_checkout", {"id": "CK-NOPE"}) == (404, {"result": "not found"})


async def test_booleans_can_be_text(client: Client):
    """The knob for text booleans changes the answer's type."""
    await fault(client, string_booleans=True)
    assert await call(client, "complete_checkout", {"id": await begin(client)}) == (200, {"success": "false"})


async def test_accepting_places_the_order_and_returns(client: Client):
    """Accepting places the order and sends the browser to the return URL with the key filled in."""
    key = await begin(client)
    assert (await find(client, id=key))[1]["status"] == "new"
    async with client.post(f"/checkout/{key}/approve", allow_redirects=False) as answer:
        assert answer.status == 302
        assert answer.headers["Location"] == f"https://pay.example/callbacks/e1/return/tok_9f2?key={key}"
    assert (await find(client, id=key))[1]["status"] == "placed"


async def test_giving_up_goes_to_the_cancel_url(client: Client):
    """Declining leaves the order as it is and sends the browser to the cancel URL."""
    key = await begin(client)
    assert await choose(client, key, "decline") == f"https://pay.example/callbacks/e1/cancel/tok_9f2?key={key}"
    assert (await find(client, id=key))[1]["status"] == "new"


async def test_the_page_has_both_buttons(client: Client):
    """The hosted page shows the amount and a form for each choice; an unknown key has no page."""
    key = await begin(client)
    async with client.get(f"/checkout/{key}") as answer:
        text = await answer.text()
    assert "1067.33 USD" in text
    assert f'action="/checkout/{key}/approve"' in text
    assert f'action="/checkout/{key}/decline"' in text
    async with client.get("/checkout/CK-NOPE") as answer:
        assert answer.status == 404


async def test_a_canceled_order_cannot_be_accepted(client: Client):
    """A link that is used after the cancel leads nowhere."""
    key = await begin(client)
    await call(client, "cancel_order", {"id": key})
    async with client.post(f"/checkout/{key}/approve") as answer:
        assert answer.status == 409


@pytest.fixture
async def merchant() -> AsyncIterator[TestServer]:
    """A merchant's server that notes every visit."""
    visits: list[str] = []

    async def note(request: web.Request) -> web.Response:
        visits.append(request.raw_path)
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_get("/{path:.*}", note)
    async with TestServer(app) as server:
        server.visits = visits  # type: ignore[attr-defined]  # read by the tests below
        yield server


async def test_a_pended_application_is_cleared_by_staff(client: Client, merchant: TestServer):
    """A pended order stays new until staff clear it; then the complete URL is called without a browser."""
    await fault(client, pended=True)
    key = await begin(client, order_complete_url=f"{merchant.make_url('/done')}?key=%CKKEY%")
    assert await choose(client, key) is None
    assert (await find(client, id=key))[1]["status"] == "new"
    async with client.post(f"/_sim/orders/{key}/clear") as answer:
        assert (await answer.json())["status"] == 200
    assert merchant.visits == [f"/done?key={key}"]  # type: ignore[attr-defined]  # set by the fixture
    assert (await find(client, id=key))[1]["status"] == "placed"


async def test_the_return_can_be_visited_twice(client: Client, merchant: TestServer):
    """The knob for duplicates makes one more visit of the return URL."""
    await fault(client, duplicate_return=True)
    key = await begin(client, return_url=f"{merchant.make_url('/back')}?key=%CKKEY%")
    assert await choose(client, key) == f"{merchant.make_url('/back')}?key={key}"
    assert merchant.visits == [f"/back?key={key}"]  # type: ignore[attr-defined]  # set by the fixture


# update, confirm, cancel


async def test_an_update_within_the_limit(client: Client):
    """A rise of 75.00 is answered as the sample shows, and nobody is told."""
    await authorize(client)
    told = (await ledger(client))[0]["notifications"]
    status, answer = await call(client, "update_order", sample("update_request.json"))
    assert (status, answer) == (200, shown("update_answer.json"))
    assert (await ledger(client))[0]["notifications"] == told


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
async def test_an_order_that_is_not_completed_is_confirmed_by_knob(client: Client, needs: bool, status: int):
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
    """A placed order is canceled and the customer is told."""
    key = await authorize(client)
    status, answer = await call(client, "cancel_order", {"id": key})
    assert (status, answer["status"]) == (200, "canceled")
    assert (await ledger(client))[0]["notifications"][-1] == {"kind": "order_canceled"}


async def test_a_cancel_after_shipment(client: Client):
    """A confirmed order is not canceled: refused, or by the knob answered unchanged."""
    key = await capture(client)
    assert await call(client, "cancel_order", {"id": key}) == (400, {"result": "order already confirmed"})
    await fault(client, cancel_after_confirm_status=200)
    status, answer = await call(client, "cancel_order", {"id": key})
    assert (status, answer["status"]) == (200, "shipped")


# refund


@pytest.mark.parametrize("word", ["shipped", "returned"])
async def test_refunds_in_parts(client: Client, word: str):
    """A part is given back under the word of the knob, the rest under returned."""
    key = await capture(client)
    await fault(client, partial_refund_status=word)
    status, answer = await call(client, "refund", {"id": key, "amount": 122.50})
    assert (status, answer) == (200, shown("refund_part_answer.json", status=word))
    status, answer = await call(client, "refund", {"id": key, "amount": 1019.83})
    assert (status, answer) == (200, shown("refund_rest_answer.json"))


@pytest.mark.parametrize("amount", [-5, 0, 1142.34, 0.001, "5.00", None])
async def test_an_impossible_refund_changes_nothing(client: Client, amount: Any):
    """Nothing, less than nothing, more than is left and what is no number are refused."""
    key = await capture(client)
    assert (await call(client, "refund", {"id": key, "amount": amount}))[0] == 400
    assert (await ledger(client))[0]["refunded_amount"] == "0.00"


async def test_a_refund_needs_a_confirmed_order(client: Client):
    """Before shipment there is nothing to give back."""
    assert (await call(client, "refund", {"id": await authorize(client), "amount": 1}))[0] == 400


# find and credentials


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
    """The merchant's number finds the newest order that carries it; by the knob a new order carries none."""
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


async def test_credentials_may_stand_in_the_query(client: Client):
    """A POST is also believed by its query."""
    key = await begin(client)
    async with client.post("/app/ecomm/complete_checkout", params=CREDENTIALS, json={"id": key}) as answer:
        assert await answer.json() == {"success": False}


async def test_merchants_do_not_see_each_other(client: Client):
    """An order's key is worth nothing to another merchant."""
    key = await begin(client)
    assert await call(client, "cancel_order", {"id": key}, shared_secret="ss_other") == (404, {"result": "not found"})


async def test_unknown_operations_are_not_found(client: Client):
    """What the far side does not have, and known operations by the wrong method, are not found."""
    assert (await call(client, "authenticate", {}))[0] == 404
    assert (await call(client, "find_order", {"id": KEY}))[0] == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"<xml/>"])
async def test_a_body_must_be_an_object(client: Client, body: bytes):
    """Anything but a JSON object is a bad request."""
    async with client.post("/ecomm/refund", data=body) as answer:
        assert answer.status == 400


# faults and the window for tests


async def test_a_refund_whose_answer_is_lost(client: Client):
    """The refund is done although the connection drops: a lookup shows it, and only once."""
    key = await capture(client)
    await fault(client, operation="refund", silence="after_effect", times=1)
    with pytest.raises(aiohttp.ClientError):
        await call(client, "refund", {"id": key, "amount": 10})
    assert (await find(client, id=key))[1]["refunded_amount"] == 10.0


async def test_a_refund_that_never_arrives(client: Client):
    """Silence before the effect looks the same and changes nothing."""
    key = await capture(client)
    await fault(client, operation="refund", silence="before_effect")
    with pytest.raises(aiohttp.ClientError):
        await call(client, "refund", {"id": key, "amount": 10})
    assert (await find(client, id=key))[1]["refunded_amount"] == 0.0


async def test_a_confirmation_and_a_cancel_whose_answers_are_lost(client: Client):
    """After silence a lookup shows what became of a confirmation and of a cancel."""
    captured, canceled = await authorize(client), await authorize(client)
    await fault(client, silence="after_effect", times=2)
    with pytest.raises(aiohttp.ClientError):
        await call(client, "confirm_order", sample("confirm_request.json"))
    with pytest.raises(aiohttp.ClientError):
        await call(client, "cancel_order", {"id": canceled})
    assert (await find(client, id=captured))[1]["capture_status"] == "captured"
    assert (await find(client, id=canceled))[1]["status"] == "canceled"


async def test_a_forced_status(client: Client):
    """A forced status is answered before any effect, with the body that was asked for."""
    await fault(client, status=422, body={"result": "no"}, times=1)
    message = sample("begin_request.json")
    assert await call(client, "begin_standalone_checkout", message) == (422, {"result": "no"})
    assert await ledger(client) == []
    assert await begin(client) == KEY


async def test_a_forced_page(client: Client):
    """A forced HTML answer is a 500 unless another status is asked for."""
    await fault(client, html=True)
    async with client.post("/ecomm/refund") as answer:
        assert (answer.status, answer.content_type) == (500, "text/html")


async def test_a_malformed_answer(client: Client):
    """A malformed answer is cut JSON after the effect."""
    await fault(client, operation="begin_standalone_checkout", malformed=True)
    with pytest.raises(json.JSONDecodeError):
        await call(client, "begin_standalone_checkout", sample("begin_request.json"))
    assert len(await ledger(client)) == 1


async def test_a_fault_of_one_operation_spares_the_others(client: Client):
    """A fault meets the operation it names, and clearing ends it."""
    await fault(client, operation="refund", status=500)
    assert (await find(client, id=KEY))[0] == 404
    assert (await call(client, "refund", {}))[0] == 500
    await fault(client)
    assert (await call(client, "refund", {}))[0] == 400


@pytest.mark.parametrize("members", [{"operation": "pay"}, {"silent": True}, {"silence": "sometimes"}])
async def test_a_misspelt_fault_is_refused(client: Client, members: dict[str, Any]):
    """A fault that nobody knows is an error, so that no test passes by a misspelling."""
    async with client.put("/_sim/faults", json=members) as answer:
        assert answer.status == 400


async def test_requests_are_kept_as_received(client: Client):
    """Each ecomm call is kept with method, path, headers and raw body."""
    await fault(client, delay_ms=1)
    async with client.post("/ecomm/refund?a=%20b", data=b'{"id": 1 }', headers={"X-Probe": "1"}):
        pass
    async with client.get("/_sim/requests") as answer:
        [seen] = await answer.json()
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/ecomm/refund?a=%20b", '{"id": 1 }')
    assert seen["headers"]["X-Probe"] == "1"


async def test_the_ledger_can_be_changed_by_hand(client: Client):
    """A test can play Credit Key's staff: what it writes is what a lookup shows."""
    key = await capture(client)
    changes = {"status": "returned", "refunded_amount": "10.00", "amount": 1100.5, "merchant_order_id": None}
    async with client.put(f"/_sim/orders/{key}", json=changes) as answer:
        assert answer.status == 200
    order = (await find(client, id=key))[1]
    assert {name: order[name] for name in changes} == {**changes, "refunded_amount": 10.0}


@pytest.mark.parametrize(("key", "changes", "status"), [(KEY, {"state": "x"}, 400), ("CK-NOPE", {}, 404)])
async def test_a_wrong_change_is_refused(client: Client, key: str, changes: dict[str, Any], status: int):
    """Unknown members and unknown orders are errors."""
    await begin(client)
    async with client.put(f"/_sim/orders/{key}", json=changes) as answer:
        assert answer.status == status


# adapter and far side together


async def test_the_adapter_and_the_far_side_agree(client: Client):
    """A payment begun, accepted, completed, raised, captured and given back is read as it happened."""
    begun = await exchange(client, create(urls=urls("https://pay.example/callbacks/e1")))
    assert (begun.provider_reference, begun.stage) == (KEY, "awaiting_customer")
    assert isinstance(await exchange(client, command(gateway.CompletePayment)), gateway.Declined)
    await choose(client, KEY)
    assert (await exchange(client, command(gateway.CompletePayment))).provider_reference == KEY
    assert (await exchange(client, fetch(None))).stage == "authorized"
    assert (await exchange(client, command(gateway.UpdatePayment))).amount == Decimal("1142.33")
    captured = await exchange(client, command(gateway.CapturePayment, "1000.00"))
    assert (captured.stage, captured.captured) == ("captured", Decimal("1000.00"))
    assert isinstance(await exchange(client, command(gateway.CancelPayment)), gateway.Declined)
    assert (await exchange(client, command(gateway.RefundPayment, "10"))).refunded == Decimal("10.00")
    assert (await exchange(client, fetch())).refunded == Decimal("10.00")
    assert await exchange(client, fetch("CK-NOPE")) == gateway.Absent()
