"""What an endpoint may do to itself: ask to be left alone, fail for days, come back; and a store that is sick."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import TenantError, Unavailable
from gateway.core.signing import sha256_hex
from gateway.drivers.store import deliveries
from gateway.drivers.store.deliveries import DeliveryRow, Endpoint
from gateway.drivers.store.statements import Unit
from gateway.flows.occurrences import Occurrence
from gateway.flows.webhooks import redelivery
from tests.support.factories.deliveries import (
    DAY,
    LATE,
    SCHEDULE,
    a_clock,
    created,
    first_tried,
    look,
    rows_when,
    tries_of,
    until,
)
from tests.support.stack import GatewayStack, running_stack
from tests.support.virtual_clock import VirtualClock

NOTHING_KNOWN = Endpoint(failing_since=None, disabled_at=None, reason=None)


def all_are(status: str) -> Any:
    """Whether all webhooks of a payment are so."""
    return lambda rows: bool(rows) and all(row.status == status for row in rows)


async def state_of(stack: GatewayStack) -> Endpoint:
    """What is known of acme's endpoint."""
    return (await redelivery.endpoint_of(stack.gateway, "acme")).state


async def given_up(stack: GatewayStack) -> list[DeliveryRow]:
    """Let acme's endpoint answer 410 once; return the webhooks of the payment it was told of."""
    stack.webhook_answer = lambda _: 410
    payment = await created(stack)
    rows = await rows_when(stack, payment["id"], all_are("dead"))
    stack.webhook_answer = lambda _: 204
    return rows


# Gone


async def test_410_disables_at_once(stack: GatewayStack) -> None:
    """One 410, and what waits becomes dead letters without another try."""
    rows = await given_up(stack)
    assert [[one["status_code"] for one in row.attempts] for row in rows] == [[410], []]
    assert [(row.died_of, row.next_attempt_at) for row in rows] == [("disabled", None)] * 2
    state = await state_of(stack)
    assert (state.disabled_at is not None, state.reason) == (True, "gone")
    assert stack.gateway.occurrences.counts[Occurrence.ENDPOINT_DISABLED] == 1


async def test_a_disabled_endpoint_is_told_nothing_and_loses_nothing(stack: GatewayStack) -> None:
    """What happens while an endpoint is disabled is kept as dead letters, and another tenant hears as ever."""
    tried = len(await given_up(stack))
    payment = await created(stack)
    rows = await rows_when(stack, payment["id"], all_are("dead"))
    await look(stack)
    assert [(row.version, row.attempts) for row in rows] == [(1, []), (2, [])]
    assert len(stack.webhook_attempts) == tried - 1
    assert await redelivery.endpoint_of(stack.gateway, "globex")


