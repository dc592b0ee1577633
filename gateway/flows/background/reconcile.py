"""Check payments on a schedule: resolve unknown outcomes by asking, poll, process hints, expire, warn, cancel replaced.

The schedule has one time per payment; what is to be done then is decided by looking at the payment. Time alone never
turns an unknown outcome into a failure.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.errors import Conflict, ProviderError, TenantError, Unavailable
from gateway.core.facts import Cause
from gateway.core.payment import Payment, Status
from gateway.core.schedule import can_poll, due_fact, next_check_at, pause_after
from gateway.core.states import PAST_GRACE, apply, row_of
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import schedule
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.drivers.store.schedule import ScheduledCheck
from gateway.drivers.store.statements import Statement
from gateway.flows import claims
from gateway.flows.background.replaced_payments import cancel_if_replaced, is_to_be_canceled, read_again
from gateway.flows.commit import commit_change
from gateway.flows.payments import lookup, repeat, submit
from gateway.flows.runtime import Current, Gateway, log
from gateway.flows.tasks import described

MAX_CONCURRENT_CHECKS = 16
"""Payments of one tenant that are checked side by side: a slow provider delays nobody else."""

MAX_IDLE = timedelta(minutes=1)
"""The schedule is read again after this time, even if nothing is due."""

STORE_RETRY_SECONDS = 1.0
"""Pause after the store, or a check, has failed."""


async def run(current: Current) -> None:
    """Check what is due until cancelled. Nobody waits for another payment's provider."""
    timer = current.gateway.check_timer
    while True:
        gw = current.gateway
        now = gw.clock.now()
        timer.reset(milliseconds(now + MAX_IDLE))
        try:
            await start_due(gw)
            await gw.tasks.rest(timer, await gw.store.next_check_due(now))
        except Unavailable as problem:
            log.error("the schedule cannot be read", extra={"problem": str(problem)})
            await gw.clock.sleep(STORE_RETRY_SECONDS)
        except Exception:  # a worker's loop: one payment's fault must not stop the others
            log.exception("the scheduler failed")
            await gw.clock.sleep(STORE_RETRY_SECONDS)


async def start_due(gw: Gateway) -> list[asyncio.Task[None]]:
    """Start a check of each payment that is due and not being checked, up to a number per tenant."""
    if gw.node.is_shared:
        return [task async for task in _start_claimed(gw)]
    rows = await gw.store.due_checks(gw.clock.now(), MAX_CONCURRENT_CHECKS)
    return [_start(gw, row) for row in rows if not gw.tasks.is_running(check_work(row.payment_id))]


async def _start_claimed(gw: Gateway) -> AsyncIterator[asyncio.Task[None]]:
    """Of those that this process can claim, one tenant's after the other's: where that fails others' are started."""
    by, store = gw.node.claimant(), gw.store.claimable
    wanted = defaultdict(list)
    for tenant, payment_id in await store.checks(MAX_CONCURRENT_CHECKS, by):
        if not gw.tasks.is_running(check_work(payment_id)):
            wanted[tenant].append(payment_id)
    for tenant, payment_ids in wanted.items():
        read = partial(store.due_checks, tenant, by.at)
        try:
            rows = await claims.take(gw, "check", by, tenant, payment_ids, read)
        except Unavailable as problem:
            log.error("a tenant's checks wait", extra={"tenant": tenant, "problem": str(problem)})
            continue
        for row in rows:
            yield _start(gw, row)


def _start(gw: Gateway, row: ScheduledCheck) -> asyncio.Task[None]:
    """Start a check; when it has ended, what is due next is looked for."""
    task = gw.tasks.start(check_work(row.payment_id), check(gw, row))
    task.add_done_callback(lambda _: gw.check_timer.no_later_than(0))
    return task


def check_work(payment_id: str) -> str:
    """The name under which a check runs."""
    return f"check {payment_id}"


async def check(gw: Gateway, row: ScheduledCheck) -> None:
    """Do for one payment what is due, then schedule its next check.

    The payment is read once, and again only after a step that may have changed it.
    """
    try:
        # First: a provider is not asked for what could not be stored.
        await gw.store.prove_writable(gw.clock.now(), row.tenant)
        snapshot = await gw.store.payment(row.tenant, row.payment_id)
        wait = 0.0
        if snapshot is not None:
            snapshot, wait = await _do_what_is_due(gw, snapshot)
        await _reschedule(gw, row, snapshot, wait)
    except Exception as fault:  # a worker's loop: what failed is tried again, after a pause
        log.error("a check failed", extra={"payment_id": row.payment_id, **described(fault)})
        if isinstance(fault, Unavailable) or not await _is_postponed(gw, row):
            await claims.give_up(gw, "check", row.tenant, row.payment_id)  # at once: another process may fare better
            await gw.clock.sleep(STORE_RETRY_SECONDS)


async def _is_postponed(gw: Gateway, row: ScheduledCheck) -> bool:
    """Store that a check that failed is made again less and less often: else it would keep others from theirs."""
    with suppress(Unavailable):
        await _record(gw, row, gw.clock.now() + pause_after(gw.schedules.reconcile, row.tries))
        return True
    return False


