"""What nobody tells us: settle the unknown by asking, poll, follow hints up, expire, warn, finish a succession.

The agenda names one moment per payment; what is to be done then is decided by looking at the payment. Time alone
never turns an unknown outcome into a failure.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gateway.core.change import Change
from gateway.core.commands import CancelPayment, Kind
from gateway.core.errors import Conflict, ProviderError, TenantError, Unavailable
from gateway.core.facts import Cause, DeadlineNear, Expired, Fact, Unknown
from gateway.core.payment import Payment, ReviewReason, State, Status
from gateway.core.replacement import flag_two_live_orders
from gateway.core.rules import Policy
from gateway.core.schedule import can_poll, deadline_times, next_check_at
from gateway.core.state_members import EXPIRABLE
from gateway.core.states import PAST_GRACE, apply, row_of
from gateway.drivers.store import schedule
from gateway.drivers.store.reads import PaymentSnapshot, ScheduledCheck
from gateway.drivers.store.statements import milliseconds
from gateway.flows import restore
from gateway.flows.cascade import ACCEPTED, ENDED
from gateway.flows.commit import record
from gateway.flows.payments import lookup
from gateway.flows.payments import submit as operations
from gateway.flows.runtime import Gateway, log

AT_ONCE = 16
"""Payments of one tenant looked at side by side: a slow provider delays nobody else."""

LONGEST_PAUSE = timedelta(minutes=1)
"""The time after which the agenda is read again, whatever it said."""


async def run(gw: Gateway) -> None:
    """Work off the agenda until cancelled. Nobody waits for another payment's provider."""
    while True:
        now = gw.clock.now()
        gw.agenda_alarm.set(milliseconds(now + LONGEST_PAUSE))
        try:
            for task in await start_due(gw):
                task.add_done_callback(lambda _: gw.agenda_alarm.no_later_than(0))
            await gw.rest(gw.agenda_alarm, await gw.store.next_check_due(now))
        except Unavailable as problem:
            log.error("the agenda cannot be worked off", extra={"problem": str(problem)})
            await gw.clock.sleep(1.0)
        except Exception:  # a worker's loop: one payment's fault must not stop the others
            log.exception("the agenda failed")
            await gw.clock.sleep(1.0)


async def run_due(gw: Gateway) -> int:
    """Look at the payments that are due now, once, and wait for it; return how many there were."""
    tasks = await start_due(gw)
    if tasks:
        await asyncio.wait(tasks)
    return len(tasks)


async def start_due(gw: Gateway) -> list[asyncio.Task[None]]:
    """Start a visit at each payment that is due and not being visited, so many of one tenant's at a time."""
    rows = await gw.store.due_checks(gw.clock.now(), AT_ONCE)
    return [gw.start(visit_work(row), visit(gw, row)) for row in rows if not gw.is_running(visit_work(row))]


def visit_work(row: ScheduledCheck) -> str:
    """The name under which a visit runs."""
    return f"visit {row.payment_id}"


async def visit(gw: Gateway, row: ScheduledCheck) -> None:
    """Do for one payment what its moment asks for, then note when to look again.

    A store that takes no writes is found out first: no provider is asked what could not be kept.
    """
    wait: float | None = None
    try:
        await gw.store.prove_writable(gw.clock.now())
        try:
            await _settle_silent(gw, row)
            await _give_way(gw, row)
            wait = await _look(gw, row)
            await _by_the_clock(gw, row)
        except (ProviderError, TenantError, Conflict) as problem:
            log.warning("a look failed", extra={"payment_id": row.payment_id, "problem": str(problem)})
        await _note(gw, row, wait or 0.0)
    except Exception as fault:  # a worker's loop: what failed is tried again, after a pause
        log.error("a visit failed", extra={"payment_id": row.payment_id, "kind": type(fault).__name__})
        await gw.clock.sleep(1.0)


async def _note(gw: Gateway, row: ScheduledCheck, wait: float) -> None:
    """When to look again: as the agenda says (a payment that changed has its own moment already), and in any case as
    long as a hint or a succession is not followed to its end.

    The provider is not asked again within ``wait`` seconds.
    """
    tries, now = row.tries + 1, gw.clock.now()
    loaded = await gw.store.payment(row.tenant, row.payment_id)
    due, rows = None, []
    if loaded is not None and gw.has_account(loaded.payment):
        policy = gw.entry(loaded.payment).policy
        pause = timedelta(seconds=wait)
        schedules = gw.schedules.not_within(pause)
        due = next_check_at(
            loaded.payment, loaded.open_operation, tries=tries, policy=policy, schedules=schedules, at=now
        )
        if await _is_unfinished(gw, loaded.payment, policy):
            again = now + schedules.reconcile[min(tries, len(schedules.reconcile) - 1)]
            rows.append(schedule.bring_check_forward(row.tenant, row.payment_id, again))
    noted = schedule.record_check(row.tenant, row.payment_id, was_due=row.due_at, due_at=due, tries=tries)
    await gw.store.commit([noted, *rows])


async def _is_unfinished(gw: Gateway, payment: Payment, policy: Policy) -> bool:
    if policy.lookups and await gw.store.due_hints(payment.tenant, payment.id):
        return True
    return await _accepted_successor(gw, payment) is not None and not await _cancel_was_decided(gw, payment)


