"""The effect of a proved event: evaluate it against its payment, and commit the callback's row and the effect together.

The same way for a callback that has just come, one whose effect failed before, and one that an operator has evaluated
again: they differ in how their row is written (``inbox_rows.py``).
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from msgspec.structs import replace

from gateway.core.callback_rules import Evaluation, evaluate
from gateway.core.change import Change
from gateway.core.errors import Conflict, Reason, Unavailable
from gateway.core.facts import Event, Recorded, Refused
from gateway.core.refusal_details import RefusedCallback
from gateway.core.state_members import with_dates_at
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.inbox import ROW
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows.callbacks import likely_causes, named_payment
from gateway.flows.callbacks.inbox_rows import InboxCallback, NewCallback
from gateway.flows.callbacks.named_payment import Named
from gateway.flows.commit import commit_change
from gateway.flows.payments import read
from gateway.flows.runtime import Gateway
from gateway.flows.tasks import MAX_CONFLICTS


async def apply_event(
    gw: Gateway, entry: AccountEntry, event: Event, callback: InboxCallback, *, received_at: datetime | None = None
) -> Evaluation:
    """Evaluate an event and commit the callback's row and the effect as one unit; read again if overtaken.

    ``received_at`` as in ``evaluate_event``. Raises ``Unavailable``, as ``Conflict`` on ``ROW`` when somebody else has
    changed the callback's own row.
    """
    # The row of a new callback is a conflict if its event was applied before, and the payment's if it has moved: most
    # have done neither, and need not be looked up.
    is_guarded = isinstance(callback, NewCallback)
    for _ in range(MAX_CONFLICTS):
        remembered = named_payment.remembered(gw, entry, event) if is_guarded else None
        found = remembered or await named_payment.of_event(gw, entry, event)
        evaluation = await evaluate_event(gw, entry, event, found, received_at=received_at, is_guarded=is_guarded)
        if remembered is not None and not evaluation.makes_version:
            is_guarded = False
            continue  # nothing that is written would show whether the payment is as it is remembered
        rows = callback.rows(gw, evaluation)
        try:
            if found.before is None or evaluation.change is None:
                await gw.store.commit(entry.tenant, rows)
            else:
                await commit_change(gw, found.before, evaluation.change, rows=rows)
        except Conflict as lost:
            if lost.on == ROW:
                raise
            is_guarded = False
            continue  # the payment has moved since it was read, or the event was applied before
        return evaluation
    raise Unavailable("other writers changed the same rows at every attempt")


async def evaluate_event(
    gw: Gateway,
    entry: AccountEntry,
    event: Event,
    found: Named,
    *,
    received_at: datetime | None = None,
    is_guarded: bool = False,
) -> Evaluation:
    """Evaluate an event by what is committed now; changes nothing. ``found``: its payment, if it has one.

    ``received_at``: when it came, for one that came earlier; window and grace are checked as of then. ``is_guarded``:
    recording it will be a conflict if it was applied before, so that only what is not recorded is looked up.
    """
    before = found.before
    if before is None:
        reason = Reason.NOT_FOUND if entry.deposit_methods else _without_method(entry)
        detail = await likely_causes.of_not_found(gw, entry, event, reason, found.problem)
        return Evaluation(verdict=Refused(reason=reason), event=event, detail=detail)
    now = gw.clock.now()
    policy, at = entry.policy, received_at or now
    outcomes = event.reported.operations
    ended = await read.ended_operations(gw, before, outcomes) if outcomes else ()
    evaluated = partial(evaluate, before.payment, before.open_operation, event, policy=policy, at=at, ended=ended)
    evaluation = evaluated(seen_before=False)
    is_left_to_commit = is_guarded and isinstance(evaluation.verdict, Recorded)
    if not is_left_to_commit and await gw.store.inbox.was_applied(entry.tenant, entry.name, event.event_id):
        evaluation = evaluated(seen_before=True)
    if evaluation.change is not None and received_at is not None:
        evaluation = replace(evaluation, change=_redated(evaluation.change, before, now))
    if evaluation.verdict.reason is None:
        return evaluation
    case = RefusedCallback(before.payment, event, policy, at)
    return replace(evaluation, detail=await likely_causes.of_refusal(gw, entry, case, evaluation.verdict.reason))


def _redated(change: Change, before: PaymentSnapshot, now: datetime) -> Change:
    """Date a change as of now that was evaluated as of an earlier time: the timeline goes forward only."""
    operation = change.operation
    if operation is not None and operation != before.open_operation:
        change = replace(change, operation=replace(operation, updated_at=now))
    if change.event is None:
        return change
    payment = with_dates_at(change.payment, change.event.at, now)
    return replace(change, payment=payment, event=replace(change.event, at=now))


def _without_method(entry: AccountEntry) -> Reason:
    return Reason.NO_DEPOSIT_METHOD if entry.rules.deposit_method_required else Reason.NOT_FOUND
