"""Keys and secrets that a caller writes where they do not belong: refused or left out, never stored, never quoted."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.clients.psp_callbacks import credentials
from tests.support.scenarios.inbox import admin
from tests.support.stack import WEBHOOK_SECRET, GatewayStack, creditkey_body, new_key, psp_body, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPERATORS_KEY = "gw_admin_0123456789abcdef0123456789"
FOREIGN_KEY = "gw_k1_of-somebody-else-0123456789abcdef"
CARD = "4111111111111111"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A stack with an operators' key."""

    def change(settings: dict[str, Any]) -> None:
        settings["server"]["admin"]["key_sha256"] = hashlib.sha256(OPERATORS_KEY.encode()).hexdigest()

    async with running_stack(tmp_path_factory.mktemp("stack"), change=change) as opened:
        yield opened


def secrets(stack: GatewayStack) -> list[str]:
    """What must stand in no body: keys of anybody, and the tenant's own secrets."""
    return [FOREIGN_KEY, OPERATORS_KEY, WEBHOOK_SECRET, credentials(stack)[1]]


async def test_a_body_with_a_secret_is_refused_and_the_member_named(stack: GatewayStack) -> None:
    """Nothing is created and nothing quoted, and the idempotency key may be used again."""
    for secret in secrets(stack):
        key = new_key()
        reply = await stack.create(psp_body(metadata={"note": f"it is {secret}"}), key=key)
        assert (reply.status, reply.json["code"]) == (422, "validation_failed")
        assert [error["field"] for error in reply.json["errors"]] == ["$.metadata.note"]
        assert secret not in reply.text
        assert (await stack.create(psp_body(), key=key)).status == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"order": {"items": [{"name": "a"}, {"name": FOREIGN_KEY}]}}, "$.order.items[1].name"),
        ({"metadata": {FOREIGN_KEY: "x"}}, "$.metadata"),
        ({FOREIGN_KEY: 1}, "$"),
        ({"return_url": f"https://shop.example/{FOREIGN_KEY.replace('_', '%5F')}"}, "$.return_url"),
    ],
)
async def test_the_field_is_named_and_no_name_that_is_a_secret(
    stack: GatewayStack, body: dict[str, Any], field: str
) -> None:
    """Deep in lists, as the name of a member, and below the escapes of an address."""
    reply = await stack.create({**creditkey_body(), **body})
    assert (reply.status, [error["field"] for error in reply.json["errors"]]) == (422, [field])
    assert FOREIGN_KEY not in reply.text


@pytest.mark.parametrize(
    "data", [f'{{"a": "{FOREIGN_KEY}"', f'{{"{FOREIGN_KEY}": 1, "{FOREIGN_KEY}": 2}}', f'"{FOREIGN_KEY}"']
)
async def test_broken_json_does_not_quote_one_either(stack: GatewayStack, data: str) -> None:
    """What cannot be parsed is refused as a whole."""
    reply = await stack.call("POST", "/v1/payments", key=new_key(), data=data.encode())
    assert reply.status == 422
    assert FOREIGN_KEY not in reply.text


async def test_escapes_without_end_cost_no_time(stack: GatewayStack) -> None:
    """A body that is escaped thousands of times is looked through a few times only."""
    deep = "%" + "25" * 30_000
    reply = await stack.create(psp_body(metadata={"note": deep}))
    assert reply.status == 422  # too long for a note, and nothing worse


async def test_an_idempotency_key_is_no_secret(stack: GatewayStack) -> None:
    """It would be kept for days."""
    for secret in (FOREIGN_KEY, credentials(stack)[1]):
        reply = await stack.create(psp_body(), key=secret)
        assert (reply.status, reply.json["code"]) == (400, "invalid_idempotency_key")
        assert secret not in reply.text


@pytest.mark.parametrize("given", [FOREIGN_KEY, CARD, None])
async def test_a_request_id_is_no_secret(
    stack: GatewayStack, given: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Such an id is replaced by one of ours, in the answer and in the log."""
    sent = given or credentials(stack)[1]
    with caplog.at_level(logging.INFO, logger="gateway"):
        reply = await stack.call("GET", "/v1/payments", headers={"X-Request-Id": sent})
    assert reply.headers["X-Request-Id"].startswith("req_")
    assert sent not in json.dumps([vars(record) for record in caplog.records], default=str)


async def test_a_request_id_of_the_caller_stays(stack: GatewayStack) -> None:
    """Any other one is the caller's own."""
    for given in ("order-12345", "0192f0c4-a5b8-7c3d-9e1f-2a3b4c5d6e7f", "1234567890123456"):
        reply = await stack.call("GET", "/v1/payments", headers={"X-Request-Id": given})
        assert reply.headers["X-Request-Id"] == given


async def test_operators_bodies_are_looked_at_too(stack: GatewayStack) -> None:
    """A reason is read by tenants: it holds no secret of any of them."""
    for secret in (*secrets(stack), credentials(stack, "globex")[1]):
        reply = await admin(stack, "POST", "/admin/v1/reviews/pay_1/resolve", {"reason": secret}, key=OPERATORS_KEY)
        assert (reply.status, secret in reply.text) == (422, False)


@pytest.mark.parametrize("name", [FOREIGN_KEY, CARD])
async def test_an_unknown_query_parameter_is_not_quoted(stack: GatewayStack, name: str) -> None:
    """The names that are known are told, and a plain word is quoted; nothing else is."""
    reply = await admin(stack, "GET", f"/admin/v1/inbox?{name}=1", key=OPERATORS_KEY)
    assert (reply.status, name in reply.text) == (422, False)
    assert "tennant: is not known" in (await admin(stack, "GET", "/admin/v1/inbox?tennant=1", key=OPERATORS_KEY)).text


async def test_what_an_operator_names_in_a_path_is_logged_if_it_may_be(
    stack: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """The audit line tells the target, but no key and nothing personal that stands there by mistake."""
    target = f"pay_{'0' * 32}"
    with caplog.at_level(logging.INFO, logger="gateway"):
        for one in (target, FOREIGN_KEY, "dana@mail.example"):
            await admin(stack, "POST", f"/admin/v1/reviews/{one}/resolve", {"reason": "x"}, key=OPERATORS_KEY)
    assert [vars(record)["target"] for record in caplog.records if "target" in vars(record)] == [target, "", ""]


async def test_a_card_number_in_a_name_is_found_below_escapes(stack: GatewayStack) -> None:
    """Names are texts like any other."""
    reply = await stack.create(psp_body(metadata={"4111%201111%201111%201111": "x"}))
    assert (reply.status, reply.json["code"]) == (422, "card_data_refused")
