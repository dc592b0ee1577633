"""When a payment is checked next by the clock: expiry, polls, warnings, unknown outcomes.

A payment has one time; what is done then is decided from the payment itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from gateway.core.facts import DeadlineNear, Expired
from gateway.core.payment import Operation, Payment, State, Status
from gateway.core.repeats import may_repeat
from gateway.core.rules import Policy
from gateway.core.state_members import EXPIRABLE

POLLED = frozenset({State.CREATED, State.AWAITING_CUSTOMER, State.PROCESSING, State.AUTHORIZED})
"""States in which something may happen that the provider does not push; an expired payment in grace counts too."""

SECOND_WARNING_LEFT = 0.1
"""The part of the capture deadline that is left at the second warning."""


_JUST_AFTER = timedelta(milliseconds=1)


class Schedules(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's own clocks. ``silence``: after which a ``sending`` operation of a dead process is unknown.

    ``pause``: before it has passed the provider does not want to be asked.
    """

    reconcile: Sequence[timedelta]
    poll: Sequence[timedelta]
    silence: timedelta
    pause: timedelta = timedelta(0)


def next_check_at(
    payment: Payment,
    open_operation: Operation | None,
    *,
    tries: int,
    policy: Policy,
    schedules: Schedules,
    at: datetime,
) -> datetime | None:
    """Return when the payment is checked next, never before ``at``; None when nothing more is due by the clock.

    ``tries``: how many checks in a row changed nothing; the last value of a schedule repeats.
    """
    times = _times(payment, open_operation, tries, policy, schedules, at)
    return max(at, min(times)) if times else None


def deadline_times(payment: Payment, policy: Policy) -> list[datetime]:
    """Return the times of the two warnings before the capture deadline, and the deadline itself."""
    deadline, warning = policy.rules.capture_deadline, policy.rules.deadline_warning
    if payment.capture_by is None or deadline is None or payment.state is not State.AUTHORIZED:
        return []
    authorized_at = payment.capture_by - deadline
    first = authorized_at + warning if warning is not None and warning < deadline else payment.capture_by
    second = payment.capture_by - deadline * SECOND_WARNING_LEFT
    return [min(first, second), second, payment.capture_by]


def is_silent(open_operation: Operation | None, schedules: Schedules, at: datetime) -> bool:
    """Whether an operation is in ``sending`` for longer than any call lasts: the process that sent it has ended."""
    return (
        open_operation is not None
        and open_operation.status is Status.SENDING
        and at >= open_operation.created_at + schedules.silence
    )


def due_fact(payment: Payment, policy: Policy, at: datetime) -> Expired | DeadlineNear | None:
    """What the clock alone says of a payment now: it has expired, or a warning ahead of its capture deadline is due."""
    if payment.state in EXPIRABLE and payment.expires_at is not None and at >= payment.expires_at:
        return Expired()
    warnings = deadline_times(payment, policy)[:2]
    given = payment.deadline_warnings
    return DeadlineNear() if given < len(warnings) and at >= warnings[given] else None


def in_grace(payment: Payment, policy: Policy, at: datetime) -> bool:
    """Whether a late success still moves this expired payment."""
    ended = payment.expired_at
    return payment.state is State.EXPIRED and ended is not None and at <= ended + policy.grace


def can_poll(payment: Payment, policy: Policy, at: datetime) -> bool:
    """Whether the provider can be asked how the payment stands, and the answer could still change."""
    return policy.lookups and (payment.state in POLLED or in_grace(payment, policy, at))


def _can_ask(payment: Payment, open_operation: Operation | None, policy: Policy, at: datetime) -> bool:
    """Whether a question to the provider may tell more: a lookup, or a repetition of what was not answered."""
    if open_operation is None:
        return can_poll(payment, policy, at)
    return policy.lookups or may_repeat(payment, open_operation, policy, at)


def _times(
    payment: Payment, open_operation: Operation | None, tries: int, policy: Policy, schedules: Schedules, at: datetime
) -> list[datetime]:
    given = payment.deadline_warnings
    times = deadline_times(payment, policy)[given : given + 1]
    if given >= 2:
        times = [due for due in times if due > at]
    if open_operation is not None and open_operation.status is Status.SENDING:
        silent_at = open_operation.created_at + schedules.silence
        times.append(silent_at if silent_at > at else at + pause_after(schedules.reconcile, tries))
    elif _can_ask(payment, open_operation, policy, at):
        times.append(at + max(schedules.pause, _next_lookup(open_operation, tries, policy.rules.poll, schedules)))
    if payment.state in EXPIRABLE and payment.expires_at is not None:
        times.append(payment.expires_at)
    if payment.replaces is not None and payment.state is State.EXPIRED and payment.expired_at is not None:
        grace_ends = payment.expired_at + policy.grace + _JUST_AFTER
        if grace_ends > at:
            times.append(grace_ends)
    return times


def _next_lookup(
    open_operation: Operation | None, tries: int, own: Sequence[timedelta] | None, schedules: Schedules
) -> timedelta:
    """The pause before the next lookup. ``own``: the provider's schedule, which holds for an unknown outcome too where
    it is shorter than the gateway's: such a provider tells by lookups only."""
    if open_operation is None:
        return pause_after(own or schedules.poll, tries)
    reconcile = pause_after(schedules.reconcile, tries)
    return reconcile if own is None else min(reconcile, pause_after(own, tries))


def pause_after(schedule: Sequence[timedelta], number: int) -> timedelta:
    """The pause after ``number`` attempts; the last one of the schedule repeats."""
    return schedule[min(number, len(schedule) - 1)]
