"""The customer's browser coming back from Credit Key, and Credit Key's own call: hints that only cause a lookup.

Anyone who knows an address can visit it with any key; a payment moves only by what a lookup and a completion say.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.core.signing import make_token
from gateway.core.strictjson import loads
from gateway.core.wire import HttpRequest, HttpResponse
from tests.support.clients.psp_callbacks import change_store
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, order_of, running_stack

CHEAP = {"amount": "1.00", "order": order_of("1.00")}


async def begun(stack: GatewayStack, **changes: Any) -> Any:
    """A Credit Key payment that waits for its customer."""
    created = await stack.create(creditkey_body(**changes))
    assert created.status == 201, created.text
    return created.json


async def addresses(stack: GatewayStack, key: str) -> Mapping[str, str]:
    """The addresses Credit Key was told for an order, with its key filled in: return, cancel, complete."""
    order = next(order for order in await stack.provider_orders("creditkey") if order["id"] == key)
    named = {"return": "return_url", "cancel": "cancel_url", "complete": "order_complete_url"}
    return {name: order[member].replace("%CKKEY%", key) for name, member in named.items()}


async def settled(stack: GatewayStack) -> None:
    """Wait for everything the gateway does in the background."""
    await stack.gateway.tasks.drain(10)


async def calls(stack: GatewayStack, operation: str) -> list[Any]:
    """The provider's requests of one operation."""
    return [one for one in await stack.provider_requests("creditkey") if f"/ecomm/{operation}" in one["path"]]


def moved_on(reply: Reply) -> tuple[str, dict[str, str]]:
    """Where a browser was sent on to: the address without query, and what the query says."""
    assert reply.status == 303
    target = urlsplit(reply.headers["Location"])
    return target._replace(query="", fragment="").geturl(), dict(parse_qsl(target.query))


# What a hint may not do


async def test_the_key_of_a_cheaper_order_moves_nothing(stack: GatewayStack) -> None:
    """An approved order for one dollar does not pay a dear one whose return address is visited with its key."""
    dear, cheap = await begun(stack), await begun(stack, **CHEAP)
    await stack.approve(cheap)
    own = (await addresses(stack, dear["provider_reference"]))["return"]
    reply = await stack.visit(own.replace(dear["provider_reference"], cheap["provider_reference"]))
    await settled(stack)
    assert moved_on(reply) == ("https://shop.example/paid", {"payment_id": dear["id"], "state": "awaiting_customer"})
    now = await stack.payment(dear["id"])
    assert (now["state"], now["version"], now["review"]) == ("awaiting_customer", dear["version"], None)
    assert now["provider_reference"] == dear["provider_reference"]
    assert (await calls(stack, "find_order"), await calls(stack, "complete_checkout")) == ([], [])


async def begun_elsewhere(stack: GatewayStack, **changes: Any) -> str:
    """An approved order of one dollar that the merchant's account got without this gateway; its key."""
    charges = {"total": 1.00, "grand_total": 1.00}
    order = {
        "public_key": "pk_test",
        "shared_secret": "ss_test",
        "mode": "redirect",
        "cart_items": [{"merchant_id": "X-1", "name": "Sticker", "price": 1.00, "quantity": 1}],
        "billing_address": {"email": "dana@reyes.example"},
        "return_url": "https://shop.example/?key=%CKKEY%",
        "charges": charges,
        **changes,
    }
    key = str((await stack.call_provider("creditkey", "POST", "/ecomm/begin_standalone_checkout", order)).json["id"])
    await stack.call_provider("creditkey", "POST", f"/checkout/{key}/approve")
    return key


