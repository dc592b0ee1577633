"""API-2 over HTTP: what every callback is answered, what it moves, and that nothing else moves.

Two tables: each kind of refusal, and each pair of an order's state and a callback's status.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from gateway.core.payment import Payment, State
from tests.support.clients.psp_callbacks import (
    ABSENT,
    call_back,
    change_store,
    credentials,
    expire,
    force,
    new_payment,
    post,
    signed_body,
    stored,
)
from tests.support.stack import GatewayStack, Reply, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")

FAIL, SUCCESS, PROCESSING = 0, 1, 2
GRACE = timedelta(hours=72)
NOT_PENDING = "payment_status_not_pending"


def refusal_of(reply: Reply) -> str | None:
    """The ``type`` of a refusal in the protocol's exact shape; None for 204 without a body."""
    if reply.status == 204:
        assert reply.text == ""
        return None
    assert reply.json == {"error": True, "code": reply.status, "type": reply.json["type"]}
    assert reply.headers["Content-Type"] == "application/json"
    return str(reply.json["type"])


def earlier() -> int:
    """A time an hour ago, in Unix milliseconds: no two callbacks of a test are the same bytes."""
    return int((time.time() - 3600) * 1000)


async def webhooks_made(stack: GatewayStack, payment_id: str) -> list[str]:
    """Types of the webhooks that were made, in version order."""
    return [row.type for row in await stack.gateway.store.deliveries.of_payment("acme", payment_id)]


# Order state x status, for callbacks that were not seen before

EXPIRED_AGO = {
    "expired in grace": GRACE - timedelta(minutes=1),
    "expired past grace": GRACE + timedelta(minutes=1),
}
CALLED_BACK = {"processing": PROCESSING, "succeeded": SUCCESS, "failed": FAIL}


async def put(stack: GatewayStack, payment: Any, place: str, transaction_id: Any) -> Payment:
    """Bring a pending order into a state by real events, under a transaction id where a callback does it."""
    if place in EXPIRED_AGO:
        await expire(stack, payment["id"], ago=EXPIRED_AGO[place])
    if place in CALLED_BACK:
        told = await call_back(stack, payment, status=CALLED_BACK[place], transaction_id=transaction_id)
        assert told.status == 204
    return await stored(stack, payment["id"])


class Cell(NamedTuple):
    """One cell of the table: what a callback is answered and what it does."""

    place: str
    status: int
    refusal: str | None
    state: str
    event: str | None = None
    review: str | None = None
    late: bool = False


CELLS = (
    Cell("pending", PROCESSING, None, "processing", "payment.processing"),
    Cell("pending", SUCCESS, None, "captured", "payment.captured"),
    Cell("pending", FAIL, None, "failed", "payment.failed"),
    Cell("processing", PROCESSING, None, "processing"),
    Cell("processing", SUCCESS, None, "captured", "payment.captured"),
    Cell("processing", FAIL, None, "failed", "payment.failed"),
    Cell("succeeded", PROCESSING, NOT_PENDING, "captured"),
    Cell("succeeded", SUCCESS, NOT_PENDING, "captured"),
    Cell("succeeded", FAIL, NOT_PENDING, "captured", "payment.review", "contradiction"),
    Cell("failed", PROCESSING, NOT_PENDING, "failed"),
    Cell("failed", SUCCESS, NOT_PENDING, "failed", "payment.review", "contradiction"),
    Cell("failed", FAIL, NOT_PENDING, "failed"),
    Cell("expired in grace", PROCESSING, None, "expired"),
    Cell("expired in grace", SUCCESS, None, "captured", "payment.captured", late=True),
    Cell("expired in grace", FAIL, None, "failed", "payment.failed"),
    Cell("expired past grace", PROCESSING, NOT_PENDING, "expired"),
    Cell("expired past grace", SUCCESS, NOT_PENDING, "expired", "payment.review", "paid_late"),
    Cell("expired past grace", FAIL, NOT_PENDING, "expired"),
)


