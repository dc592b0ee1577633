"""One idempotency key, one effect: what repeated, simultaneous and changed requests are answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.payments import idempotency
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")


async def far_creates(stack: GatewayStack, payment_id: str) -> int:
    """How often the provider was asked to create a payment."""
    return sum(payment_id in one["body"] for one in await stack.provider_requests("psp"))


async def count(stack: GatewayStack, reference: str, *, tenant: str = "acme") -> int:
    """How many payments of a reference exist."""
    listed = await stack.call("GET", f"/v1/payments?merchant_reference={reference}", tenant=tenant)
    return len(listed.json["data"])


# The same request again


@shared
async def test_fifty_copies_at_once_have_one_effect(shared_stack: GatewayStack) -> None:
    """Fifty simultaneous creates under one key reach the provider once; each gets the same bytes, or 409 to wait."""
    body, key = psp_body(), new_key()
    replies = await asyncio.gather(*(shared_stack.create(body, key=key) for _ in range(50)))
    done = [reply for reply in replies if reply.status == 201]
    waiting = [reply for reply in replies if reply.status != 201]
    assert done
    assert {reply.text for reply in done} == {done[0].text}
    assert all((reply.status, reply.json["code"]) == (409, "request_in_progress") for reply in waiting)
    assert sum("Idempotency-Replayed" not in reply.headers for reply in done) == 1
    assert await far_creates(shared_stack, done[0].json["id"]) == 1
    assert await count(shared_stack, body["merchant_reference"]) == 1


async def test_copies_of_a_slow_create_are_told_to_wait(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first request runs, its copies are answered 409 with Retry-After; afterwards they get its bytes."""
    monkeypatch.setattr(idempotency, "REPLAY_WAIT_SECONDS", 0.01)
    await stack.faults("psp", delay_ms=400, times=1)
    body, key = psp_body(), new_key()
    first = asyncio.create_task(stack.create(body, key=key))
    while not await stack.provider_requests("psp"):  # noqa: ASYNC110  # the provider has no event to wait for
        await asyncio.sleep(0)
    copy = await stack.create(body, key=key)
    assert (copy.status, copy.json["code"], copy.headers["Retry-After"]) == (409, "request_in_progress", "1")
    answer = await first
    assert answer.status == 201
    again = await stack.create(body, key=key)
    assert (again.status, again.text) == (201, answer.text)


@shared
async def test_a_repeated_request_gets_the_stored_answer(shared_stack: GatewayStack) -> None:
    """The repetition is answered with the first answer's status and bytes, and says so."""
    body, key = psp_body(), new_key()
    first = await shared_stack.create(body, key=key)
    assert "Idempotency-Replayed" not in first.headers
    await shared_stack.click(first.json, "pay")
    again = await shared_stack.create(body, key=key)
    assert (again.status, again.text) == (201, first.text)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await far_creates(shared_stack, first.json["id"]) == 1


@shared
async def test_a_declined_create_is_replayed_too(shared_stack: GatewayStack) -> None:
    """A create that the provider declined is an answer like any other: it is not tried again under its key."""
    await shared_stack.faults("psp", result=False, times=1)
    body, key = psp_body(), new_key()
    first = await shared_stack.create(body, key=key)
    assert (first.status, first.json["operation"]["status"]) == (201, "declined")
    again = await shared_stack.create(body, key=key)
    assert (again.status, again.text) == (201, first.text)
    assert await far_creates(shared_stack, first.json["id"]) == 1


@shared
async def test_the_same_members_in_another_order_are_the_same_request(shared_stack: GatewayStack) -> None:
    """What is compared is the parsed body: order of members, blanks and escapes do not matter."""
    key = new_key()
    first = await shared_stack.create(psp_body(merchant_reference=f"R-{key}"[:60]), key=key)
    body = psp_body(merchant_reference=f"R-{key}"[:60])
    turned = dict(reversed(body.items()))
    again = await shared_stack.create(turned, key=key)
    assert (again.status, again.text) == (201, first.text)


