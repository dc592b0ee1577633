"""What an operator enters is checked against the payment as it is when it is written, not as it was read."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.core.errors import TenantError
from gateway.core.facts import PaymentResolved
from gateway.core.payment import Payment
from gateway.flows.payments.resolve import resolve_payment
from tests.support.clients.psp_callbacks import call_back, new_payment, stored
from tests.support.stack import running_stack

CAPTURED = PaymentResolved(actor="k1", reason="seen in the portal", state="captured")
FAILED = PaymentResolved(actor="k2", reason="seen in the portal", state="failed")


async def test_of_two_operators_at_once_one_is_refused(tmp_path: Path) -> None:
    """Both looked at the same version: the second one must look again."""
    async with running_stack(tmp_path) as stack:
        payment = await new_payment(stack)
        acts = [
            resolve_payment(stack.gateway, payment["id"], decided, version=payment["version"])
            for decided in (CAPTURED, FAILED)
        ]
        done = await asyncio.gather(*acts, return_exceptions=True)
        [made] = [one for one in done if isinstance(one, Payment)]
        [refused] = [one for one in done if isinstance(one, TenantError)]
        assert (refused.code, refused.extra["version"]) == ("invalid_state", made.version)
        assert await stored(stack, payment["id"]) == await stored(stack, made.id)


async def test_a_callback_that_comes_at_the_same_time_counts_once(tmp_path: Path) -> None:
    """Whoever is first: the payment is captured once, and nobody is asked to look."""
    async with running_stack(tmp_path) as stack:
        for _ in range(5):
            payment = await new_payment(stack)
            act = resolve_payment(stack.gateway, payment["id"], CAPTURED)
            await asyncio.gather(act, call_back(stack, payment, transaction_id=f"T-{payment['id']}"))
            now = await stack.payment(payment["id"])
            types = [event["type"] for event in await stack.events(payment["id"])]
            assert (now["amount_captured"], now["review"]) == (payment["amount"], None)
            assert types.count("payment.captured") == 1