@shared
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.place} {cell.status}")
async def test_a_new_callback_meets_a_state(shared_stack: GatewayStack, cell: Cell) -> None:
    """A callback never seen before moves what its cell says, once, and is answered as its cell says."""
    payment = await new_payment(shared_stack)
    before = await put(shared_stack, payment, cell.place, "T-1")
    # Without a transaction id the fingerprint is new in every state.
    reply = await call_back(shared_stack, payment, status=cell.status, transaction_id=ABSENT)
    assert refusal_of(reply) == cell.refusal
    assert reply.status == (400 if cell.refusal else 204)
    now = await shared_stack.payment(payment["id"])
    assert now["state"] == cell.state
    assert now["amount_captured"] == ("162.48" if cell.state == "captured" else "0.00")
    assert (now["review"] or {}).get("reason") == cell.review
    assert now["version"] == before.version + (1 if cell.event else 0)
    events = await shared_stack.events(payment["id"])
    assert [event["version"] for event in events] == list(range(1, now["version"] + 1))
    assert [event["type"] for event in events[before.version :]] == ([cell.event] if cell.event else [])
    assert ("late" in events[-1]["details"]) == cell.late
    assert await webhooks_made(shared_stack, payment["id"]) == [event["type"] for event in events]


@shared
@pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if cell.refusal], ids=lambda cell: f"{cell.place} {cell.status}"
)
async def test_a_refused_callback_teaches_nothing(shared_stack: GatewayStack, cell: Cell) -> None:
    """A refused callback leaves nothing but the review flag: not even its transaction id is believed."""
    payment = await new_payment(shared_stack)
    before = await put(shared_stack, payment, cell.place, ABSENT)
    reply = await call_back(shared_stack, payment, status=cell.status, transaction_id="T-2")
    assert refusal_of(reply) == NOT_PENDING
    after = await stored(shared_stack, payment["id"])
    assert after.provider_reference is None
    assert after.version == before.version + (1 if cell.review else 0)


# Order state x status, for callbacks that were applied before

FORCED: dict[str, tuple[State, timedelta | None]] = {
    "pending": (State.AWAITING_CUSTOMER, None),
    "processing": (State.PROCESSING, None),
    "succeeded": (State.CAPTURED, None),
    "failed": (State.FAILED, None),
    **{place: (State.EXPIRED, ago) for place, ago in EXPIRED_AGO.items()},
}


@shared
@pytest.mark.parametrize("place", FORCED)
@pytest.mark.parametrize("status", [FAIL, SUCCESS, PROCESSING])
async def test_a_repeated_callback_has_no_effect(shared_stack: GatewayStack, place: str, status: int) -> None:
    """A callback applied before is answered 204 in every state and moves nothing, whatever its time and sign."""
    payment = await new_payment(shared_stack)
    assert (await call_back(shared_stack, payment, status=status, time=earlier())).status == 204
    state, ago = FORCED[place]
    await force(shared_stack, payment["id"], state, expired_ago=ago)
    before = await stored(shared_stack, payment["id"])
    reply = await call_back(shared_stack, payment, status=status)
    assert refusal_of(reply) is None
    assert await stored(shared_stack, payment["id"]) == before
    assert len(await webhooks_made(shared_stack, payment["id"])) == before.version


@shared
async def test_processing_again_under_another_transaction_is_refused(shared_stack: GatewayStack) -> None:
    """A second attempt for an order that is processing under another transaction id is refused and moves nothing."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, status=PROCESSING, transaction_id="T-1")
    before = await stored(shared_stack, payment["id"])
    reply = await call_back(shared_stack, payment, status=PROCESSING, transaction_id="T-2")
    assert (reply.status, refusal_of(reply)) == (400, "payment_request_exists")
    assert await stored(shared_stack, payment["id"]) == before


@shared
async def test_another_transaction_in_the_final_callback_is_applied_and_noted(shared_stack: GatewayStack) -> None:
    """The transaction id of the final callback may differ: the payment follows it and the timeline names both."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, status=PROCESSING, transaction_id="T-1")
    assert (await call_back(shared_stack, payment, status=SUCCESS, transaction_id="T-2")).status == 204
    now = await shared_stack.payment(payment["id"])
    assert (now["state"], now["provider_reference"]) == ("captured", "T-2")
    assert (await shared_stack.events(payment["id"]))[-1]["details"]["provider_reference_before"] == "T-1"