async def _settle_silent(gw: Gateway, row: ScheduledCheck) -> None:
    """An operation on its way for longer than any call lasts, and by nobody here: its process is gone."""
    loaded = await gw.store.payment(row.tenant, row.payment_id)
    if loaded is None or loaded.open_operation is None or loaded.open_operation.status is not Status.SENDING:
        return
    silent_since = loaded.open_operation.created_at + gw.schedules.silence
    if gw.clock.now() >= silent_since and not gw.is_running(loaded.open_operation.id):
        await operations.settle(gw, loaded.open_operation, Unknown(message="silence"))


async def _look(gw: Gateway, row: ScheduledCheck) -> float | None:
    """Ask the provider, where it can be asked and the answer could change something; follow hints up.

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
    return await lookup.follow_hints(gw, row.tenant, row.payment_id)


async def _by_the_clock(gw: Gateway, row: ScheduledCheck) -> None:
    """Expiry, after the last look above, and the warnings ahead of the capture deadline."""
    loaded = await gw.store.payment(row.tenant, row.payment_id)
    if loaded is None:
        return
    policy = gw.entry(loaded.payment).policy
    if loaded.payment.replaces is not None and row_of(loaded.payment, policy, gw.clock.now()) == PAST_GRACE:
        await record(
            gw, loaded, Change(payment=loaded.payment, operation=loaded.open_operation)
        )  # gives its place back
    fact = _due_fact(gw, loaded)
    if fact is None:
        return
    made = apply(loaded.payment, loaded.open_operation, fact, cause=Cause.CLOCK, policy=policy, at=gw.clock.now())
    await record(gw, loaded, made)


def _due_fact(gw: Gateway, loaded: PaymentSnapshot) -> Fact | None:
    payment, now = loaded.payment, gw.clock.now()
    if payment.state in EXPIRABLE and payment.expires_at is not None and now >= payment.expires_at:
        return Expired()
    warnings = deadline_times(payment, gw.entry(payment).policy)[:2]
    given = payment.deadline_warnings
    return DeadlineNear() if given < len(warnings) and now >= warnings[given] else None


async def _give_way(gw: Gateway, row: ScheduledCheck) -> None:
    """Cancel a payment whose successor was accepted; if that cannot be had, a person must look at both."""
    loaded = await gw.store.payment(row.tenant, row.payment_id)
    successor = await _accepted_successor(gw, loaded.payment) if loaded is not None else None
    if loaded is None or successor is None:
        return
    if restore.is_behind(gw, loaded.payment):  # it may be canceled already
        await lookup.follow_up(gw, row.tenant, row.payment_id, hinted=False)
        loaded = await gw.store.payment(row.tenant, row.payment_id) or loaded
    if loaded.payment.state in ENDED:
        return
    if loaded.open_operation is None and not await _cancel_was_decided(gw, loaded.payment):
        await _cancel(gw, loaded.payment)
        loaded = await gw.store.payment(row.tenant, row.payment_id) or loaded
    if loaded.payment.state is not State.CANCELED and await _cancel_was_decided(gw, loaded.payment):
        await _flag_both(gw, loaded.payment, successor)


async def _accepted_successor(gw: Gateway, payment: Payment) -> Payment | None:
    """The successor that was accepted while this payment may still be paid."""
    if payment.replaced_by is None or payment.state in ENDED:
        return None
    found = await gw.store.payment(payment.tenant, payment.replaced_by)
    return found.payment if found is not None and found.payment.state in ACCEPTED else None


async def _cancel_was_decided(gw: Gateway, payment: Payment) -> bool:
    """Whether a cancel cannot be had, or was tried and is not to be tried again; one that was never sent may be."""
    entry = gw.entry(payment)
    if CancelPayment not in entry.provider.commands or payment.state not in entry.rules.cancel_from:
        return True
    tried = await gw.store.operations(payment.tenant, payment.id)
    return any(one.kind is Kind.CANCEL and one.status not in (Status.NOT_SENT, Status.SENDING) for one in tried)


async def _cancel(gw: Gateway, payment: Payment) -> None:
    """Cancel at the provider on the gateway's own account."""
    operation = operations.new_operation(gw, payment, Kind.CANCEL, at=gw.clock.now())
    command = CancelPayment(**operations.members_of(payment, operation))
    await operations.run_own(gw, gw.entry(payment), payment, command, operation)


async def _flag_both(gw: Gateway, *payments: Payment) -> None:
    """Raise both flags, each once: a person who cleared one has decided."""
    for payment in payments:
        loaded = await gw.store.payment(payment.tenant, payment.id)
        if loaded is not None and not await _was_flagged(gw, loaded.payment):
            made = flag_two_live_orders(loaded.payment, loaded.open_operation, cause=Cause.CLOCK, at=gw.clock.now())
            await record(gw, loaded, made)


async def _was_flagged(gw: Gateway, payment: Payment) -> bool:
    """Whether a person looks at this payment, or has looked at it for two live orders."""
    told = await gw.store.events(payment.tenant, payment.id) if payment.review is None else []
    return payment.review is not None or any(
        event.details.get("review") == ReviewReason.TWO_LIVE_ORDERS for _, event in told
    )
