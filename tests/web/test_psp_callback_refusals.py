"""API-2 callbacks that are refused: the protocol's type for each mistake, and nothing moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.support.clients.psp_callbacks import (
    ABSENT,
    FAIL,
    NOT_PENDING,
    PROCESSING,
    call_back,
    change_store,
    credentials,
    earlier,
    new_payment,
    post,
    refusal_of,
    signed_body,
    stored,
)
from tests.support.stack import GatewayStack, Reply, running_stack

shared = pytest.mark.asyncio(loop_scope="module")


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
    Wrong("order longer than any id", "payment_not_found", 404, {"order_no": "4 " * 5000}),
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


async def test_a_forged_callback_is_refused_even_when_it_cannot_be_kept(stack: GatewayStack) -> None:
    """A refusal is said although its evidence cannot be stored: a forger must not turn it into a fault."""
    payment = await new_payment(stack)
    await change_store(stack, "ALTER TABLE inbox RENAME TO elsewhere")
    reply = await post(stack, forged(signed_body(stack, payment)))
    assert (reply.status, refusal_of(reply)) == (400, "psp_token_invalid")


@shared
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("path", ["", "/pay/callback", "/return/abc"])
async def test_an_unknown_endpoint_is_nothing(shared_stack: GatewayStack, method: str, path: str) -> None:
    """An endpoint nobody was given answers 404 without a body."""
    reply = await shared_stack.call(method, f"/callbacks/nobody-was-given-this-one{path}", tenant=None, data=b"{}")
    assert (reply.status, reply.text) == (404, "")


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


@pytest.mark.parametrize(("method", "kind", "status"), [("PUT", "application/json", 405), ("POST", "text/plain", 415)])
async def test_method_and_media_type_are_judged_before_size(
    stack: GatewayStack, method: str, kind: str, status: int
) -> None:
    """A callback that is wrong in several ways hears of the first in the documented order."""
    reply = await post(stack, b"x" * 70_000, method=method, headers={"Content-Type": kind})
    assert reply.status == status