@shared
async def test_a_second_success_under_another_transaction_is_told_once(shared_stack: GatewayStack) -> None:
    """The customer may have paid twice: the wire's answer is as before, the tenant is told once per transaction."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, status=SUCCESS, transaction_id="PHP-1")
    for transaction in ("PHP-2", "PHP-2", "PHP-3", "PHP-2"):
        reply = await call_back(shared_stack, payment, status=SUCCESS, transaction_id=transaction)
        assert (reply.status, refusal_of(reply)) == (400, NOT_PENDING)
    now = await shared_stack.payment(payment["id"])
    assert (now["state"], now["amount_captured"], now["provider_reference"]) == ("captured", "162.48", "PHP-1")
    assert now["review"]["reason"] == "contradiction"
    told = (await shared_stack.events(payment["id"]))[3:]
    assert [(one["type"], one["details"]["paid_again_by"]) for one in told] == [
        ("payment.review", "PHP-2"),
        ("payment.updated", "PHP-3"),
    ]
    assert len(await webhooks_made(shared_stack, payment["id"])) == now["version"] == 5


async def test_strict_duplicates_refuses_every_callback_of_a_terminal_order(tmp_path: Path) -> None:
    """Under ``strict_duplicates`` the repetition of an applied callback is refused as the real CRM does."""

    def strict(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"]["psp-main"]["config"]["strict_duplicates"] = True

    async with running_stack(tmp_path, change=strict) as stack:
        payment = await new_payment(stack)
        assert (await call_back(stack, payment)).status == 204
        again = await call_back(stack, payment)
        assert (again.status, refusal_of(again)) == (400, NOT_PENDING)
        assert (await stack.payment(payment["id"]))["version"] == 3


@shared
async def test_fifty_copies_at_once_move_the_payment_once(shared_stack: GatewayStack) -> None:
    """Fifty copies of one callback arriving together are all answered 204 and capture the payment once."""
    payment = await new_payment(shared_stack)
    body = signed_body(shared_stack, payment)
    replies = await asyncio.gather(*(post(shared_stack, body) for _ in range(50)))
    assert {reply.status for reply in replies} == {204}
    assert await webhooks_made(shared_stack, payment["id"]) == [
        "payment.created",
        "payment.awaiting_customer",
        "payment.captured",
    ]


# The nine documented errors, in the order of the checks


class Wrong(NamedTuple):
    """One callback that is refused: what is changed about it, and the answer's type and its fitting status."""

    name: str
    type: str
    semantic: int
    members: Mapping[str, Any] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})


