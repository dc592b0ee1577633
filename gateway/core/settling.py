"""Settle an operation: by its own reply, by what a lookup or a proved callback shows, by a person, never by the clock.

An absent effect is proved by two reads a quiet period apart.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from gateway.core.commands import Kind
from gateway.core.draft import Draft
from gateway.core.facts import Cause, Declined, Observation, Ruled, Stage
from gateway.core.payment import Failure, FailureCode, Operation, Payment, ReviewReason, State, Status
from gateway.core.rules import Terms
from gateway.core.verdicts import Shown, shows

REPLY_KNOWS_MORE = frozenset({Kind.CREATE, Kind.COMPLETE})
"""While these are on their way no lookup settles them: only the reply knows the address of the payment page, and
whether the provider took the completion."""

_STAGE_OF = {
    State.AWAITING_CUSTOMER: Stage.AWAITING_CUSTOMER,
    State.PROCESSING: Stage.PROCESSING,
    State.AUTHORIZED: Stage.AUTHORIZED,
    State.CAPTURED: Stage.CAPTURED,
    State.PARTIALLY_REFUNDED: Stage.CAPTURED,
    State.REFUNDED: Stage.CAPTURED,
    State.CANCELED: Stage.CANCELED,
    State.FAILED: Stage.FAILED,
}
"""What a state says of the stage at the provider; the states that are not listed say nothing."""


def settle(draft: Draft, seen: Observation, cause: Cause, terms: Terms, at: datetime) -> None:
    """Settle the open operation as far as an observation shows its outcome."""
    operation = draft.operation
    if operation is None or not operation.is_open:
        return
    own_reply_first = cause is Cause.CALLBACK or (cause is Cause.LOOKUP and operation.kind in REPLY_KNOWS_MORE)
    shown = shows(operation, seen, cause)
    if operation.status is Status.SENDING and own_reply_first:
        if operation.kind is Kind.UPDATE and shown is Shown.DONE:
            _take_total(draft, operation)
    elif shown is Shown.DONE:
        succeed(draft, operation, seen)
    elif shown is Shown.EXCLUDED:
        _not_done(draft)
    elif _word_against_total(operation, seen) and (cause is Cause.REPLY or operation.status is Status.UNKNOWN):
        draft.settle(Status.UNKNOWN, note="the status says that it is over, the refunded total does not")
        draft.flag(ReviewReason.REFUND_UNCLEAR, at)
    elif cause is Cause.REPLY:
        settle_as_known(draft, "the answer does not show the effect")
    elif cause is Cause.LOOKUP and shown is Shown.NOT_YET:
        _read_contrary(draft, terms, at)
    elif cause is Cause.LOOKUP and operation.kind is Kind.REFUND and seen.refunded is not None:
        draft.flag(ReviewReason.REFUND_UNCLEAR, at)


def _word_against_total(operation: Operation, seen: Observation) -> bool:
    """Whether a refund's total did not move although the order is no longer simply captured: nobody can tell."""
    is_total = operation.kind is Kind.REFUND and seen.refunded is not None
    return is_total and seen.stage in (Stage.CANCELED, Stage.UNKNOWN)


def succeed(draft: Draft, operation: Operation, seen: Observation) -> None:
    """The operation had its effect: record what no stage shows (completion, new amount, a total nobody named)."""
    draft.settle(Status.SUCCEEDED, note=None, failure=None)
    match operation.kind:
        case Kind.COMPLETE:
            draft.set(completed=True)
        case Kind.UPDATE:
            _take_total(draft, operation)
        case Kind.REFUND if seen.refunded is None:
            follow_total(draft, replace(seen, refunded=operation.before.refunded + operation.amount))
        case _:
            pass


def _take_total(draft: Draft, operation: Operation) -> None:
    """An update had its effect: the payment has the new total and, where one was given, the new order."""
    order = operation.order if operation.order is not None else draft.payment.order
    draft.set(money=draft.payment.money.with_amount(operation.amount), order=order)


def _read_contrary(draft: Draft, terms: Terms, at: datetime) -> None:
    """Two reads a quiet period apart prove that an effect did not happen; the first only starts the period."""
    operation = draft.operation
    if operation is None or operation.status is not Status.UNKNOWN:
        return
    if operation.contrary_since is None:
        draft.operation = replace(operation, contrary_since=at)
    elif at - operation.contrary_since >= terms.quiet_period:
        _not_done(draft)


def _not_done(draft: Draft) -> None:
    operation = draft.operation
    failure = Failure(code=FailureCode.NOT_DONE, message="the provider shows that it was not done")
    draft.settle(Status.DECLINED, failure=failure, note=None)
    if operation is not None and operation.is_tenants:
        draft.type = "operation.declined"


def decline(draft: Draft, no: Declined, at: datetime) -> None:
    """The provider said a definite no; after a create that a callback had already proved, that contradicts."""
    failure = Failure(code=FailureCode.DECLINED, message=no.message[:500], provider_code=no.code)
    moved_already = draft.payment.state is not State.CREATED
    if draft.operation is not None and draft.operation.kind is Kind.CREATE and moved_already:
        draft.settle(Status.DECLINED, failure=failure)
        if draft.payment.state not in (State.FAILED, State.CANCELED, State.EXPIRED):
            draft.flag(ReviewReason.CONTRADICTION, at)
    else:
        end_without_effect(draft, failure, Status.DECLINED)


