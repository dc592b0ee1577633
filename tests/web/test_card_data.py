"""Card numbers in every body, and in what a body names, are refused before anything is kept."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import GatewayStack, psp_body, running_stack

ADMIN_KEY = "gw_admin_operators-key-of-this-test"
VISA = "4111111111111111"
"""A card number from the card brands' published test numbers."""
PAYMENT = "/v1/payments/pay_0198c2b47f3e7abc8def0123456789ab"


def with_operators(settings: dict[str, Any]) -> None:
    """Settings with an operators' key."""
    settings["server"]["admin"]["key_sha256"] = hashlib.sha256(ADMIN_KEY.encode()).hexdigest()


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A stack with an operators' listener."""
    async with running_stack(tmp_path, change=with_operators) as opened:
        yield opened


@pytest.mark.parametrize(
    ("method", "path", "body", "key"),
    [
        ("POST", "/capture", {"merchant_status": f"shipped {VISA}"}, "key-00000001"),
        ("POST", "/refunds", {"reason": "card 4111.1111.1111.1111"}, "key-00000001"),
        ("PATCH", "", {"merchant_status": VISA}, "key-00000001"),
        ("POST", "/capture", {}, VISA),
        ("POST", "/cancel", {}, VISA),
    ],
)
async def test_no_command_takes_a_card_number(stack: GatewayStack, method: str, path: str, body: Any, key: str) -> None:
    """Neither in a text nor as the idempotency key."""
    reply = await stack.call(method, PAYMENT + path, body, key=key)
    assert (reply.status, reply.json["code"]) == (422, "card_data_refused")
    assert "1111" not in reply.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("reviews/pay_1/resolve", {"reason": f"paid with {VISA}"}),
        ("operations/op_1/resolve", {"outcome": "succeeded", "reason": "4111 1111 1111 1111"}),
        ("operations/op_1/resolve", {"outcome": "succeeded", "reason": "seen", "actor": VISA}),
        ("inbox/cb_1/replay", {"actor": VISA}),
        ("inbox/cb_1/reverify", {"actor": VISA}),
    ],
)
async def test_no_operator_writes_one(stack: GatewayStack, path: str, body: Any) -> None:
    """Reasons and names are kept in the timeline for ever."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with stack.http.post(f"{stack.admin_url}/admin/v1/{path}", json=body, headers=headers) as answer:
        text = await answer.text()
        assert (answer.status, "card_data_refused" in text) == (422, True)
    assert "1111" not in text


async def test_a_card_number_as_a_name_is_refused(stack: GatewayStack) -> None:
    """A card number hidden in a name of ``metadata`` is refused, and not quoted."""
    reply = await stack.create(psp_body(metadata={"4111111111111111": "x"}))
    assert (reply.status, reply.json["code"]) == (422, "card_data_refused")
    assert "4111" not in reply.text


shared = pytest.mark.asyncio(loop_scope="module")


def item(**changes: Any) -> dict[str, Any]:
    return {"items": [{"merchant_id": "PJ-1", "name": "Pallet jack", "price": "1.00", "quantity": 1, **changes}]}


@shared
@pytest.mark.parametrize(
    "change",
    [
        {"customer": {"name": VISA}},
        {"customer": {"name": "Dana 4111 1111 1111 1111"}},
        {"customer": {"name": "5555-5555-5555-4444"}},
        {"fields": {"custom_1": VISA}},
        {"metadata": {"note": f"card {VISA}."}},
        {"metadata": {"note": "378282246310005"}},
        {"metadata": {"note": "4222222222222"}},
        {"order": item(name=f"Gift {VISA}")},
        {"metadata": {"note": "4111.1111/1111_1111"}},
        {"metadata": {"first": "41111111", "other": "x", "second": "11111111"}},
        {"customer": {"id": "4111 1111 1111 1111"}},
        {"customer": {"phone": "4111 1111 1111 1111"}},
        {"customer": {"email": f"{VISA}@shop.example"}},
        {"merchant_reference": "4111-1111-1111-1111"},
        {"return_url": f"https://shop.example/paid?card={VISA}"},
    ],
    ids=str,
)
async def test_card_numbers_are_refused(shared_stack: GatewayStack, change: dict[str, Any]) -> None:
    """A card number anywhere in a body is refused, and the answer does not repeat it."""
    reply = await shared_stack.create(psp_body(**change))
    assert (reply.status, reply.json["code"]) == (422, "card_data_refused")
    assert not any(number in reply.text for number in (VISA, "5555", "378282246310005", "4222222222222"))


@shared
@pytest.mark.parametrize(
    "change",
    [
        {"merchant_reference": VISA},
        {"customer": {"id": VISA}},
        {"customer": {"phone": VISA}},
        {"order": item(sku=VISA)},
        {"order": item(merchant_id=VISA)},
        {"metadata": {"note": "4111111111111112"}},
        {"metadata": {"note": "1234567812345670"}},
        {"metadata": {"note": "41111111111"}},
    ],
    ids=str,
)
async def test_numbers_that_are_no_card_numbers_pass(shared_stack: GatewayStack, change: dict[str, Any]) -> None:
    """Ids, references, SKUs and phones may be long numbers, and digits without the right sum are no card."""
    assert (await shared_stack.create(psp_body(**change))).status == 201


@shared
async def test_a_card_number_as_idempotency_key_is_refused(shared_stack: GatewayStack) -> None:
    """A key is stored like everything else."""
    reply = await shared_stack.create(psp_body(), key=VISA)
    assert (reply.status, reply.json["code"]) == (422, "card_data_refused")
    assert "Idempotency-Key" in reply.json["detail"]
    assert VISA not in reply.text


@shared
async def test_an_unknown_member_that_is_a_card_number_is_not_quoted(shared_stack: GatewayStack) -> None:
    """What is wrong is said without it."""
    reply = await shared_stack.create(psp_body(**{VISA: "x"}))
    assert reply.status == 422
    assert VISA not in reply.text