WRONG = (
    Wrong("wrong token", "psp_token_invalid", 401, headers={"crm-pay-token": "guessed"}),
    Wrong("empty token", "psp_token_invalid", 401, headers={"crm-pay-token": ""}),
    Wrong("wrong sign", "psp_token_invalid", 401, {"sign": "0" * 40}),
    Wrong("sign of another length", "psp_token_invalid", 401, {"sign": "0" * 39}),
    Wrong("sign as a number", "psp_token_invalid", 401, {"sign": 7}),
    Wrong("no sign", "psp_token_invalid", 401, {"sign": ABSENT}),
    Wrong("nested member", "psp_token_invalid", 401, {"note": {"a": 1}}),
    Wrong("text that reads as a member", "psp_token_invalid", 401, {"note": "x&amount=1"}),
    Wrong("other merchant", "psp_setting_not_found", 404, {"merchant_id": "somebody-else"}),
    Wrong("no merchant", "psp_setting_not_found", 404, {"merchant_id": ABSENT}),
    Wrong("unknown order", "payment_not_found", 404, {"order_no": "pay_00000000000070008000000000000000"}),
    Wrong("no order", "payment_not_found", 404, {"order_no": ABSENT}),
    Wrong("order as a number", "payment_not_found", 404, {"order_no": 7}),
    Wrong("status 3", "payment_status_not_allowed", 422, {"status": 3}),
    Wrong("status -1", "payment_status_not_allowed", 422, {"status": -1}),
    Wrong("status as text", "payment_status_not_allowed", 422, {"status": "1"}),
    Wrong("no status", "payment_status_not_allowed", 422, {"status": ABSENT}),
    Wrong("status before everything else", "payment_status_not_allowed", 422, {"status": 9, "currency": "XXX"}),
    Wrong("other currency", "payment_currency_not_allowed", 422, {"currency": "EUR"}),
    Wrong("unknown currency", "payment_currency_not_allowed", 422, {"currency": "not one"}),
    Wrong("no currency", "payment_currency_not_allowed", 422, {"currency": ABSENT}),
    Wrong("currency before amount", "payment_currency_not_allowed", 422, {"currency": "EUR", "amount": 1}),
    Wrong("a cent too little", "payment_amount_not_allowed", 422, {"amount": 162.47}),
    Wrong("a cent too much", "payment_amount_not_allowed", 422, {"amount": 162.49}),
    Wrong("too many decimals", "payment_amount_not_allowed", 422, {"amount": 162.481}),
    Wrong("nothing", "payment_amount_not_allowed", 422, {"amount": 0}),
    Wrong("negative", "payment_amount_not_allowed", 422, {"amount": -162.48}),
    Wrong("no amount", "payment_amount_not_allowed", 422, {"amount": ABSENT}),
    Wrong("amount in words", "payment_amount_not_allowed", 422, {"amount": "all of it"}),
    Wrong("amount true", "payment_amount_not_allowed", 422, {"amount": True}),
    Wrong("amount before time", "payment_amount_not_allowed", 422, {"amount": 1, "time": ABSENT}),
    Wrong("no time", "payment_status_not_allowed", 422, {"time": ABSENT}),
    Wrong("time as text", "payment_status_not_allowed", 422, {"time": "1631696419516"}),
    Wrong("time in seconds", "payment_status_not_allowed", 422, {"time": 1_631_696_419}),
    Wrong("time long ago", "payment_status_not_allowed", 422, {"time": 1_631_696_419_516}),
    Wrong("time to come", "payment_status_not_allowed", 422, {"time": 4_000_000_000_000}),
)


def forged(body: bytes) -> bytes:
    """The same callback with a sign that is none."""
    return json.dumps({**json.loads(body), "sign": "0" * 40}).encode()


async def send_wrong(stack: GatewayStack, payment: Any, wrong: Wrong) -> Reply:
    return await post(stack, signed_body(stack, payment, **wrong.members), headers=wrong.headers)


@shared
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
async def test_a_wrong_callback_is_refused_by_its_type(shared_stack: GatewayStack, wrong: Wrong) -> None:
    """Each mistake is answered 400 with the protocol's type for the first check that fails, and moves no money."""
    payment = await new_payment(shared_stack)
    reply = await send_wrong(shared_stack, payment, wrong)
    assert (reply.status, refusal_of(reply)) == (400, wrong.type)
    now = await shared_stack.payment(payment["id"])
    assert (now["state"], now["amount_captured"], now["provider_reference"]) == ("awaiting_customer", "0.00", None)


@shared
@pytest.mark.parametrize(("member", "value", "reason"), [("amount", 162.47, "amount"), ("currency", "EUR", "currency")])
async def test_a_proved_misfit_is_flagged_once(
    shared_stack: GatewayStack, member: str, value: Any, reason: str
) -> None:
    """A proved callback with another amount or currency raises the review flag, once however often it comes."""
    payment = await new_payment(shared_stack)
    for _ in range(2):
        await call_back(shared_stack, payment, **{member: value})
    now = await shared_stack.payment(payment["id"])
    assert (now["review"]["reason"], now["version"]) == (reason, 3)