@pytest.mark.parametrize("cheaper", ["another payment's", "of another reference", "of the same reference"])
async def test_the_key_of_a_cheaper_order_is_not_taken_for_an_unknown_create(stack: GatewayStack, cheaper: str) -> None:
    """While a create's outcome is unknown, a named key is believed only for an order of its reference and amount."""
    other = await begun(stack, **CHEAP)
    await stack.approve(other)
    await stack.faults("creditkey", operation="begin_standalone_checkout", silence="before_effect", times=1)
    created = await stack.create(creditkey_body())
    assert (created.status, created.json["operation"]["status"]) == (202, "unknown")
    dear = created.json
    key = other["provider_reference"]
    if cheaper != "another payment's":
        is_same = cheaper == "of the same reference"
        key = await begun_elsewhere(stack, remote_id=dear["merchant_reference"] if is_same else "SO-elsewhere")
    reply = await stack.visit(return_address(stack, dear["id"], key))
    await settled(stack)
    assert moved_on(reply)[1]["state"] == "created"
    now = await stack.payment(dear["id"])
    assert (now["state"], now["provider_reference"], now["version"]) == ("created", None, 1)
    assert now["pending_operation"]["status"] == "unknown"
    assert len(await calls(stack, "find_order")) == 1
    assert await calls(stack, "complete_checkout") == []


async def test_the_right_key_settles_an_unknown_create(stack: GatewayStack) -> None:
    """A returning customer whose order is this payment's settles the create and the payment in one visit."""
    await stack.faults("creditkey", operation="begin_standalone_checkout", silence="after_effect", times=1)
    created = await stack.create(creditkey_body())
    assert (created.status, created.json["provider_reference"]) == (202, None)
    [order] = await stack.provider_orders("creditkey")
    back = (await stack.call_provider("creditkey", "POST", f"/checkout/{order['id']}/approve")).json["redirect"]
    await stack.visit(back)
    await settled(stack)
    now = await stack.payment(created.json["id"])
    assert (now["state"], now["provider_reference"]) == ("authorized", order["id"])
    assert now["pending_operation"] is None


def return_address(stack: GatewayStack, payment_id: str, key: str) -> str:
    """The return address of a payment, made as the gateway makes it."""
    return f"{tokened(stack, payment_id, 'return')}?key={key}"


def tokened(
    stack: GatewayStack, payment_id: str, path: str, *, purpose: str | None = None, endpoint: str | None = None
) -> str:
    """A tokened address; ``purpose`` and ``endpoint`` are what its token was made for, where that differs."""
    entry, secret = stack.entry("acme", "creditkey-main"), stack.settings.server.secret
    token = make_token(secret, endpoint or entry.endpoint_id, payment_id, purpose or path)
    return f"{stack.url}/callbacks/{entry.endpoint_id}/{path}/{token}"


async def test_success_false_authorizes_nothing(stack: GatewayStack) -> None:
    """A customer who visits the return address without having accepted is completed ``false``: nothing moves."""
    payment = await begun(stack)
    reply = await stack.visit((await addresses(stack, payment["provider_reference"]))["return"])
    await settled(stack)
    assert moved_on(reply)[1]["state"] == "awaiting_customer"
    now = await stack.payment(payment["id"])
    assert (now["state"], now["version"], now["pending_operation"]) == ("awaiting_customer", payment["version"], None)
    assert len(await calls(stack, "complete_checkout")) == 1


@pytest.mark.parametrize("answer", [{"success": False}, {"success": "false"}, {}, {"success": None}, {"success": 1}])
async def test_only_a_plain_success_authorizes(stack: GatewayStack, answer: Any) -> None:
    """Though the order is placed, an answer to the completion that is no plain ``true`` authorizes nothing."""
    payment = await begun(stack)
    back = await stack.approve(payment)
    await stack.faults("creditkey", operation="complete_checkout", status=200, body=answer)
    await stack.visit(back)
    await settled(stack)
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"


async def test_a_customer_may_accept_after_a_first_visit_came_too_early(stack: GatewayStack) -> None:
    """A declined completion closes nothing: after the customer accepted, the next visit authorizes."""
    payment = await begun(stack)
    await stack.visit((await addresses(stack, payment["provider_reference"]))["return"])
    await settled(stack)
    reply = await stack.visit(await stack.approve(payment))
    assert moved_on(reply)[1]["state"] == "authorized"
    assert len(await calls(stack, "complete_checkout")) == 2


async def test_an_amount_that_changed_at_the_provider_is_reviewed(stack: GatewayStack) -> None:
    """An order whose amount is not the payment's is not authorized; a person must look."""
    payment = await begun(stack)
    back = await stack.approve(payment)
    await stack.call_provider("creditkey", "PUT", f"/_sim/orders/{payment['provider_reference']}", {"amount": "1.00"})
    await stack.visit(back)
    await settled(stack)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["review"]["reason"]) == ("awaiting_customer", "amount")


