"""Stored callbacks judged again by an operator: ``replay`` and ``reverify`` go the usual way and no other."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.errors import Reason, TenantError, Unavailable
from gateway.core.facts import Recorded, Refused, Repeated
from gateway.core.wire import Callback
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows.background import inbox_retry, retention
from gateway.flows.callbacks import receive, reprocess
from gateway.flows.callbacks.reprocess import Order, Reprocessed
from tests.support.clients.psp_callbacks import credentials, new_payment, post, signed_body
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import RIGHT, WRONG, api2, balked, deliver, inbox_stack, rows, state_of, verdicts
from tests.support.stack import GatewayStack, running_stack

REPLAY, REVERIFY = Order(by="dana", how="replay"), Order(by="dana", how="reverify")
DRY_REPLAY, DRY_REVERIFY = Order(by="dana", how="replay", dry_run=True), Order(by="dana", how="reverify", dry_run=True)
FAR_OFF = int(timedelta(days=3).total_seconds() * 1000)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works off the inbox by itself."""
    monkeypatch.setattr(inbox_retry, "run", creditkey.idle)


async def last(stack: GatewayStack, tenant: str = "acme") -> StoredCallback:
    return (await rows(stack, tenant))[-1]


async def replayed(stack: GatewayStack, order: Order = REPLAY) -> Reprocessed:
    return await reprocess.replay(stack.gateway, (await last(stack)).id, order)


async def reverified(stack: GatewayStack, order: Order = REVERIFY) -> Reprocessed:
    return await reprocess.reverify(stack.gateway, (await last(stack)).id, order)


async def too_early(stack: GatewayStack) -> Any:
    """A payment whose callback was refused because its time lies outside the window."""
    payment = await new_payment(stack)
    told = int(stack.gateway.clock.now().timestamp() * 1000) - FAR_OFF
    assert (await deliver(stack, payment, time=told)).status == 400
    assert [row.reason for row in await rows(stack)] == ["time"]
    return payment


# Replay


async def test_a_recorded_callback_is_only_repeated(tmp_path: Path) -> None:
    """What was applied stays applied once: row and payment are as before."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await new_payment(stack)
        await deliver(stack, payment)
        before = await rows(stack), await stack.payment(payment["id"])
        made = await replayed(stack)
        assert isinstance(made.evaluation.verdict, Repeated)
        assert not made.changed
        assert (await rows(stack), await stack.payment(payment["id"])) == before


async def test_a_pending_callback_can_be_applied_by_hand(tmp_path: Path) -> None:
    """An operator need not wait for the next try; the row tells who it was."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await new_payment(stack)
        await balked(stack, payment)
        made = await replayed(stack)
        assert (type(made.evaluation.verdict), made.changed) == (Recorded, True)
        row = await last(stack)
        assert (row.verdict, row.history[0].by, row.history[0].how) == ("recorded", "dana", "replay")
        assert await state_of(stack, payment) == "captured"


async def test_a_refused_event_is_judged_under_today_s_settings(tmp_path: Path) -> None:
    """A window that was too narrow is widened: the same event is recorded, and the first refusal is remembered."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await too_early(stack)
        assert isinstance((await replayed(stack)).evaluation.verdict, Refused)
    async with inbox_stack(tmp_path, time_window="30d") as (stack, _):
        made = await replayed(stack)
        assert (type(made.evaluation.verdict), made.changed) == (Recorded, True)
        row = await last(stack)
        assert [(one.verdict, one.reason) for one in row.history] == [("refused", "time")] * 2
        assert (row.verdict, row.reason, row.payment_id) == ("recorded", None, payment["id"])
        assert await state_of(stack, payment) == "captured"


async def test_a_dry_run_tells_and_changes_nothing(tmp_path: Path) -> None:
    """It says recorded and the state to come, and row and payment are as before."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await too_early(stack)
    async with inbox_stack(tmp_path, time_window="30d") as (stack, _):
        before = await rows(stack), await stack.payment(payment["id"])
        made = await replayed(stack, DRY_REPLAY)
        assert (type(made.evaluation.verdict), made.changed) == (Recorded, True)
        assert made.evaluation.payment is not None
        assert made.evaluation.payment_after is not None
        assert (made.evaluation.payment.state, made.evaluation.payment_after.state) == ("awaiting_customer", "captured")
        assert (await rows(stack), await stack.payment(payment["id"])) == before


async def test_what_was_never_proved_has_nothing_to_replay(tmp_path: Path) -> None:
    """A callback with a wrong token holds no event."""
    async with inbox_stack(tmp_path) as (stack, _):
        await deliver(stack, await new_payment(stack), WRONG)
        with pytest.raises(TenantError, match="no event") as caught:
            await replayed(stack)
        assert caught.value.code == "invalid_state"