@shared
@pytest.mark.parametrize(
    "change",
    [{"amount": "162.49"}, {"metadata": {"a": "b"}}, {"customer": None}, {"merchant_reference": "another"}],
    ids=str,
)
async def test_another_body_under_the_key_is_refused(shared_stack: GatewayStack, change: dict[str, Any]) -> None:
    """A key stands for one request: the same key with any other body is 422 and has no effect."""
    body, key = psp_body(), new_key()
    first = await shared_stack.create(body, key=key)
    other = await shared_stack.create({**body, **change}, key=key)
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
    assert (await shared_stack.payment(first.json["id"]))["version"] == 2
    assert await count(shared_stack, "another") == 0


async def test_a_key_of_one_route_is_not_one_of_another(stack: GatewayStack) -> None:
    """The key of a create cannot be used for a capture: the route belongs to the request."""
    key = new_key()
    payment = (await stack.create(creditkey_body(), key=key)).json
    await stack.visit(await stack.approve(payment))
    other = await stack.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=key)
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
    assert (await stack.payment(payment["id"]))["state"] == "authorized"


async def test_a_key_of_one_payment_is_not_one_of_another(stack: GatewayStack) -> None:
    """Two captures with equal bodies and one key differ by the payment in their paths."""
    payments = [(await stack.create(creditkey_body())).json for _ in range(2)]
    for payment in payments:
        await stack.visit(await stack.approve(payment))
    key = new_key()
    first, second = [await stack.call("POST", f"/v1/payments/{one['id']}/capture", {}, key=key) for one in payments]
    assert (first.status, first.json["state"]) == (200, "captured")
    assert (second.status, second.json["code"]) == (422, "idempotency_key_reused")


async def test_twenty_captures_at_once_capture_once(stack: GatewayStack) -> None:
    """Simultaneous captures under one key confirm the order once at Credit Key."""
    payment = (await stack.create(creditkey_body())).json
    await stack.visit(await stack.approve(payment))
    key = new_key()
    captures = (stack.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=key) for _ in range(20))
    replies = await asyncio.gather(*captures)
    assert {reply.status for reply in replies} <= {200, 409}
    assert len({reply.text for reply in replies if reply.status == 200}) == 1
    confirmed = [one for one in await stack.provider_requests("creditkey") if "confirm_order" in one["path"]]
    assert len(confirmed) == 1


# Keys


@shared
async def test_a_key_may_stand_in_quotes(shared_stack: GatewayStack) -> None:
    """The structured-field form with quotes names the same key as the bare one."""
    body, key = psp_body(), new_key()
    first = await shared_stack.create(body, key=f'"{key}"')
    assert first.status == 201
    assert (await shared_stack.create(body, key=key)).text == first.text


@shared
@pytest.mark.parametrize("length", [8, 128])
async def test_the_shortest_and_longest_keys_are_taken(shared_stack: GatewayStack, length: int) -> None:
    """8 and 128 characters are keys."""
    key = (new_key() + "x" * 128)[-length:] if length == 128 else new_key()[-length:]
    assert (await shared_stack.create(psp_body(), key=key)).status == 201


@shared
async def test_a_missing_key_has_its_own_code(shared_stack: GatewayStack) -> None:
    """A create without a key is 400 ``idempotency_key_required`` and does nothing."""
    body = psp_body()
    reply = await shared_stack.call("POST", "/v1/payments", body)
    assert (reply.status, reply.json["code"]) == (400, "idempotency_key_required")
    assert await count(shared_stack, body["merchant_reference"]) == 0


@shared
@pytest.mark.parametrize(
    "key", ["", "short-7", "x" * 129, "has blank 12", "umläut-12345", '"half-quoted', 'half-quoted"', '""', "a.b.c.d.e"]
)
async def test_what_is_no_key_has_its_own_code(shared_stack: GatewayStack, key: str) -> None:
    """A key that is not 8 to 128 of the allowed characters is 400 ``invalid_idempotency_key``."""
    reply = await shared_stack.call("POST", "/v1/payments", psp_body(), headers={"Idempotency-Key": key})
    assert (reply.status, reply.json["code"]) == (400, "invalid_idempotency_key")