@shared
async def test_the_right_callback_after_a_refused_one_is_applied(shared_stack: GatewayStack) -> None:
    """A refused callback is no duplicate: the corrected one moves the payment."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, time=4_000_000_000_000)
    assert (await call_back(shared_stack, payment)).status == 204
    assert (await shared_stack.payment(payment["id"]))["state"] == "captured"


async def test_semantic_statuses(tmp_path: Path) -> None:
    """With ``error_status: semantic`` each refusal has the HTTP status that fits it, and ``code`` equals it."""

    def semantic(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"]["psp-main"]["config"]["error_status"] = "semantic"

    async with running_stack(tmp_path, change=semantic) as stack:
        for wrong in WRONG:
            reply = await send_wrong(stack, await new_payment(stack), wrong)
            assert (wrong.name, reply.status, refusal_of(reply)) == (wrong.name, wrong.semantic, wrong.type)
        payment = await new_payment(stack)
        await call_back(stack, payment)
        late = await call_back(stack, payment, status=FAIL)
        assert (late.status, refusal_of(late)) == (409, NOT_PENDING)


async def test_an_account_without_a_deposit_method_says_so(tmp_path: Path) -> None:
    """An account that no deposit method names answers ``deposit_method_not_found`` to a proved callback."""

    def spare(settings: dict[str, Any]) -> None:
        accounts = settings["tenants"]["acme"]["accounts"]
        accounts["psp-spare"] = {**accounts["psp-main"], "accepts_new": False}

    async with running_stack(tmp_path, change=spare) as stack:
        payment = await new_payment(stack)
        body = signed_body(stack, payment, account="psp-spare")
        reply = await post(stack, body, account="psp-spare")
        assert (reply.status, refusal_of(reply)) == (400, "deposit_method_not_found")
        assert (await stack.payment(payment["id"]))["version"] == 2


@shared
async def test_another_tenants_callback_does_not_find_the_payment(shared_stack: GatewayStack) -> None:
    """A callback proved by another tenant's keys cannot name this tenant's payment."""
    payment = await new_payment(shared_stack)
    body = signed_body(shared_stack, payment, tenant="globex")
    reply = await post(shared_stack, body, tenant="globex")
    assert (reply.status, refusal_of(reply)) == (400, "payment_not_found")
    assert (await shared_stack.payment(payment["id"]))["version"] == 2


@shared
async def test_a_transaction_id_alone_names_no_payment(shared_stack: GatewayStack) -> None:
    """A callback without an order number finds nothing, even under a transaction id that a payment is known by."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, status=PROCESSING, transaction_id="T-alone")
    reply = await call_back(shared_stack, payment, order_no=ABSENT, transaction_id="T-alone")
    assert (reply.status, refusal_of(reply)) == (400, "payment_not_found")
    assert (await shared_stack.payment(payment["id"]))["state"] == "processing"


@shared
async def test_two_token_headers_are_refused(shared_stack: GatewayStack) -> None:
    """The token header must stand exactly once, even when both copies are right."""
    payment = await new_payment(shared_stack)
    body = signed_body(shared_stack, payment)
    _, token = credentials(shared_stack)
    endpoint = f"/callbacks/{shared_stack.entry('acme', 'psp-main').endpoint_id}/pay/callback"
    headers = [("Content-Type", "application/json"), ("crm-pay-token", token), ("crm-pay-token", token)]
    async with shared_stack.http.post(shared_stack.url + endpoint, data=body, headers=headers) as response:
        assert (response.status, (await response.json())["type"]) == (400, "psp_token_invalid")


# Beyond the nine: the extensions, and what the endpoint is


