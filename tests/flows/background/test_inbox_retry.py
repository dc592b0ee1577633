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
from tests.support.clients.psp_callbacks import change_store, expire, new_payment, post, signed_body
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import BALK, RELENT, balked, deliver, inbox_stack, rows, state_of, verdicts
from tests.support.stack import GatewayStack, psp_body
from tests.support.virtual_clock import VirtualClock

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


class Slow(NamedTuple):
    """A stack whose inbox only the test works off."""

    stack: GatewayStack
    clock: VirtualClock

    async def retry(self, after: timedelta = SECOND) -> int:
        """Let so much time pass, then try what is due."""
        self.clock.set(self.clock.now() + after)
        return await inbox_retry.retry_due(self.stack.gateway)


@pytest.fixture
async def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Slow]:
    """A stack whose inbox nobody works off by itself."""
    monkeypatch.setattr(inbox_retry, "run", creditkey.idle)
    async with inbox_stack(tmp_path) as (stack, clock):
        yield Slow(stack, clock)


async def test_a_callback_whose_effect_fails_is_acknowledged_and_applied_by_itself(tmp_path: Path) -> None:
    """The store refuses the effect: 204, the payment stands still; a second later it has moved and the tenant knows."""
    async with inbox_stack(tmp_path) as (stack, clock):
        payment = await new_payment(stack)
        await balked(stack, payment)
        assert (await verdicts(stack), await state_of(stack, payment)) == (["pending"], "awaiting_customer")
        await clock.advance(1)
        told = await stack.webhook(payment["id"], "payment.captured")
        assert told["data"]["payment"]["state"] == "captured"
        assert await verdicts(stack) == ["recorded"]


async def test_a_pending_callback_is_applied_after_a_restart(tmp_path: Path) -> None:
    """The process ends before the effect could be had; the next one applies it."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await new_payment(stack)
        await change_store(stack, BALK)
        assert (await deliver(stack, payment)).status == 204
    async with inbox_stack(tmp_path) as (stack, clock):
        assert await verdicts(stack) == ["pending"]
        await change_store(stack, RELENT)
        await clock.advance(60)
        await stack.webhook(payment["id"], "payment.captured")
        assert await verdicts(stack) == ["recorded"]


async def test_a_mistake_of_ours_while_judging_keeps_the_callback(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised after the proof is not the sender's: it is answered 204 and tried again."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a mistake")

    payment = await new_payment(slow.stack)
    with monkeypatch.context() as patched:
        patched.setattr(apply, "evaluate", broken)
        assert (await deliver(slow.stack, payment)).status == 204
    assert await state_of(slow.stack, payment) == "awaiting_customer"
    assert await slow.retry() == 1
    assert (await verdicts(slow.stack), await state_of(slow.stack, payment)) == (["recorded"], "captured")


async def test_it_is_not_tried_before_its_moment(slow: Slow) -> None:
    """The first try comes a second later."""
    payment = await new_payment(slow.stack)
    await balked(slow.stack, payment)
    assert await slow.retry(timedelta(milliseconds=900)) == 0
    assert await slow.retry(timedelta(milliseconds=100)) == 1


async def test_two_pending_rows_of_one_event_have_one_effect(slow: Slow) -> None:
    """The sender repeats what it was acknowledged: the second row ends as repeated, the payment moves once."""
    payment = await new_payment(slow.stack)
    await balked(slow.stack, payment)
    await balked(slow.stack, payment)
    assert await slow.retry() == 2
    assert sorted(await verdicts(slow.stack)) == ["recorded", "repeated"]
    assert len(await slow.stack.events_of_type(payment["id"], "payment.captured")) == 1


async def test_an_event_applied_meanwhile_is_only_repeated(slow: Slow) -> None:
    """A repetition gets through before the retry: the pending row changes nothing more."""
    payment = await new_payment(slow.stack)
    await balked(slow.stack, payment)
    assert (await deliver(slow.stack, payment)).status == 204
    version = (await slow.stack.payment(payment["id"]))["version"]
    assert await slow.retry() == 1
    assert await verdicts(slow.stack) == ["repeated", "recorded"]
    assert (await slow.stack.payment(payment["id"]))["version"] == version


async def test_a_row_that_cannot_be_read_holds_nobody_back(slow: Slow) -> None:
    """One spoilt row waits for its next moment by the schedule; the one behind it is applied."""
    spoilt, fine = await new_payment(slow.stack), await new_payment(slow.stack)
    await balked(slow.stack, spoilt)
    await balked(slow.stack, fine, transaction_id="T-2")
    first = (await rows(slow.stack))[0]
    await slow.stack.gateway.store.commit("acme", [Statement("UPDATE inbox SET event = '{' WHERE id = ?", (first.id,))])
    assert await slow.retry() == 2
    row = (await rows(slow.stack))[0]
    assert (row.verdict, row.tries) == ("pending", 1)
    assert row.next_attempt_at is not None
    wait = row.next_attempt_at - slow.clock.now()
    assert timedelta(seconds=29) < wait <= timedelta(seconds=30)
    assert await state_of(slow.stack, fine) == "captured"


async def test_a_tenant_whose_store_fails_holds_back_no_other(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot even be postponed is tried again later; that of another tenant is applied now, however far behind."""
    monkeypatch.setattr(inbox_retry, "BATCH_SIZE", 1)
    stack = slow.stack
    await balked(stack, await new_payment(stack))
    payment = (await stack.create(psp_body(), tenant="globex")).json
    await change_store(stack, BALK)
    await post(stack, signed_body(stack, payment, tenant="globex"), tenant="globex")
    await change_store(stack, RELENT)
    balk = "CREATE TRIGGER balk BEFORE UPDATE ON inbox WHEN old.tenant = 'acme' BEGIN SELECT RAISE(ABORT, 'no'); END"
    await change_store(stack, balk)
    with pytest.raises(Unavailable):
        await slow.retry()
    assert [row.verdict for tenant in ("acme", "globex") for row in await rows(stack, tenant)] == [
        "pending",
        "recorded",
    ]
    await change_store(stack, RELENT)
    assert await slow.retry() == 1