# Once, however often it comes


@pytest.mark.parametrize("copies", [2, 20])
async def test_a_return_that_comes_again_completes_once(stack: GatewayStack, copies: int) -> None:
    """Visits at the same moment cause one completion; each browser is sent on."""
    payment = await begun(stack)
    back = await stack.approve(payment)
    replies = await asyncio.gather(*(stack.visit(back) for _ in range(copies)))
    await stack.webhook(payment["id"], "payment.authorized")  # on a busy machine the browsers are sent on before
    await settled(stack)
    assert {reply.status for reply in replies} == {303}
    [completion] = await calls(stack, "complete_checkout")
    assert loads(completion["body"].encode())["id"] == payment["provider_reference"]
    now = await stack.payment(payment["id"])
    assert (now["state"], now["version"]) == ("authorized", payment["version"] + 1)


async def test_a_return_after_a_return_completes_once(stack: GatewayStack) -> None:
    """The return address reloaded later changes nothing and says where the payment stands."""
    payment = await begun(stack)
    back = await stack.approve(payment)
    await stack.visit(back)
    again = await stack.visit(back)
    await settled(stack)
    assert moved_on(again)[1]["state"] == "authorized"
    assert len(await calls(stack, "complete_checkout")) == 1


async def test_a_browser_and_the_provider_itself_complete_once(stack: GatewayStack) -> None:
    """The return visited by the customer and by Credit Key's own retry at once is one completion."""
    payment = await begun(stack)
    await stack.faults("creditkey", duplicate_return=True)
    await stack.visit(await stack.approve(payment))
    await settled(stack)
    assert len(await calls(stack, "complete_checkout")) == 1
    assert (await stack.payment(payment["id"]))["state"] == "authorized"


# Tokens


@pytest.mark.parametrize("path", ["return", "cancel", "complete"])
@pytest.mark.parametrize("forgery", ["garbage", "flipped", "cut", "other purpose", "other endpoint", "other payment"])
async def test_a_forged_token_is_nothing(stack: GatewayStack, path: str, forgery: str) -> None:
    """A token that was not made for this endpoint, payment and purpose is 404 and leaves nothing."""
    payment = await begun(stack)
    good = tokened(stack, payment["id"], path)
    others = {"return": "cancel", "cancel": "complete", "complete": "return"}
    stranger = stack.entry("acme", "psp-main").endpoint_id
    forged = {
        "garbage": good[: good.rindex("/")] + "/abc",
        "flipped": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "cut": good[:-1],
        "other purpose": tokened(stack, payment["id"], path, purpose=others[path]),
        "other endpoint": tokened(stack, payment["id"], path, endpoint=stranger),
        "other payment": tokened(stack, "pay_00000000000070008000000000000000", path),
    }[forgery]
    reply = await stack.visit(f"{forged}?key={payment['provider_reference']}")
    await settled(stack)
    assert reply.status == 404
    assert await calls(stack, "find_order") == []
    assert hints(stack) == []


@pytest.mark.parametrize("path", ["return", "cancel", "complete", "return/", "", "elsewhere"])
async def test_an_address_without_a_token_is_nothing(stack: GatewayStack, path: str) -> None:
    """Credit Key's endpoint takes nothing but our own tokened addresses."""
    await begun(stack)
    endpoint = stack.entry("acme", "creditkey-main").endpoint_id
    assert (await stack.visit(f"{stack.url}/callbacks/{endpoint}/{path}?key=CK-TST1001")).status == 404
    assert hints(stack) == []


def hints(stack: GatewayStack) -> list[tuple[Any, ...]]:
    """The stored hints: (key, whether it is still due)."""
    with sqlite3.connect(f"file:{stack.store_file}?mode=ro", uri=True) as database:
        return database.execute("SELECT provider_reference, due FROM hints").fetchall()


# Where the browser goes


async def test_giving_up_sends_the_customer_to_the_cancel_url(stack: GatewayStack) -> None:
    """The cancel address leads to the tenant's ``cancel_url``; the payment is not canceled by it."""
    payment = await begun(stack)
    reply = await stack.visit((await addresses(stack, payment["provider_reference"]))["cancel"])
    await settled(stack)
    place, said = moved_on(reply)
    assert place == "https://shop.example/gave-up"
    assert said == {"payment_id": payment["id"], "state": "awaiting_customer"}
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"