@shared
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(shared_stack: GatewayStack, method: str) -> None:
    """Only POST is taken; the answer names it."""
    reply = await post(shared_stack, b"{}", method=method)
    assert (reply.status, refusal_of(reply)) == (405, "method_not_allowed")
    assert reply.headers["Allow"] == "POST"


@shared
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
async def test_other_media_types_are_refused(shared_stack: GatewayStack, media_type: str) -> None:
    """Only application/json is taken."""
    payment = await new_payment(shared_stack)
    reply = await post(shared_stack, signed_body(shared_stack, payment), headers={"Content-Type": media_type})
    assert (reply.status, refusal_of(reply)) == (415, "unsupported_media_type")


@shared
async def test_a_large_body_is_refused(shared_stack: GatewayStack) -> None:
    """A body over 64 KiB is refused, whoever signed it."""
    reply = await post(shared_stack, b" " * (64 * 1024 + 1))
    assert (reply.status, refusal_of(reply)) == (413, "body_too_large")


@shared
async def test_a_body_of_64_kib_is_read(shared_stack: GatewayStack) -> None:
    """A signed body of exactly 64 KiB is applied."""
    payment = await new_payment(shared_stack)
    room = 64 * 1024 - len(signed_body(shared_stack, payment, note="x")) + 1
    body = signed_body(shared_stack, payment, note="x" * room)
    assert len(body) == 64 * 1024
    assert (await post(shared_stack, body)).status == 204


async def test_too_many_callbacks_are_put_off(tmp_path: Path) -> None:
    """Over the endpoint's rate the answer is 429 with Retry-After, and the payment does not move."""

    def slow(settings: dict[str, Any]) -> None:
        settings["server"]["callback_rate"] = {"per_second": 0.001, "burst": 1}

    async with running_stack(tmp_path, change=slow) as stack:
        payment = await new_payment(stack)
        await call_back(stack, payment, status=9)
        reply = await call_back(stack, payment)
        assert (reply.status, refusal_of(reply)) == (429, "rate_limited")
        assert int(reply.headers["Retry-After"]) > 0
        assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"


async def test_what_cannot_be_stored_is_never_acknowledged(stack: GatewayStack) -> None:
    """While the store takes no callback the answer is 503; the same callback is applied once it does again."""
    payment = await new_payment(stack)
    body = signed_body(stack, payment)
    await change_store(stack, "ALTER TABLE inbox RENAME TO elsewhere")
    reply = await post(stack, body)
    assert (reply.status, refusal_of(reply)) == (503, "temporarily_unavailable")
    assert int(reply.headers["Retry-After"]) > 0
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"
    await change_store(stack, "ALTER TABLE elsewhere RENAME TO inbox")
    assert (await post(stack, body)).status == 204
    assert (await stack.payment(payment["id"]))["state"] == "captured"


async def test_a_forged_callback_is_refused_even_when_it_cannot_be_kept(stack: GatewayStack) -> None:
    """A refusal is said although its evidence cannot be stored: a forger must not turn it into a fault."""
    payment = await new_payment(stack)
    await change_store(stack, "ALTER TABLE inbox RENAME TO elsewhere")
    reply = await post(stack, forged(signed_body(stack, payment)))
    assert (reply.status, refusal_of(reply)) == (400, "psp_token_invalid")


@shared
@pytest.mark.parametrize("path", ["", "/", "/pay/callback", "/pay/callback/"])
async def test_the_bare_endpoint_is_the_callback_too(shared_stack: GatewayStack, path: str) -> None:
    """A sender that takes the shown address for the whole one reaches the same place."""
    payment = await new_payment(shared_stack)
    assert (await post(shared_stack, signed_body(shared_stack, payment), path=path)).status == 204
    assert (await shared_stack.payment(payment["id"]))["state"] == "captured"


