"""What a sender that goes on for ever, or an operator's typing mistake, cannot do to the inbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.flows.background import inbox_retry
from gateway.flows.callbacks.explain import explain
from gateway.flows.callbacks.inbox_rows import MAX_REPEATED, REFUSED
from tests.support.clients.psp_callbacks import new_payment, post
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import WRONG, admin, deliver, inbox_stack, rows, verdicts
from tests.support.stack import GatewayStack

INBOX = "/admin/v1/inbox"


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayStack]:
    """A stack with an operators' key whose inbox nobody works off by itself."""
    monkeypatch.setattr(inbox_retry, "run", creditkey.idle)
    async with inbox_stack(tmp_path) as (opened, _):
        yield opened


async def test_a_sender_that_repeats_itself_does_not_fill_the_disk(stack: GatewayStack) -> None:
    """Of a payment only the newest repetitions are kept, and always what was recorded."""
    payment, other = await new_payment(stack), await new_payment(stack)
    await deliver(stack, other, transaction_id="T-2")
    for _ in range(MAX_REPEATED + 6):
        assert (await deliver(stack, payment)).status == 204
    await deliver(stack, other, transaction_id="T-2")
    assert await verdicts(stack) == ["recorded", "recorded", *["repeated"] * (MAX_REPEATED + 1)]


@pytest.mark.parametrize("query", ["cursor=%27%20OR%201%3D1--", "cursor=%00", "cursor=cb_1"])
async def test_a_cursor_that_is_none_of_ours_is_refused(stack: GatewayStack, query: str) -> None:
    """The list of callbacks says so, as every list does; it is not simply empty."""
    reply = await admin(stack, "GET", f"{INBOX}?{query}")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, query.partition("=")[0])


async def test_an_explanation_says_that_a_body_was_not_kept(stack: GatewayStack) -> None:
    """Nobody is told that a sender sent nothing when the store has left it out."""
    big = b'{"x": "' + b"y" * REFUSED.body + b'"}'
    await post(stack, big, headers={"crm-pay-token": WRONG})
    await post(stack, b"{}", headers={"crm-pay-token": WRONG})
    told = [(await explain(stack.gateway, row)).proof.notes for row in await rows(stack)]
    assert ["the body was not kept" in notes for notes in told] == [True, False]