async def test_copies_of_a_replay_have_one_effect(tmp_path: Path) -> None:
    """Ten at once: one records, the others find it recorded."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await new_payment(stack)
        await balked(stack, payment)
        made = await asyncio.gather(*(replayed(stack) for _ in range(10)))
        assert sorted(type(one.evaluation.verdict).__name__ for one in made) == ["Recorded"] + ["Repeated"] * 9
        assert len(await stack.events_of_type(payment["id"], "payment.captured")) == 1


async def test_a_replay_never_leaves_its_tenant(tmp_path: Path) -> None:
    """A callback that globex proved names acme's payment: it is not found, then and on every replay."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await new_payment(stack)
        assert (await post(stack, signed_body(stack, payment, tenant="globex"), tenant="globex")).status == 400
        row = await last(stack, "globex")
        made = await reprocess.replay(stack.gateway, row.id, REPLAY)
        assert made.evaluation.verdict == Refused(reason=Reason.NOT_FOUND)
        assert made.evaluation.payment is None
        assert await state_of(stack, payment) == "awaiting_customer"


async def test_an_account_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its callbacks are still shown, and cannot be judged."""
    async with inbox_stack(tmp_path) as (stack, _):
        await too_early(stack)
        row = await last(stack)
        without = replace(stack.settings.tenants["acme"], accounts={})
        monkeypatch.setattr(stack.gateway, "settings", replace(stack.settings, tenants={"acme": without}))
        with pytest.raises(TenantError) as caught:
            await reprocess.replay(stack.gateway, row.id, REPLAY)
        assert caught.value.code == "unknown_account"


# Reverify


async def mistyped(folder: Path) -> Any:
    """A payment of an account whose token was mistyped: the sender's callback is refused."""
    async with inbox_stack(folder, WRONG) as (stack, _):
        payment = await new_payment(stack)
        assert (await deliver(stack, payment, RIGHT)).status == 400
        assert await verdicts(stack) == ["refused"]
        return payment


async def test_a_wrong_token_is_put_right_and_the_callback_applied(tmp_path: Path) -> None:
    """Fixed settings, the same store: dry run first, then the refused callback is proved and applied."""
    payment = await mistyped(tmp_path)
    async with inbox_stack(tmp_path, RIGHT) as (stack, _):
        dry = await reverified(stack, DRY_REVERIFY)
        assert (type(dry.evaluation.verdict), dry.changed) == (Recorded, True)
        assert (await verdicts(stack), await state_of(stack, payment)) == (["refused"], "awaiting_customer")
        made = await reverified(stack)
        assert (type(made.evaluation.verdict), made.changed) == (Recorded, True)
        assert (await verdicts(stack), await state_of(stack, payment)) == (["recorded"], "captured")
        (earlier,) = (await last(stack)).history
        assert (earlier.verdict, earlier.reason, earlier.by, earlier.how) == (
            "refused",
            "unauthentic",
            "dana",
            "reverify",
        )


async def test_a_token_that_is_not_the_account_s_is_never_believed(tmp_path: Path) -> None:
    """While the settings hold another token the callback stays refused, whatever its sign."""
    payment = await mistyped(tmp_path)
    async with inbox_stack(tmp_path, WRONG) as (stack, _):
        before = await rows(stack)
        made = await reverified(stack)
        assert (made.evaluation.verdict, made.evaluation.detail) == (
            Refused(reason=Reason.UNAUTHENTIC),
            reprocess.UNKNOWN_SENDER,
        )
        assert not made.changed
        assert (await rows(stack), await state_of(stack, payment)) == (before, "awaiting_customer")


async def test_a_right_sign_under_a_foreign_token_is_not_applied(tmp_path: Path) -> None:
    """The body is signed with the account's token, the header held another: both must be right."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await new_payment(stack)
        await post(stack, api2(stack, payment), headers={"crm-pay-token": "another"})
        assert isinstance((await reverified(stack)).evaluation.verdict, Refused)
        assert await state_of(stack, payment) == "awaiting_customer"


async def test_the_stored_hash_is_no_token(tmp_path: Path) -> None:
    """Sending the text that the store would hold proves nothing."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await new_payment(stack)
        await deliver(stack, payment)
        hashed = dict((await last(stack)).headers)["crm-pay-token"]
        await post(stack, api2(stack, payment, transaction_id="T-9"), headers={"crm-pay-token": hashed})
        assert isinstance((await reverified(stack)).evaluation.verdict, Refused)


