"""Check payments on a schedule: resolve unknown outcomes by asking, poll, process hints, expire, warn, cancel replaced.

The schedule has one time per payment; what is to be done then is decided by looking at the payment. Time alone never
turns an unknown outcome into a failure.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gateway.core.change import Change
from gateway.core.errors import Conflict, ProviderError, TenantError, Unavailable
from gateway.core.facts import Cause, Unknown
from gateway.core.payment import Payment, Status
from gateway.core.schedule import can_poll, due_fact, is_silent, next_check_at
from gateway.core.states import PAST_GRACE, apply, row_of
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import schedule
from gateway.drivers.store.reads import ScheduledCheck
from gateway.flows.background.replaced_payments import cancel_if_replaced, is_to_be_canceled
from gateway.flows.commit import commit_change
from gateway.flows.payments import lookup, submit
from gateway.flows.runtime import Gateway, log

MAX_CONCURRENT_CHECKS = 16
"""Payments of one tenant that are checked side by side: a slow provider delays nobody else."""

MAX_IDLE = timedelta(minutes=1)
"""The schedule is read again after this time, even if nothing is due."""

STORE_RETRY_SECONDS = 1.0
"""Pause after the store, or a check, has failed."""


async def run(gw: Gateway) -> None:
    """Check what is due until cancelled. Nobody waits for another payment's provider."""
    while True:
        now = gw.clock.now()
        gw.check_timer.reset(milliseconds(now + MAX_IDLE))
        try:
            for task in await start_due(gw):
                task.add_done_callback(lambda _: gw.check_timer.no_later_than(0))
            await gw.tasks.rest(gw.check_timer, await gw.store.next_check_due(now))
        except Unavailable as problem:
            log.error("the schedule cannot be read", extra={"problem": str(problem)})
            await gw.clock.sleep(STORE_RETRY_SECONDS)
        except Exception:  # a worker's loop: one payment's fault must not stop the others
            log.exception("the scheduler failed")
            await gw.clock.sleep(STORE_RETRY_SECONDS)


async def run_due(gw: Gateway) -> int:
    """Check the payments that are due now, once, and wait for it; return how many there were."""
    tasks = await start_due(gw)
    if tasks:
        await asyncio.wait(tasks)
    return len(tasks)


async def start_due(gw: Gateway) -> list[asyncio.Task[None]]:
    """Start a check of each payment that is due and not being checked, up to a number per tenant."""
    rows = await gw.store.due_checks(gw.clock.now(), MAX_CONCURRENT_CHECKS)
    return [gw.tasks.start(check_work(row), check(gw, row)) for row in rows if not gw.tasks.is_running(check_work(row))]


def check_work(row: ScheduledCheck) -> str:
    """The name under which a check runs."""
    return f"check {row.payment_id}"


async def check(gw: Gateway, row: ScheduledCheck) -> None:
    """Do for one payment what is due, then schedule its next check."""
    wait: float | None = None
    try:
        # First: a provider is not asked for what could not be stored.
        await gw.store.prove_writable(gw.clock.now())
        try:
            await _resolve_silent(gw, row)
            await cancel_if_replaced(gw, row.tenant, row.payment_id)
            wait = await _look_up(gw, row)
            await _apply_clock(gw, row)
        except (ProviderError, TenantError, Conflict) as problem:
            log.warning("a check was cut short", extra={"payment_id": row.payment_id, "problem": str(problem)})
        await _reschedule(gw, row, wait or 0.0)
    except Exception as fault:  # a worker's loop: what failed is tried again, after a pause
        log.error("a check failed", extra={"payment_id": row.payment_id, "kind": type(fault).__name__})
        await gw.clock.sleep(STORE_RETRY_SECONDS)


async def _resolve_silent(gw: Gateway, row: ScheduledCheck) -> None:
    """Resolve an operation that is in ``sending`` for longer than any call lasts: its process has ended."""
    loaded = await gw.store.payment(row.tenant, row.payment_id)
    if (
        loaded is None
        or loaded.open_operation is None
        or not is_silent(loaded.open_operation, gw.schedules, gw.clock.now())
    ):
        return
    if not gw.tasks.is_running(loaded.open_operation.id):
        await submit.resolve(gw, loaded.open_operation, Unknown(message="silence"))


async def _look_up(gw: Gateway, row: ScheduledCheck) -> float | None:
    """Ask the provider, where it can be asked and the answer could change something; process hints.

    Returns the seconds after which the provider wants to be asked again, if it said so.
    """
    loaded = await gw.store.payment(row.tenant, row.payment_id)
    if loaded is None:
        return None
    policy = gw.entry(loaded.payment).policy
    is_unknown = loaded.open_operation is not None and loaded.open_operation.status is Status.UNKNOWN
    hints = await gw.store.due_hints(row.tenant, row.payment_id)
    if not policy.lookups or not (is_unknown or hints or can_poll(loaded.payment, policy, gw.clock.now())):
        return None
    return await lookup.process_hints(gw, row.tenant, row.payment_id)


async def _apply_clock(gw: Gateway, row: ScheduledCheck) -> None:
    """Expire the payment, after the lookup above, or warn ahead of its capture deadline."""
    loaded = await gw.store.payment(row.tenant, row.payment_id)
    if loaded is None:
        return
    policy = gw.entry(loaded.payment).policy
    if loaded.payment.replaces is not None and row_of(loaded.payment, policy, gw.clock.now()) == PAST_GRACE:
        # No change of its own: recording it reinstates the payment that this one was to replace.
        await commit_change(gw, loaded, Change(payment=loaded.payment, operation=loaded.open_operation))
    fact = due_fact(loaded.payment, policy, gw.clock.now())
    if fact is not None:
        made = apply(loaded.payment, loaded.open_operation, fact, cause=Cause.CLOCK, policy=policy, at=gw.clock.now())
        await commit_change(gw, loaded, made)


async def _reschedule(gw: Gateway, row: ScheduledCheck, wait: float) -> None:
    """Store when to check again: by the payment's schedule, and soon while a hint or a cancel is not done.

    A payment that has changed was rescheduled by its change. The provider is not asked again within ``wait`` seconds.
    """
    tries, now = row.tries + 1, gw.clock.now()
    loaded = await gw.store.payment(row.tenant, row.payment_id)
    due, rows = None, []
    if loaded is not None and gw.has_account(loaded.payment):
        policy = gw.entry(loaded.payment).policy
        schedules = gw.schedules.not_within(timedelta(seconds=wait))
        due = next_check_at(
            loaded.payment, loaded.open_operation, tries=tries, policy=policy, schedules=schedules, at=now
        )
        if await _is_unfinished(gw, loaded.payment):
            again = now + schedules.reconcile[min(tries, len(schedules.reconcile) - 1)]
            rows.append(schedule.bring_check_forward(row.tenant, row.payment_id, again))
    checked = schedule.record_check(row.tenant, row.payment_id, was_due=row.due_at, due_at=due, tries=tries)
    await gw.store.commit([checked, *rows])


async def _is_unfinished(gw: Gateway, payment: Payment) -> bool:
    if gw.entry(payment).can_look_up and await gw.store.due_hints(payment.tenant, payment.id):
        return True
    return await is_to_be_canceled(gw, payment)