async def test_disabled_outlives_the_process(tmp_path: Path) -> None:
    """After a restart a disabled endpoint is still left alone, and what a stop left waiting is a dead letter."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        await rows_when(stack, payment["id"], lambda rows: all(row.attempts for row in rows))
        webhook, now = stack.settings.tenants["acme"].webhook, datetime.now(UTC)
        assert webhook is not None
        key = sha256_hex(webhook.url)
        later = now + timedelta(hours=1)
        await stack.gateway.store.commit(
            "acme", [deliveries.disable_endpoint("acme", key, now, reason="gone", failing_before=later)]
        )

    def same_port(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["webhook"]["url"] = webhook.url

    async with running_stack(tmp_path, change=same_port, clock=VirtualClock(later)) as stack:
        rows = await rows_when(stack, payment["id"], all_are("dead"))
        assert [len(row.attempts) for row in rows] == [1, 1]
        assert stack.webhook_attempts == []


async def test_another_url_begins_anew(tmp_path: Path) -> None:
    """A tenant that moves its endpoint is told at the new one, though the old one was disabled."""
    async with running_stack(tmp_path) as stack:
        await given_up(stack)

    def move(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["webhook"]["url"] += "-moved"

    async with running_stack(tmp_path, change=move) as stack:
        assert await state_of(stack) == NOTHING_KNOWN
        await stack.webhook((await created(stack))["id"], "payment.awaiting_customer")
        stack.webhook_answer = lambda _: 500
        await first_tried(stack, (await created(stack))["id"])
        state = await state_of(stack)
        assert (state.failing_since is not None, state.disabled_at) == (True, None)


# Enabled again


async def test_enable_revives_the_endpoint(stack: GatewayStack) -> None:
    """From then on webhooks go out; the dead letters stay dead until they are asked for."""
    rows = await given_up(stack)
    assert await redelivery.enable(stack.gateway, "acme", redeliver=False) == 0
    await stack.webhook((await created(stack))["id"], "payment.awaiting_customer")
    assert await state_of(stack) == NOTHING_KNOWN
    assert [row.status for row in await rows_when(stack, str(rows[0].payment_id), bool)] == ["dead", "dead"]


async def test_enable_may_bring_back_what_was_missed(stack: GatewayStack) -> None:
    """With ``redeliver`` all that died of the disabling goes out, in order, under its ids, with its bytes."""
    rows = await given_up(stack)
    missed = await created(stack)
    tries = len(stack.webhook_attempts)
    assert await redelivery.enable(stack.gateway, "acme", redeliver=True) == 4
    for payment_id in (str(rows[0].payment_id), missed["id"]):
        again = await rows_when(stack, payment_id, all_are("delivered"))
        sent = [(headers["webhook-id"], body) for _, headers, body in stack.webhook_attempts[tries:]]
        assert [one for one in sent if one in [(row.event_id, row.body.encode()) for row in again]] == [
            (row.event_id, row.body.encode()) for row in again
        ]
    assert [one["status_code"] for one in (await stack.gateway.store.deliveries.find("acme", rows[0].id)).attempts] == [  # type: ignore[union-attr]
        410,
        204,
    ]


async def test_what_ran_out_of_tries_is_not_brought_back_by_enable(tmp_path: Path) -> None:
    """``redeliver`` of enable means what the disabling cost, not every dead letter there is."""

    def once(settings: dict[str, Any]) -> None:
        settings["clocks"]["webhook_retry"] = ["0s"]

    async with running_stack(tmp_path, change=once) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        rows = await rows_when(stack, payment["id"], all_are("dead"))
        assert {row.died_of for row in rows} == {"exhausted"}
        await given_up(stack)
        assert await redelivery.enable(stack.gateway, "acme", redeliver=True) == 2


async def test_a_disabled_endpoint_takes_no_orders(stack: GatewayStack) -> None:
    """Sending again, or a test, is refused while the endpoint is disabled: it would change nothing."""
    [row, _] = await given_up(stack)
    with pytest.raises(TenantError, match="enable it first"):
        await redelivery.redeliver_one(stack.gateway, "acme", row.id)
    with pytest.raises(TenantError, match="enable it first"):
        await redelivery.send_test(stack.gateway, "acme")


async def test_enabled_while_dead_letters_are_made(tmp_path: Path) -> None:
    """What was not yet a dead letter when the endpoint was enabled is delivered."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        await rows_when(stack, payment["id"], lambda rows: all(row.attempts for row in rows))
        stack.webhook_answer = lambda _: 204
        store, endpoint = stack.gateway.store, await redelivery.endpoint_of(stack.gateway, "acme")
        are_waiting, now = store.deliveries.has_pending, stack.gateway.clock.now()

        async def enabled_first(tenant: str) -> bool:
            await store.commit("acme", [deliveries.enable_endpoint(tenant, endpoint.key)])
            return await are_waiting(tenant)

        store.deliveries.has_pending = enabled_first  # type: ignore[method-assign]  # a person is quicker
        later = now + timedelta(days=1)
        await store.commit(
            "acme", [deliveries.disable_endpoint("acme", endpoint.key, now, reason="gone", failing_before=later)]
        )
        await until(stack, lambda: len(stack.webhook_attempts) == 2)
        clock = stack.gateway.clock
        assert isinstance(clock, VirtualClock)
        await clock.advance(LATE * SCHEDULE[1])
        await rows_when(stack, payment["id"], all_are("delivered"))


# Five days