async def test_the_previous_token_is_known_while_it_is_accepted(tmp_path: Path) -> None:
    """A sender that still has the generation before is believed once that is accepted."""

    def generation(number: int, *, previous: bool) -> Any:
        def change(settings: dict[str, Any]) -> None:
            account = settings["tenants"]["acme"]["accounts"]["psp-main"]
            account |= {"generation": number, "accept_previous": previous, "callback_id": "a" * 22}
            account["config"]["merchant_id"] = "M-1"

        return change

    async with running_stack(tmp_path, change=generation(1, previous=False)) as stack:
        payment, token = await new_payment(stack), credentials(stack)[1]
    async with running_stack(tmp_path, change=generation(2, previous=False)) as stack:
        assert (await deliver(stack, payment, token)).status == 400
        assert isinstance((await reverified(stack)).evaluation.verdict, Refused)
    async with running_stack(tmp_path, change=generation(2, previous=True)) as stack:
        assert isinstance((await reverified(stack)).evaluation.verdict, Recorded)
        assert await state_of(stack, payment) == "captured"


async def test_only_a_refused_callback_is_verified_anew(tmp_path: Path) -> None:
    """A recorded one has been believed."""
    async with inbox_stack(tmp_path) as (stack, _):
        await deliver(stack, await new_payment(stack))
        with pytest.raises(TenantError, match="only a refused callback"):
            await reverified(stack)


async def test_a_body_that_was_not_kept_cannot_be_verified(tmp_path: Path) -> None:
    """A refused callback of many kilobytes keeps its size alone, and says so."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await new_payment(stack)
        await deliver(stack, payment, WRONG, note="x" * 9000)
        row = await last(stack)
        assert (row.body, row.size > 9000) == (b"", True)
        with pytest.raises(TenantError, match="the body is not kept"):
            await reverified(stack)


async def test_a_hint_is_nothing_to_be_proved(tmp_path: Path) -> None:
    """What a provider does not prove is never applied from the inbox."""
    async with inbox_stack(tmp_path) as (stack, _):
        endpoint = stack.entry("acme", "creditkey-main").endpoint_id
        await stack.call("GET", f"/callbacks/{endpoint}/whatever", tenant=None)
        assert isinstance((await reverified(stack)).evaluation.verdict, Refused)
        assert await verdicts(stack) == ["refused"]


async def test_a_store_that_takes_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator learns that nothing was done."""

    async def down(*_: Any) -> None:
        raise Unavailable("down")

    async with inbox_stack(tmp_path) as (stack, _):
        await balked(stack, await new_payment(stack))
        monkeypatch.setattr(stack.gateway.store, "commit", down)
        with pytest.raises(Unavailable):
            await replayed(stack)
        monkeypatch.undo()
        assert await verdicts(stack) == ["pending"]


# What nobody proved is bounded


async def test_hints_keep_no_body_and_only_the_newest(tmp_path: Path) -> None:
    """A customer's own token brings any number of them: twenty are kept, and nothing of their bodies."""
    async with inbox_stack(tmp_path) as (stack, _):
        payment = await creditkey.awaiting(stack)
        hint = Callback(
            method="POST",
            suffix="complete",
            query="",
            headers=(),
            body=b"x" * 1000,
            remote="127.0.0.1",
            received_at=stack.gateway.clock.now(),
            payment_id=payment["id"],
        )
        for _ in range(25):
            new = receive.verify(stack.gateway, stack.entry("acme", "creditkey-main"), hint)
            assert await receive.accept(stack.gateway, new) == Recorded()
        found = [row for row in await rows(stack) if row.verdict == "recorded"]
        assert len(found) == 20
        assert {(row.body, row.size) for row in found} == {(b"", 1000)}


async def test_refused_callbacks_are_forgotten_after_a_week(tmp_path: Path) -> None:
    """In small steps, the oldest first; what was recorded stays."""
    async with inbox_stack(tmp_path) as (stack, clock):
        payment = await new_payment(stack)
        await deliver(stack, payment, WRONG)
        await deliver(stack, payment)
        clock.set(clock.now() + timedelta(days=6, hours=23))
        await retention.delete_refused(stack.gateway)
        assert await verdicts(stack) == ["refused", "recorded"]
        clock.set(clock.now() + timedelta(hours=2))
        async with asyncio.timeout(10):
            forgetting = asyncio.create_task(retention.delete_refused(stack.gateway))
            while not forgetting.done():
                await clock.advance(1)
        assert await verdicts(stack) == ["recorded"]
