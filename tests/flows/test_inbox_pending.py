"""Proved callbacks whose effect fails for a reason of ours: acknowledged, kept, and applied without anyone acting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.core.errors import Unavailable
from gateway.core.views import rfc3339
from gateway.drivers.store.statements import Statement
from gateway.flows.background import inbox_retry
from gateway.flows.callbacks import apply
from tests import creditkey_story as story
from tests.clocks import VirtualClock
from tests.house import House
from tests.inbox_kit import BALK, RELENT, balked, deliver, inbox_house, rows, state_of, verdicts
from tests.web.psp_sender import change_store, expire, new_payment

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


class Slow(NamedTuple):
    """A house whose inbox only the test works off."""

    house: House
    clock: VirtualClock

    async def retry(self, after: timedelta = SECOND) -> int:
        """Let so much time pass, then try what is due."""
        self.clock.set(self.clock.now() + after)
        return await inbox_retry.retry_due(self.house.gateway)


@pytest.fixture
async def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Slow]:
    """A house whose inbox nobody works off by itself."""
    monkeypatch.setattr(inbox_retry, "run", story.idle)
    async with inbox_house(tmp_path) as (house, clock):
        yield Slow(house, clock)


async def test_a_callback_whose_effect_fails_is_acknowledged_and_applied_by_itself(tmp_path: Path) -> None:
    """The store refuses the effect: 204, the payment stands still; a second later it has moved and the tenant knows."""
    async with inbox_house(tmp_path) as (house, clock):
        payment = await new_payment(house)
        await balked(house, payment)
        assert (await verdicts(house), await state_of(house, payment)) == (["pending"], "awaiting_customer")
        await clock.advance(1)
        told = await house.webhook(payment["id"], "payment.captured")
        assert told["data"]["payment"]["state"] == "captured"
        assert await verdicts(house) == ["recorded"]


async def test_a_pending_callback_is_applied_after_a_restart(tmp_path: Path) -> None:
    """The process ends before the effect could be had; the next one applies it."""
    async with inbox_house(tmp_path) as (house, _):
        payment = await new_payment(house)
        await change_store(house, BALK)
        assert (await deliver(house, payment)).status == 204
    async with inbox_house(tmp_path) as (house, clock):
        assert await verdicts(house) == ["pending"]
        await change_store(house, RELENT)
        await clock.advance(60)
        await house.webhook(payment["id"], "payment.captured")
        assert await verdicts(house) == ["recorded"]


async def test_a_mistake_of_ours_while_judging_keeps_the_callback(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised after the proof is not the sender's: it is answered 204 and tried again."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a mistake")

    payment = await new_payment(slow.house)
    with monkeypatch.context() as patched:
        patched.setattr(apply, "judge", broken)
        assert (await deliver(slow.house, payment)).status == 204
    assert await state_of(slow.house, payment) == "awaiting_customer"
    assert await slow.retry() == 1
    assert (await verdicts(slow.house), await state_of(slow.house, payment)) == (["recorded"], "captured")


async def test_it_is_not_tried_before_its_moment(slow: Slow) -> None:
    """The first try comes a second later."""
    payment = await new_payment(slow.house)
    await balked(slow.house, payment)
    assert await slow.retry(timedelta(milliseconds=900)) == 0
    assert await slow.retry(timedelta(milliseconds=100)) == 1


async def test_two_pending_rows_of_one_event_have_one_effect(slow: Slow) -> None:
    """The sender repeats what it was acknowledged: the second row ends as repeated, the payment moves once."""
    payment = await new_payment(slow.house)
    await balked(slow.house, payment)
    await balked(slow.house, payment)
    assert await slow.retry() == 2
    assert sorted(await verdicts(slow.house)) == ["recorded", "repeated"]
    assert len(await slow.house.events_of_type(payment["id"], "payment.captured")) == 1


async def test_an_event_applied_meanwhile_is_only_repeated(slow: Slow) -> None:
    """A repetition gets through before the retry: the pending row changes nothing more."""
    payment = await new_payment(slow.house)
    await balked(slow.house, payment)
    assert (await deliver(slow.house, payment)).status == 204
    version = (await slow.house.payment(payment["id"]))["version"]
    assert await slow.retry() == 1
    assert await verdicts(slow.house) == ["repeated", "recorded"]
    assert (await slow.house.payment(payment["id"]))["version"] == version


async def test_a_row_that_cannot_be_read_holds_nobody_back(slow: Slow) -> None:
    """One spoilt row waits for its next moment by the schedule; the one behind it is applied."""
    spoilt, fine = await new_payment(slow.house), await new_payment(slow.house)
    await balked(slow.house, spoilt)
    await balked(slow.house, fine, transaction_id="T-2")
    first = (await rows(slow.house))[0]
    await slow.house.gateway.store.commit([Statement("UPDATE inbox SET event = '{' WHERE id = ?", (first.id,))])
    assert await slow.retry() == 2
    row = (await rows(slow.house))[0]
    assert (row.verdict, row.tries) == ("pending", 1)
    assert row.next_attempt_at is not None
    wait = row.next_attempt_at - slow.clock.now()
    assert timedelta(seconds=29) < wait <= timedelta(seconds=30)
    assert await state_of(slow.house, fine) == "captured"


async def test_a_refusal_found_late_is_kept_with_its_reason(slow: Slow) -> None:
    """What is judged later is judged like any other: a wrong amount is refused and the payment flagged."""
    payment = await new_payment(slow.house)
    await balked(slow.house, payment, amount=1.5)
    assert await slow.retry() == 1
    row = (await rows(slow.house))[0]
    assert (row.verdict, row.reason) == ("refused", "amount")
    assert (await slow.house.payment(payment["id"]))["review"]["reason"] == "amount"


async def test_it_is_judged_as_of_the_moment_it_came(slow: Slow) -> None:
    """Our own delay does not make a payment late: what came in time is applied even after grace, and dated now."""
    payment = await new_payment(slow.house)
    await balked(slow.house, payment)
    slow.clock.set(slow.clock.now() + SECOND)
    await expire(slow.house, payment["id"])
    assert await slow.retry(30 * DAY) == 1
    after = await slow.house.payment(payment["id"])
    assert (after["state"], after["review"]) == ("captured", None)
    events = await slow.house.events(payment["id"])
    assert [event["type"] for event in events][-2:] == ["payment.expired", "payment.captured"]
    assert events[-1]["at"] == after["updated_at"] == rfc3339(slow.clock.now())


async def test_a_row_remembers_what_it_was(slow: Slow) -> None:
    """Who applied it, when and how stands in the row."""
    await balked(slow.house, await new_payment(slow.house))
    await slow.retry()
    (earlier,) = (await rows(slow.house))[0].history
    assert (earlier.verdict, earlier.by, earlier.how) == ("pending", "gateway", "retry")


async def test_a_store_that_is_down_is_asked_less_and_less_often(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker outlives the failures and its pauses grow to a minute."""
    pauses: list[float] = []

    class Enough(Exception):
        """The test has seen enough."""

    async def down(*_: Any) -> Any:
        raise Unavailable("down")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            raise Enough

    gw = slow.house.gateway
    monkeypatch.undo()
    monkeypatch.setattr(gw.store.inbox, "due", down)
    monkeypatch.setattr(gw.clock, "sleep", sleep)
    with pytest.raises(Enough):
        await inbox_retry.run(gw)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
