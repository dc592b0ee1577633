"""What typical mistakes are answered: status, code, the members that are named, and words that say what to do.

One table over all routes for tenants, against one gateway. A row that answers less than this sends somebody to us.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from gateway.core.problem_guides import example
from tests.support.factories.invalid_creates import CREATES, ITEM, Row
from tests.support.factories.invalid_requests import CHANGES, HEADERS, RAW, READS
from tests.support.scenarios.creditkey import authorized, awaiting, captured
from tests.support.stack import GatewayStack, Reply, creditkey_body, key_of, new_key, psp_body

MISSING = f"pay_{'0' * 32}"


ROWS = CREATES | HEADERS | CHANGES | READS

shared = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def payments(shared_stack: GatewayStack) -> AsyncIterator[dict[str, str]]:
    """Payments in the states that rows name."""
    begun = {"awaiting": awaiting, "authorized": authorized, "captured": captured}
    made = {name: (await begin(shared_stack))["id"] for name, begin in begun.items()}
    yield {**made, "psp": (await shared_stack.create(psp_body())).json["id"]}


async def sent(stack: GatewayStack, row: Row, path: str) -> Reply:
    """Send a row's request with all headers it should have, but for those that it changes."""
    right = {"Authorization": f"Bearer {key_of('acme')}", "Idempotency-Key": new_key()}
    headers = {name: text for name, text in {**right, **row.headers}.items() if text}
    return await stack.call(row.method, path, row.body, tenant=None, headers=headers)


def test_there_are_a_hundred() -> None:
    """The table is the promise."""
    assert len(ROWS) + len(RAW) >= 100


@shared
@pytest.mark.parametrize("name", ROWS)
async def test_a_mistake_is_answered_usefully(shared_stack: GatewayStack, payments: dict[str, str], name: str) -> None:
    """Status and code are right, exactly the wrong members are named, and the answer says what to do."""
    row = ROWS[name]
    reply = await sent(shared_stack, row, row.path.format(**payments))
    assert (reply.status, reply.json["code"]) == (row.status, row.code), reply.text
    errors = reply.json.get("errors", [])
    assert sorted(error["field"] for error in errors) == sorted(row.fields), errors
    assert bool(errors) == (reply.status == 422)
    said = " ".join([reply.json["detail"], *(error["message"] for error in errors)])
    assert [words for words in row.words if words not in said] == [], said
    assert re.findall(r"`|JsonNumber|NoneType|\bint\b|\bstr\b|\bdict\b", said) == []


AS_EXPLAINED = {
    "idempotency_key_required": "no idempotency key",
    "invalid_idempotency_key": "a short one",
    "unauthorized": "Basic",
    "not_found": "a payment of nobody",
    "method_not_allowed": "PUT",
    "invalid_state": "cancel after capture",
    "increase_over_limit": "update over the limit",
    "unsupported_media_type": "a form",
    "unsupported_by_provider": "cancel of a PSP payment",
    "unknown_account": "no account",
    "no_route": "neither",
    "amount_too_large": "refund of more",
    "currency_not_supported": "not the provider's",
    "deposit_method_not_found": "no method",
    "card_data_refused": "a card number",
}
"""Rows that are answered just as the example of their code says, ids aside."""


@shared
@pytest.mark.parametrize("code", AS_EXPLAINED)
async def test_the_example_of_a_code_is_what_is_answered(
    shared_stack: GatewayStack, payments: dict[str, str], code: str
) -> None:
    """Anyone who reads the page of an error finds there what was answered."""
    row = ROWS[AS_EXPLAINED[code]]
    answer, shown = (await sent(shared_stack, row, row.path.format(**payments))).json, example(code)
    assert (answer["detail"], answer.get("errors")) == (shown["detail"], shown.get("errors"))
    assert list(answer) == list(shown)


@shared
@pytest.mark.parametrize("name", RAW)
async def test_bytes_that_are_no_body(shared_stack: GatewayStack, name: str) -> None:
    """What cannot be read says where."""
    body, status, code, words = RAW[name]
    reply = await shared_stack.call("POST", "/v1/payments", data=body, key=new_key())
    assert (reply.status, reply.json["code"]) == (status, code)
    assert words in reply.json["detail"]


@shared
async def test_very_many_mistakes_are_counted(shared_stack: GatewayStack) -> None:
    """The answer names the first and says how many more there are; it does not grow with the body."""
    order = {"items": [{"price": 1} for _ in range(400)]}
    reply = await shared_stack.create(psp_body(order=order, **{f"m{number}": 1 for number in range(200)}))
    errors = reply.json["errors"]
    assert len(errors) == 51
    assert errors[-1] == {"field": "$", "message": "and 1200 more problems"}


@shared
@pytest.mark.parametrize(
    ("make", "ways"),
    [
        (psp_body, "go on with it or choose another merchant_reference"),
        (creditkey_body, "go on with it, cancel it or choose another merchant_reference"),
    ],
)
async def test_a_duplicate_names_the_payment_and_how_to_go_on(
    shared_stack: GatewayStack, make: Callable[[], dict[str, Any]], ways: str
) -> None:
    """The reference is taken: by which payment, and what now, which is no cancel where the provider has none."""
    body = make()
    first = (await shared_stack.create(body)).json["id"]
    reply = await shared_stack.create(body)
    assert (reply.status, reply.json["code"], reply.json["payment_id"]) == (409, "duplicate_reference", first)
    assert reply.json["detail"] == f"payment {first} has this merchant_reference and is still live: {ways}"


@shared
async def test_a_key_for_another_request_names_the_header(shared_stack: GatewayStack) -> None:
    """The member that is wrong is the key."""
    body, key = psp_body(), new_key()
    assert (await shared_stack.create(body, key=key)).status == 201
    reply = await shared_stack.create({**body, "amount": "1.00"}, key=key)
    assert (reply.status, reply.json["code"]) == (422, "idempotency_key_reused")
    [error] = reply.json["errors"]
    assert (error["field"], "use a new key" in error["message"]) == ("Idempotency-Key", True)


@shared
@pytest.mark.parametrize("blank", ["  ", "\t\n", "\u00a0", "\u200b", "\u3000"])
async def test_texts_of_blanks_are_not_given(shared_stack: GatewayStack, blank: str) -> None:
    """An optional one is left out: what the provider gets has no empty name."""
    body = psp_body(customer={"id": blank, "name": blank, "email": "dana@reyes.example", "phone": blank})
    reply = await shared_stack.create(body)
    assert reply.status == 201, reply.text
    [request] = [one for one in await shared_stack.provider_requests("psp") if reply.json["id"] in one["body"]]
    assert blank not in json.loads(request["body"]).values()


@shared
@pytest.mark.parametrize("literal", ["2", "2.0", "2e0", "20e-1", "0.2E+1"])
async def test_a_whole_quantity_may_be_written_in_any_way(shared_stack: GatewayStack, literal: str) -> None:
    """The published ``integer`` is any number without a fraction."""
    body = json.dumps(psp_body(order={"items": [{**ITEM, "quantity": "LITERAL"}]})).replace('"LITERAL"', literal)
    reply = await shared_stack.call("POST", "/v1/payments", data=body.encode(), key=new_key())
    assert reply.status == 201, reply.text