@shared
async def test_a_key_belongs_to_its_tenant(shared_stack: GatewayStack) -> None:
    """The same key and body from two tenants are two payments."""
    body, key = psp_body(), new_key()
    replies = [await shared_stack.create(body, tenant=tenant, key=key) for tenant in ("acme", "globex")]
    assert [reply.status for reply in replies] == [201, 201]
    assert replies[0].json["id"] != replies[1].json["id"]
    assert "Idempotency-Replayed" not in replies[1].headers


@shared
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": "1.234"}, "validation_failed"),
        ({"currency": "XXX"}, "currency_not_supported"),
        ({"account": "nowhere"}, "unknown_account"),
        ({"fields": {"custom_1": "lower case"}}, "validation_failed"),
    ],
    ids=str,
)
async def test_a_refused_request_leaves_its_key_free(
    shared_stack: GatewayStack, change: dict[str, Any], code: str
) -> None:
    """A request refused before anything was stored may be corrected and repeated under the same key."""
    body, key = psp_body(), new_key()
    refused = await shared_stack.create({**body, **change}, key=key)
    assert (refused.status, refused.json["code"]) == (422, code)
    assert (await shared_stack.create(body, key=key)).status == 201


# While the outcome is unknown


def impatient(settings: dict[str, Any]) -> None:
    """Nobody waits long: a repetition is told 202 at once."""
    settings["timeouts"] = {"tenant_answer": "1ms", "provider_total": "5s"}


async def test_an_unknown_outcome_is_202_until_it_is_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """202 while nobody knows, also on repetition; once the callback settled it, the answer that would have been."""
    monkeypatch.setattr(idempotency, "REPLAY_WAIT_SECONDS", 0.01)
    async with running_stack(tmp_path, change=impatient) as stack:
        await stack.faults("psp", silence="after_effect", times=1)
        body, key = psp_body(), new_key()
        first = await stack.create(body, key=key)
        await stack.gateway.tasks.drain(10)
        unknown = await stack.create(body, key=key)
        for reply in (first, unknown):
            assert (reply.status, reply.json["state"]) == (202, "created")
            assert "Idempotency-Replayed" not in reply.headers
        assert unknown.json["operation"]["status"] == unknown.json["pending_operation"]["status"] == "unknown"
        [order] = await stack.provider_orders("psp")
        await stack.call_provider("psp", "POST", f"/pay/{order['id']}/pay")
        settled = await stack.create(body, key=key)
        assert (settled.status, settled.headers["Idempotency-Replayed"]) == (201, "true")
        assert (settled.json["state"], settled.json["operation"]["status"]) == ("captured", "succeeded")
        assert settled.json["id"] == first.json["id"]
        assert (await stack.create(body, key=key)).text == settled.text
        assert len(await stack.provider_requests("psp")) == 1


