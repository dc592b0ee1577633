"""The simulator's hosted page, its faults and the routes for tests; and the adapter against it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import gateway
from tests.support.clients.creditkey_simulator import (
    KEY,
    Client,
    authorize,
    begin,
    call,
    capture,
    choose,
    exchange,
    fault,
    find,
    ledger,
    sample,
    simulator,
)
from tests.support.factories.creditkey import command, create, fetch, urls


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """The simulator, running."""
    async with simulator() as client:
        yield client


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
    """A choice of the simulator turns booleans into text."""
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
    """With this fault the return URL is visited once more."""
    await fault(client, duplicate_return=True)
    key = await begin(client, return_url=f"{merchant.make_url('/back')}?key=%CKKEY%")
    assert await choose(client, key) == f"{merchant.make_url('/back')}?key={key}"
    assert merchant.visits == [f"/back?key={key}"]  # type: ignore[attr-defined]  # set by the fixture


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


async def test_the_adapter_and_the_simulator_agree(client: Client):
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
