"""Callbacks are answered in the provider's own words, also when the gateway cannot take them."""

from __future__ import annotations

import pytest

from gateway.core.wire import header_texts
from gateway.flows.callbacks import receive
from tests.support.clients.psp_callbacks import call_back, new_payment
from tests.support.stack import GatewayStack


async def test_a_callback_to_a_stopping_gateway_is_told_to_come_again(stack: GatewayStack) -> None:
    """While the gateway stops, API-2 hears 503 ``temporarily_unavailable`` and nothing is applied."""
    payment = await new_payment(stack)
    stack.gateway.current.is_stopping = True
    reply = await call_back(stack, payment)
    stack.gateway.current.is_stopping = False
    assert (reply.status, reply.json["type"]) == (503, "temporarily_unavailable")
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"


async def test_a_fault_of_ours_is_never_a_success(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault while a callback is judged ends in 503 in the protocol's form, so the sender tries again."""
    payment = await new_payment(stack)

    async def broken(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(receive, "accept", broken)
    reply = await call_back(stack, payment)
    assert (reply.status, reply.json["type"]) == (503, "temporarily_unavailable")


def test_headers_that_are_not_utf8_are_read_byte_by_byte() -> None:
    """Such a header is one character per byte, and the others are what they are."""
    assert header_texts([(b"X-A", b"\xc3\xa9"), (b"X-B", b"\xe9")]) == (("X-A", "\xe9"), ("X-B", "\xe9"))