async def test_a_repetition_of_a_lost_request_says_what_it_waits_for(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request ended without an outcome after milliseconds: it is not "still running"."""
    monkeypatch.setattr(idempotency, "REPLAY_WAIT_SECONDS", 0.01)
    await stack.faults("psp", silence="after_effect", times=1)
    body, key = psp_body(), new_key()
    assert (await stack.create(body, key=key)).status == 202
    again = await stack.create(body, key=key)
    assert (again.status, again.json["code"], again.headers["Retry-After"]) == (409, "request_in_progress", "1")
    assert "has no outcome yet" in again.json["detail"]
    assert "running" not in again.json["detail"]


async def test_an_unknown_payment_holds_its_reference(stack: GatewayStack) -> None:
    """While a create is unknown no other payment of its reference may begin: it might be a second one."""
    await stack.faults("psp", silence="after_effect", times=1)
    body = psp_body()
    first = await stack.create(body)
    assert first.status == 202
    second = await stack.create(body)
    assert (second.status, second.json["code"]) == (409, "duplicate_reference")
    assert second.json["payment_id"] == first.json["id"]
    assert len(await stack.provider_requests("psp")) == 1


async def test_a_restart_does_not_forget_a_key(tmp_path: Path) -> None:
    """The stored answer outlives the process."""
    body, key = psp_body(), new_key()
    async with running_stack(tmp_path) as stack:
        first = await stack.create(body, key=key)
    async with running_stack(tmp_path) as stack:
        again = await stack.create(body, key=key)
        assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")
        assert again.text == first.text
        assert await stack.provider_requests("psp") == []


# References


@shared
async def test_a_second_live_payment_of_a_reference_is_refused(shared_stack: GatewayStack) -> None:
    """A reference names one live payment: another key gets 409 with the payment that exists."""
    body = psp_body()
    first = await shared_stack.create(body)
    second = await shared_stack.create({**body, "amount": "1.00"})
    assert (second.status, second.json["code"]) == (409, "duplicate_reference")
    assert second.json["payment_id"] == first.json["id"]


@shared
async def test_fifty_creates_of_one_reference_make_one_payment(shared_stack: GatewayStack) -> None:
    """Fifty simultaneous creates under different keys make exactly one live payment; the others are told which."""
    body = psp_body()
    replies = await asyncio.gather(*(shared_stack.create(body) for _ in range(50)))
    assert Counter(reply.status for reply in replies) == {201: 1, 409: 49}
    [made] = [reply for reply in replies if reply.status == 201]
    refused = [reply.json for reply in replies if reply.status == 409]
    assert {(one["code"], one["payment_id"]) for one in refused} == {("duplicate_reference", made.json["id"])}
    assert await count(shared_stack, body["merchant_reference"]) == 1
    orders = [one for one in await shared_stack.provider_orders("psp") if one["order_no"] == made.json["id"]]
    assert len(orders) == 1


@shared
async def test_a_refused_duplicate_leaves_its_key_free(shared_stack: GatewayStack) -> None:
    """The key of a duplicate may be used again once the reference is free."""
    body, key = psp_body(), new_key()
    first = await shared_stack.create(body)
    assert (await shared_stack.create(body, key=key)).status == 409
    await shared_stack.click(first.json, "fail")
    assert (await shared_stack.create(body, key=key)).status == 201


@shared
async def test_a_failed_payment_frees_its_reference(shared_stack: GatewayStack) -> None:
    """After a payment failed, its reference may be paid by another."""
    body = psp_body()
    first = await shared_stack.create(body)
    await shared_stack.click(first.json, "fail")
    second = await shared_stack.create(body)
    assert second.status == 201
    assert second.json["id"] != first.json["id"]


@shared
async def test_a_declined_create_frees_its_reference(shared_stack: GatewayStack) -> None:
    """A create that the provider declined does not hold the reference."""
    await shared_stack.faults("psp", result=False, times=1)
    body = psp_body()
    assert (await shared_stack.create(body)).json["state"] == "failed"
    assert (await shared_stack.create(body)).json["state"] == "awaiting_customer"


@shared
async def test_a_captured_payment_holds_its_reference(shared_stack: GatewayStack) -> None:
    """What is paid is paid: the reference of a captured payment is not free."""
    body = psp_body()
    first = await shared_stack.create(body)
    await shared_stack.click(first.json, "pay")
    assert (await shared_stack.create(body)).json["code"] == "duplicate_reference"


@shared
async def test_a_reference_is_free_at_another_account(shared_stack: GatewayStack) -> None:
    """A reference is unique per tenant and account, not across the accounts of a tenant."""
    reference = new_key()[:30]
    replies: list[Reply] = [
        await shared_stack.create(psp_body(merchant_reference=reference)),
        await shared_stack.create(creditkey_body(merchant_reference=reference)),
    ]
    assert [reply.status for reply in replies] == [201, 201]


async def test_a_used_key_is_said_before_an_invalid_body(stack: GatewayStack) -> None:
    """The key's row comes first: another body under it is ``idempotency_key_reused``, valid or not."""
    key = new_key()
    assert (await stack.create(psp_body(), key=key)).status == 201
    assert (await stack.create(psp_body(amount="bad"), key=key)).json["code"] == "idempotency_key_reused"