async def test_a_refusal_found_late_is_kept_with_its_reason(slow: Slow) -> None:
    """What is judged later is judged like any other: a wrong amount is refused and the payment flagged."""
    payment = await new_payment(slow.stack)
    await balked(slow.stack, payment, amount=1.5)
    assert await slow.retry() == 1
    row = (await rows(slow.stack))[0]
    assert (row.verdict, row.reason) == ("refused", "amount")
    assert (await slow.stack.payment(payment["id"]))["review"]["reason"] == "amount"


async def test_it_is_judged_as_of_the_moment_it_came(slow: Slow) -> None:
    """Our own delay does not make a payment late: what came in time is applied even after grace, and dated now."""
    payment = await new_payment(slow.stack)
    await balked(slow.stack, payment)
    slow.clock.set(slow.clock.now() + SECOND)
    await expire(slow.stack, payment["id"])
    assert await slow.retry(30 * DAY) == 1
    after = await slow.stack.payment(payment["id"])
    assert (after["state"], after["review"]) == ("captured", None)
    events = await slow.stack.events(payment["id"])
    assert [event["type"] for event in events][-2:] == ["payment.expired", "payment.captured"]
    assert events[-1]["at"] == after["updated_at"] == rfc3339(slow.clock.now())


async def test_a_row_remembers_what_it_was(slow: Slow) -> None:
    """Who applied it, when and how stands in the row."""
    await balked(slow.stack, await new_payment(slow.stack))
    await slow.retry()
    (earlier,) = (await rows(slow.stack))[0].history
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

    gw = slow.stack.gateway
    monkeypatch.undo()
    monkeypatch.setattr(gw.store.inbox, "due", down)
    monkeypatch.setattr(gw.clock, "sleep", sleep)
    with pytest.raises(Enough):
        await inbox_retry.run(gw.current)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
