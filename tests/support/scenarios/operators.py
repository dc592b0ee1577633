"""Operators' own webhooks in the stack's tests: settings that name one, and what has arrived there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import standardwebhooks

from tests.support.settings_file import with_operator
from tests.support.stack import GatewayStack

OPERATORS_SECRET = "whsec_b3BlcmF0b3JzLXNlY3JldC1vZi10aGUtdGVzdHMtMDE="


def with_operators_webhook(**more: Any) -> Callable[[dict[str, Any]], None]:
    """Settings with an operators' key and one webhook of theirs; ``more`` are members of it."""

    def change(settings: dict[str, Any]) -> None:
        with_operator(settings)
        hooks = settings["tenants"]["acme"]["webhook"]["url"].removesuffix("/acme")
        settings["operators"] = {"webhooks": [{"url": f"{hooks}/operators", "secrets": [OPERATORS_SECRET], **more}]}

    return change


def heard(stack: GatewayStack, at: str = "operators") -> list[Any]:
    """The verified bodies of what has arrived at an address of operators, in order."""
    verifier = standardwebhooks.Webhook(OPERATORS_SECRET)
    return [verifier.verify(body, dict(headers)) for name, headers, body in stack.webhook_attempts if name == at]


async def hear(stack: GatewayStack, kind: str, at: str = "operators") -> Any:
    """Wait until a webhook of this type has arrived for operators."""

    def found() -> Any:
        return next((body for body in heard(stack, at) if body["type"] == kind), None)

    async with stack.webhook_arrived, asyncio.timeout(10):
        await stack.webhook_arrived.wait_for(lambda: found() is not None)
    return found()
