"""Card numbers in every body but that of a create (``test_create_body.py``) are refused before anything is kept."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import GatewayStack, running_stack

ADMIN_KEY = "gw_admin_operators-key-of-this-test"
VISA = "4111111111111111"
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