async def test_five_days_of_failures_disable(tmp_path: Path) -> None:
    """Not before five days after the first failure, and then with the next one; what waits is dead."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        stack.webhook_answer = lambda _: 503
        first = await created(stack)
        await rows_when(stack, first["id"], lambda rows: all(row.attempts for row in rows))
        begun = await state_of(stack)
        clock.set(clock.now() + timedelta(days=5, seconds=-60))
        second = await created(stack)
        await rows_when(stack, second["id"], lambda rows: all(row.attempts for row in rows))
        assert (await state_of(stack)) == begun
        await clock.advance(120)
        await rows_when(stack, second["id"], all_are("dead"))
        state = await state_of(stack)
        assert (state.failing_since, state.reason) == (begun.failing_since, "failing")
        assert state.disabled_at is not None
        assert begun.failing_since is not None
        assert state.disabled_at - begun.failing_since >= 5 * DAY * 1000


async def test_a_success_counts_the_days_anew(tmp_path: Path) -> None:
    """An endpoint that took one webhook in between has not only failed."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        stack.webhook_answer = lambda _: 503
        await first_tried(stack, (await created(stack))["id"])
        began = (await state_of(stack)).failing_since
        clock.set(clock.now() + timedelta(days=4))
        stack.webhook_answer = lambda _: 204
        await rows_when(stack, (await created(stack))["id"], all_are("delivered"))
        assert await state_of(stack) == NOTHING_KNOWN
        clock.set(clock.now() + timedelta(days=4))
        stack.webhook_answer = lambda _: 503
        payment = await created(stack)
        await rows_when(stack, payment["id"], lambda rows: all(row.attempts for row in rows))
        state = await state_of(stack)
        assert state.disabled_at is None
        assert began is not None
        assert state.failing_since is not None
        assert state.failing_since - began >= 8 * DAY * 1000


# A sick store


class Sick:
    """A store that takes no writes of some kind while it is ``ill``; ``refused``: when each was tried."""

    def __init__(self, stack: GatewayStack, clock: VirtualClock, only: str = "") -> None:
        self.ill = True
        self.refused: list[float] = []
        self._commit, self._clock, self._only = stack.gateway.store.commit, clock, only
        stack.gateway.store.commit = self.commit  # type: ignore[method-assign]  # the real one, when it is well

    async def commit(self, tenant: str, unit: Unit) -> None:
        if self.ill and any(statement.sql.startswith(self._only) for statement in unit):
            self.refused.append(self._clock.now().timestamp())
            raise Unavailable("the store cannot be written: disk full")
        await self._commit(tenant, unit)


async def test_what_was_sent_is_not_sent_again_because_its_outcome_cannot_be_stored(tmp_path: Path) -> None:
    """The outcome is kept and stored when the store takes it: ever longer pauses, up to a minute, and one try."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        sick = Sick(stack, clock, only="UPDATE events SET status")
        payment = await created(stack)
        await until(stack, lambda: len(sick.refused) == 1)
        for number in range(2, 9):
            while len(sick.refused) < number:
                await clock.advance(1)
        pauses = [round(later - earlier) for earlier, later in zip(sick.refused, sick.refused[1:], strict=False)]
        assert pauses == [1, 2, 4, 8, 16, 32, 60]
        assert len(stack.webhook_attempts) == 1
        sick.ill = False
        await clock.advance(61)
        rows = await rows_when(stack, payment["id"], all_are("delivered"))
        assert [len(row.attempts) for row in rows] == [1, 1]
        assert len(stack.webhook_attempts) == 2


async def test_nothing_is_sent_that_could_not_be_kept(tmp_path: Path) -> None:
    """A retry that is due while the store takes no writes is not made; it is made when the store is well."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        rows = await rows_when(stack, payment["id"], lambda rows: all(row.attempts for row in rows))
        stack.webhook_answer = lambda _: 204
        sick = Sick(stack, clock)
        while len(sick.refused) < 5:
            await clock.advance(2 * SCHEDULE[1])
        assert [len(tries_of(stack, row.event_id)) for row in rows] == [1, 1]
        sick.ill = False
        await clock.advance(61)
        await rows_when(stack, payment["id"], all_are("delivered"))
