"""One try of a webhook: what the tenant reads of its failure, and which answers count as delivered."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from gateway.core.errors import NotSent
from tests.support.factories.deliveries import created, first_tried, rows_when
from tests.support.stack import GatewayStack


@pytest.mark.parametrize("word", ["address_not_allowed", "https_required", "connect_failed"])
async def test_a_tenant_does_not_learn_why_a_webhook_was_not_sent(stack: GatewayStack, word: str) -> None:
    """Whatever kept a webhook from leaving the gateway, its tenant reads ``connect_failed``."""

    async def refuse(*_: Any, **__: Any) -> Any:
        raise NotSent(word, connection=True)

    stack.gateway.deliver = refuse
    row = await first_tried(stack, (await created(stack))["id"])
    assert [one["error"] for one in row.attempts] == ["connect_failed"]


async def test_a_webhook_is_delivered_whatever_the_body_of_its_answer(stack: GatewayStack) -> None:
    """A 200 with more than anybody wants to read is a 200."""
    stack.webhook_answer = lambda _: web.Response(body=b"x" * 200_000)
    payment = await created(stack)
    found = await rows_when(stack, payment["id"], lambda rows: bool(rows) and bool(rows[0].attempts))
    assert (found[0].status, found[0].attempts[0]["status_code"]) == ("delivered", 200)
