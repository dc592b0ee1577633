"""What a sender that goes on for ever, or an operator's typing mistake, cannot do to the inbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.flows.background import inbox_retry
from gateway.flows.callbacks.explain import explain
from gateway.flows.callbacks.inbox_rows import MAX_REPEATED
from gateway.flows.callbacks.size_limits import REFUSED
from tests import creditkey_story as story
from tests.house import House
from tests.inbox_kit import WRONG, admin, deliver, inbox_house, rows, verdicts
from tests.web.psp_sender import new_payment, post

INBOX = "/admin/v1/inbox"


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A house with an operators' key whose inbox nobody works off by itself."""
    monkeypatch.setattr(inbox_retry, "run", story.idle)
    async with inbox_house(tmp_path) as (opened, _):
        yield opened


async def test_a_sender_that_repeats_itself_does_not_fill_the_disk(house: House) -> None:
    """Of a payment only the newest repetitions are kept, and always what was recorded."""
    payment, other = await new_payment(house), await new_payment(house)
    await deliver(house, other, transaction_id="T-2")
    for _ in range(MAX_REPEATED + 6):
        assert (await deliver(house, payment)).status == 204
    await deliver(house, other, transaction_id="T-2")
    assert await verdicts(house) == ["recorded", "recorded", *["repeated"] * (MAX_REPEATED + 1)]


@pytest.mark.parametrize("query", ["cursor=%27%20OR%201%3D1--", "cursor=%00", "cursor=cb_1"])
async def test_a_cursor_that_is_none_of_ours_is_refused(house: House, query: str) -> None:
    """The list of callbacks says so, as every list does; it is not simply empty."""
    reply = await admin(house, "GET", f"{INBOX}?{query}")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, query.partition("=")[0])


async def test_an_explanation_says_that_a_body_was_not_kept(house: House) -> None:
    """Nobody is told that a sender sent nothing when the store has left it out."""
    big = b'{"x": "' + b"y" * REFUSED.body + b'"}'
    await post(house, big, headers={"crm-pay-token": WRONG})
    await post(house, b"{}", headers={"crm-pay-token": WRONG})
    told = [(await explain(house.gateway, row)).proof.notes for row in await rows(house)]
    assert ["the body was not kept" in notes for notes in told] == [True, False]