def end_without_effect(draft: Draft, failure: Failure, status: Status) -> None:
    """Settle an operation that certainly did nothing; a create's end is its payment's failure."""
    operation = draft.operation
    draft.settle(status, failure=failure, note=None)
    if operation is None:
        return
    if operation.kind is Kind.CREATE:
        if draft.payment.state is State.CREATED:
            draft.set(state=State.FAILED, failure=failure)
    elif operation.is_tenants and status is Status.DECLINED:
        draft.type = "operation.declined"


def settle_as_known(draft: Draft, why: str) -> None:
    """Judge an operation whose reply leaves it open by the payment as it is now: a callback may have come first."""
    operation = draft.operation
    if operation is None or not operation.is_open or operation.kind is Kind.CREATE:
        leave_open(draft, why)
        return
    known = _as_known(draft.payment)
    shown = shows(operation, known, Cause.CALLBACK)
    if shown is Shown.DONE:
        succeed(draft, operation, known)
    elif shown is Shown.EXCLUDED:
        _not_done(draft)
    else:
        leave_open(draft, why)


def leave_open(draft: Draft, why: str) -> None:
    """Keep the outcome open, unless a proved fact already showed that a create had its effect."""
    operation = draft.operation
    if operation is None or not operation.is_open:
        return
    if operation.kind is Kind.CREATE and draft.payment.state not in (State.CREATED, State.EXPIRED):
        draft.settle(Status.SUCCEEDED, note=why)
    else:
        draft.settle(Status.UNKNOWN, note=why)


def _as_known(payment: Payment) -> Observation:
    """The payment as it is now, in the words of an observation."""
    return Observation(
        stage=_STAGE_OF.get(payment.state, Stage.UNKNOWN),
        amount=payment.money.amount,
        captured=payment.captured,
        refunded=payment.refunded,
    )


def miss(draft: Draft, terms: Terms, at: datetime) -> None:
    """A lookup found nothing: it may prove, the second time, that an unknown create had no effect."""
    operation = draft.operation
    if operation is None or operation.kind is not Kind.CREATE or not terms.rules.absence_proves:
        return
    _read_contrary(draft, terms, at)
    if draft.operation is not None and draft.operation.status is Status.DECLINED:
        failure = Failure(code=FailureCode.NOT_CREATED, message="the provider knows no such payment")
        draft.settle(Status.DECLINED, failure=failure)
        if draft.payment.state is State.CREATED:
            draft.type = None
            draft.set(state=State.FAILED, failure=failure)


def follow_total(draft: Draft, seen: Observation) -> None:
    """Follow the refunded total; the state follows from the money."""
    payment = draft.payment
    if seen.refunded is None or seen.refunded <= payment.refunded or not payment.captured:
        return
    whole = seen.refunded >= payment.captured
    draft.set(refunded=seen.refunded, state=State.REFUNDED if whole else State.PARTIALLY_REFUNDED)
    if draft.operation is None or draft.operation.kind is not Kind.REFUND:
        draft.details["made_elsewhere"] = "true"


PAGE_UNKNOWN = "nobody here knows the customer's page: the payment waits for its callback, or for a person to end it"
"""Told with a create that succeeded by a person's word alone."""


def _rule_create(draft: Draft, decided: Ruled, failure: Failure | None, terms: Terms) -> None:
    """Where the provider can be asked, a lookup finds the order and moves the payment, with all that it shows."""
    if failure is not None:
        draft.set(state=State.FAILED, failure=failure)
    elif decided.outcome == Status.SUCCEEDED and (decided.redirect_url is not None or not terms.lookups):
        draft.set(state=State.AWAITING_CUSTOMER, redirect_url=decided.redirect_url)
        if decided.redirect_url is None:
            draft.details["note"] = PAGE_UNKNOWN


def rule(draft: Draft, decided: Ruled, terms: Terms) -> None:
    """Settle by a person's word. What the operation would have moved is moved only by proof; this frees the payment.

    A create is the exception, since it moves no money: its order exists and waits for the customer, or it does not.
    """
    operation = draft.operation
    if operation is None or operation.status is not Status.UNKNOWN:
        return
    failure = None
    if decided.outcome == Status.DECLINED:
        code = FailureCode.NOT_CREATED if operation.kind is Kind.CREATE else FailureCode.NOT_DONE
        failure = Failure(code=code, message=decided.reason)
    if operation.kind is Kind.CREATE and draft.payment.state is State.CREATED:
        _rule_create(draft, decided, failure, terms)
    if decided.outcome == Status.SUCCEEDED:
        succeed(draft, operation, Observation(stage=Stage.UNKNOWN))
    draft.settle(Status(decided.outcome), failure=failure, note=f"{decided.actor}: {decided.reason}")
    draft.details |= {"actor": decided.actor, "reason": decided.reason, "outcome": decided.outcome}
    is_no = failure is not None and operation.is_tenants
    draft.type = draft.type or ("operation.declined" if is_no else "payment.updated")