@pytest.mark.parametrize(("path", "member"), [("return", "return_url"), ("cancel", "cancel_url")])
async def test_without_an_address_the_customer_sees_a_neutral_page(stack: GatewayStack, path: str, member: str) -> None:
    """A payment without ``return_url`` or ``cancel_url`` ends on a page that names nothing of it."""
    payment = await begun(stack, **{member: None})
    reply = await stack.visit((await addresses(stack, payment["provider_reference"]))[path])
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert payment["id"] not in reply.text
    assert payment["merchant_reference"] not in reply.text


@pytest.mark.parametrize(
    ("given", "sent_on"),
    [
        ("https://shop.example", "https://shop.example?{}"),
        ("https://shop.example/paid?cart=7&x=%20", "https://shop.example/paid?cart=7&x=%20&{}"),
        ("https://shop.example/paid#thanks", "https://shop.example/paid?{}#thanks"),
        ("https://shop.example/paid?cart=7#thanks", "https://shop.example/paid?cart=7&{}#thanks"),
        ("https://shop.example/p%C3%A4id?q=a%2Bb", "https://shop.example/p%C3%A4id?q=a%2Bb&{}"),
    ],
)
async def test_the_redirect_keeps_query_and_fragment(stack: GatewayStack, given: str, sent_on: str) -> None:
    """``payment_id`` and ``state`` join what the tenant's address already holds, byte for byte."""
    payment = await begun(stack, return_url=given)
    reply = await stack.visit(await stack.approve(payment))
    assert reply.headers["Location"] == sent_on.format(f"payment_id={payment['id']}&state=authorized")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_browser_only_visits(stack: GatewayStack, method: str) -> None:
    """Return and cancel are visited by GET (or HEAD) and nothing else."""
    payment = await begun(stack)
    address = (await addresses(stack, payment["provider_reference"]))["return"]
    async with stack.http.request(method, address, allow_redirects=False) as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD,OPTIONS")
    await settled(stack)
    assert await calls(stack, "find_order") == []


# Credit Key's own call


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("key", ["own", "foreign", "none", "placeholder", "twice"])
async def test_the_providers_own_call_is_always_thanked(stack: GatewayStack, method: str, key: str) -> None:
    """``order_complete_url`` answers 200 ``{"ok":true}`` by GET and POST, whatever key comes with it."""
    payment = await begun(stack)
    own = payment["provider_reference"]
    queries = {
        "own": f"?key={own}",
        "foreign": "?key=CK-9",
        "none": "",
        "placeholder": "?key=%CKKEY%",
        "twice": f"?key={own}&key=CK-9",
    }
    address = tokened(stack, payment["id"], "complete") + queries[key]
    async with stack.http.request(method, address, allow_redirects=False) as response:
        assert (response.status, await response.text()) == (200, '{"ok":true}')
    await settled(stack)
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"


async def test_a_pended_application_is_completed_by_the_providers_call(stack: GatewayStack) -> None:
    """An application that staff clears later is authorized by Credit Key's call, without a browser."""
    payment = await begun(stack)
    await stack.faults("creditkey", pended=True)
    assert (
        await stack.call_provider("creditkey", "POST", f"/checkout/{payment['provider_reference']}/approve")
    ).json == {"redirect": None}
    cleared = await stack.call_provider("creditkey", "POST", f"/_sim/orders/{payment['provider_reference']}/clear")
    assert cleared.json["status"] == 200
    await settled(stack)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"


async def test_the_key_may_come_in_the_body(stack: GatewayStack) -> None:
    """A POST without a key in its query is read from its body's ``id``."""
    await stack.faults("creditkey", operation="begin_standalone_checkout", silence="after_effect", times=1)
    created = await stack.create(creditkey_body())
    [order] = await stack.provider_orders("creditkey")
    await stack.call_provider("creditkey", "POST", f"/checkout/{order['id']}/approve")
    address = tokened(stack, created.json["id"], "complete")
    async with stack.http.post(address, data=json.dumps({"id": order["id"]})) as response:
        assert response.status == 200
    await settled(stack)
    assert (await stack.payment(created.json["id"]))["state"] == "authorized"