async def _do_what_is_due(gw: Gateway, snapshot: PaymentSnapshot) -> tuple[PaymentSnapshot, float]:
    """Take each step that is due; return the payment as it is then, and the seconds in which not to ask again."""
    wait = 0.0
    try:
        snapshot = await _resolve_silent(gw, snapshot)
        snapshot = await _repeat(gw, snapshot)
        snapshot = await cancel_if_replaced(gw, snapshot)
        snapshot, wait = await _look_up(gw, snapshot)
        snapshot = await _apply_clock(gw, snapshot)
    except (ProviderError, TenantError, Conflict) as problem:
        log.warning("a check was cut short", extra={"payment_id": snapshot.payment.id, "problem": str(problem)})
        snapshot = await read_again(gw, snapshot)
    return snapshot, wait


async def _resolve_silent(gw: Gateway, snapshot: PaymentSnapshot) -> PaymentSnapshot:
    """Resolve an operation that is in ``sending`` for longer than any call lasts: its process has ended."""
    operation = snapshot.open_operation
    if operation is None or not await submit.is_lost(gw, operation):
        return snapshot
    await submit.resolve(gw, operation, await submit.fact_of_interrupted(gw, operation, "silence"))
    return await read_again(gw, snapshot)


async def _repeat(gw: Gateway, snapshot: PaymentSnapshot) -> PaymentSnapshot:
    """Ask again for an answer that was lost, at a provider that answers no lookups: else each lookup does so first."""
    return snapshot if gw.entry(snapshot.payment).can_look_up else await repeat.ahead_of_lookup(gw, snapshot)


async def _look_up(gw: Gateway, snapshot: PaymentSnapshot) -> tuple[PaymentSnapshot, float]:
    """Ask the provider, where it can be asked and the answer could change something; process hints.

    Returns also the seconds after which the provider wants to be asked again, if it said so.
    """
    payment, policy = snapshot.payment, gw.entry(snapshot.payment).policy
    is_unknown = snapshot.open_operation is not None and snapshot.open_operation.status is Status.UNKNOWN
    hints = await gw.store.due_hints(payment.tenant, payment.id)
    if not policy.lookups or not (is_unknown or hints or can_poll(payment, policy, gw.clock.now())):
        return snapshot, 0.0
    wait = await lookup.process_hints(gw, payment.tenant, payment.id)
    return await read_again(gw, snapshot), wait or 0.0


async def _apply_clock(gw: Gateway, snapshot: PaymentSnapshot) -> PaymentSnapshot:
    """Expire the payment, after the lookup above, or warn ahead of its capture deadline."""
    policy, now = gw.entry(snapshot.payment).policy, gw.clock.now()
    fact = due_fact(snapshot.payment, policy, now)
    is_past_grace = snapshot.payment.replaces is not None and row_of(snapshot.payment, policy, now) == PAST_GRACE
    if is_past_grace:
        # No change of its own: recording it reinstates the payment that this one was to replace.
        await commit_change(gw, snapshot, Change(payment=snapshot.payment, operation=snapshot.open_operation))
    if fact is not None:
        made = apply(snapshot.payment, snapshot.open_operation, fact, cause=Cause.CLOCK, policy=policy, at=now)
        await commit_change(gw, snapshot, made)
    return await read_again(gw, snapshot) if is_past_grace or fact is not None else snapshot


async def _reschedule(gw: Gateway, row: ScheduledCheck, snapshot: PaymentSnapshot | None, wait: float) -> None:
    """Store when to check again: by the payment's schedule, and soon while a hint or a cancel is not done.

    A payment that has changed was rescheduled by its change. The provider is not asked again within ``wait`` seconds.
    """
    tries, now = row.tries + 1, gw.clock.now()
    due, rows = None, []
    if snapshot is not None and gw.has_account(snapshot.payment):
        policy = gw.entry(snapshot.payment).policy
        schedules = replace(gw.schedules, pause=timedelta(seconds=wait)) if wait else gw.schedules
        due = next_check_at(
            snapshot.payment, snapshot.open_operation, tries=tries, policy=policy, schedules=schedules, at=now
        )
        if await _is_unfinished(gw, snapshot.payment):
            again = now + max(schedules.pause, pause_after(schedules.reconcile, tries))
            rows.append(schedule.bring_check_forward(row.tenant, row.payment_id, again))
    await _record(gw, row, due, *rows)


async def _record(gw: Gateway, row: ScheduledCheck, due: datetime | None, *more: Statement) -> None:
    """Store when a check that has changed nothing is made again."""
    tries = row.tries + 1
    checked = schedule.record_check(row.tenant, row.payment_id, was_due=row.due_at, due_at=due, tries=tries)
    await gw.store.commit(row.tenant, [checked, *more, *claims.release(gw, "check", row.tenant, row.payment_id)])


async def _is_unfinished(gw: Gateway, payment: Payment) -> bool:
    if gw.entry(payment).can_look_up and await gw.store.due_hints(payment.tenant, payment.id):
        return True
    return await is_to_be_canceled(gw, payment)