@shared
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("path", ["", "/pay/callback", "/return/abc"])
async def test_an_unknown_endpoint_is_nothing(shared_stack: GatewayStack, method: str, path: str) -> None:
    """An endpoint nobody was given answers 404 without a body."""
    reply = await shared_stack.call(method, f"/callbacks/nobody-was-given-this-one{path}", tenant=None, data=b"{}")
    assert (reply.status, reply.text) == (404, "")


@shared
async def test_success_has_no_body_at_all(shared_stack: GatewayStack) -> None:
    """204 is sent without a body and without a length of one."""
    payment = await new_payment(shared_stack)
    address = urlsplit(shared_stack.url)
    endpoint = f"/callbacks/{shared_stack.entry('acme', 'psp-main').endpoint_id}/pay/callback"
    headers = {"Content-Type": "application/json", "crm-pay-token": credentials(shared_stack)[1]}

    def send() -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        connection.request("POST", endpoint, signed_body(shared_stack, payment), headers)
        return connection.getresponse()

    response = await asyncio.to_thread(send)
    assert (response.status, response.read()) == (204, b"")
    assert response.headers["Content-Length"] is None
    assert response.headers["Content-Type"] is None


# Races with API-1's own answer, and bytes that change on the way


async def test_a_callback_before_the_answer_is_applied(stack: GatewayStack) -> None:
    """A callback that overtakes API-1's answer captures the payment, which still gets its payment page."""
    await stack.faults("psp", early_callback=True)
    created = await stack.create(psp_body())
    assert created.status == 201, created.text
    payment = await stack.payment(created.json["id"])
    assert (payment["state"], payment["amount_captured"]) == ("captured", "162.48")
    assert payment["redirect_url"].startswith("http://127.0.0.1:")
    assert payment["pending_operation"] is None
    assert created.json["operation"]["status"] == "succeeded"
    versions = [event["version"] for event in await stack.events(payment["id"])]
    assert versions == list(range(1, payment["version"] + 1))


async def test_a_callback_before_silence_settles_the_create(stack: GatewayStack) -> None:
    """When the callback came and API-1's answer never does, the create counts as done."""
    await stack.faults("psp", early_callback=True, silence="after_effect")
    created = await stack.create(psp_body())
    assert (created.status, created.json["operation"]["status"]) == (201, "succeeded")
    assert created.json["state"] == "captured"
    assert len(await stack.provider_requests("psp")) == 1


async def test_a_callback_sent_twice_by_its_sender_moves_once(stack: GatewayStack) -> None:
    """A sender that says everything twice, with a new time and sign, moves the payment once."""
    await stack.faults("psp", duplicate_callback=True)
    payment = await new_payment(stack)
    await stack.click(payment, "pay")
    [order] = await stack.provider_orders("psp")
    assert [told["http_status"] for told in order["callbacks"]] == [204, 204]
    assert (await stack.payment(payment["id"]))["version"] == 3


async def test_every_changed_byte_is_refused_or_changes_nothing(stack: GatewayStack) -> None:
    """No flipped bit of a signed body moves the payment otherwise than the body itself would."""
    payment = await new_payment(stack)
    body = signed_body(stack, payment, time=earlier())
    changed = [
        body[:place] + bytes([body[place] ^ 1 << bit]) + body[place + 1 :]
        for place in range(len(body))
        for bit in range(8)
    ]
    sign_at = body.index(b'"sign": "') + len(b'"sign": "')
    in_sign = range(sign_at, sign_at + 40)
    replies = []
    for start in range(0, len(changed), 64):
        replies += await asyncio.gather(*(post(stack, one) for one in changed[start : start + 64]))
    accepted = [number // 8 for number, reply in enumerate(replies) if reply.status == 204]
    # Only the letter case of the sign says nothing, as the protocol takes it in any.
    assert all(place in in_sign for place in accepted)
    assert {refusal_of(reply) for reply in replies if reply.status != 204} == {"psp_token_invalid"}
    now = await stored(stack, payment["id"])
    assert (str(now.state), now.version, now.review) == ("captured", 3, None)
    assert (str(now.captured), now.provider_reference) == ("162.48", "T-1")