# When the provider does not answer


async def test_a_failed_lookup_leaves_the_hint_and_sync_completes(stack: GatewayStack) -> None:
    """While Credit Key is down the customer is sent on unpaid and the hint stays due; ``sync`` finishes the payment."""
    payment = await begun(stack)
    back = await stack.approve(payment)
    await stack.faults("creditkey", operation="find_order", html=True)
    reply = await stack.visit(back)
    await settled(stack)
    assert moved_on(reply)[1]["state"] == "awaiting_customer"
    assert hints(stack) == [(payment["provider_reference"], 1)]
    await stack.faults("creditkey")
    synced = await stack.call("POST", f"/v1/payments/{payment['id']}/sync", {})
    assert (synced.status, synced.json["state"]) == (200, "authorized")
    assert len(await calls(stack, "complete_checkout")) == 1


async def test_sync_says_that_the_lookup_failed(stack: GatewayStack) -> None:
    """A ``sync`` whose lookup fails is 502 ``provider_error`` and changes nothing."""
    payment = await begun(stack)
    await stack.faults("creditkey", operation="find_order", silence="before_effect")
    synced = await stack.call("POST", f"/v1/payments/{payment['id']}/sync", {})
    assert (synced.status, synced.json["code"]) == (502, "provider_error")
    assert (await stack.payment(payment["id"]))["version"] == payment["version"]


async def test_an_unknown_completion_is_settled_by_a_lookup(stack: GatewayStack) -> None:
    """A completion that had its effect and no answer is never sent again while it is open; a later look settles it."""
    payment = await begun(stack)
    back = await stack.approve(payment)
    await stack.faults("creditkey", operation="complete_checkout", silence="after_effect", times=1)
    await stack.visit(back)
    await settled(stack)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["pending_operation"]["status"]) == ("awaiting_customer", "unknown")
    await stack.visit(back)
    await settled(stack)
    assert len(await calls(stack, "complete_checkout")) == 1


async def test_a_capture_waits_for_the_completion(stack: GatewayStack) -> None:
    """An approved order whose return was never visited is not yet authorized for us: capture is refused."""
    payment = await begun(stack)
    await stack.approve(payment)
    reply = await stack.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=new_key())
    assert (reply.status, reply.json["code"]) == (409, "invalid_state")
    assert await calls(stack, "confirm_order") == []


async def test_an_address_that_no_header_can_carry_gets_an_answer(stack: GatewayStack) -> None:
    """An older gateway took line breaks behind ``#``; each return then ended without any answer."""
    payment = await begun(stack, return_url="https://shop.example/paid#old")
    for change in ("doc = replace(doc, '#old', '#\\r\\n')", "purchase = replace(purchase, '#old', '#\\r\\n')"):
        await change_store(stack, f"UPDATE payments SET {change}")  # noqa: S608  # our own two texts
    back = (await addresses(stack, payment["provider_reference"]))["return"]
    reply = await stack.visit(back)
    assert (reply.status, "You can close this page" in reply.text) == (200, True)


# Who waits


async def test_waiting_browsers_leave_places_for_others(tmp_path: Path) -> None:
    """While the provider hangs some browsers of a tenant wait for their lookups; a further one is sent on at once."""
    async with running_stack(tmp_path, change=lambda settings: settings.update(limits={"connections": 8})) as stack:
        links = [await stack.approve(await begun(stack)) for _ in range(4)]
        asked, is_answering, send = asyncio.Queue[str](), asyncio.Event(), stack.gateway.send

        async def hang(request: HttpRequest, **how: Any) -> HttpResponse:
            asked.put_nowait(request.url)
            await is_answering.wait()
            return await send(request, **how)

        stack.gateway.send = hang
        waiting = [asyncio.create_task(stack.visit(link)) for link in links[:3]]
        for _ in waiting:
            await asked.get()
        assert moved_on(await stack.visit(links[3]))[1]["state"] == "awaiting_customer"
        assert not any(one.done() for one in waiting)
        is_answering.set()
        assert {moved_on(one)[1]["state"] for one in await asyncio.gather(*waiting)} == {"authorized"}
