"""Settle an operation: by its own reply, by what a lookup or a proved callback shows, by a person, never by the clock.

An absent effect is proved by two reads a quiet period apart.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from gateway.core.change import ChangeBuilder
from gateway.core.commands import Kind
from gateway.core.evidence import Evidence, evidence
from gateway.core.facts import Cause, Declined, Observation, OperationResolved, Stage
from gateway.core.payment import Failure, FailureCode, Operation, Payment, ReviewReason, State, Status
from gateway.core.rules import Policy

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


def resolve(builder: ChangeBuilder, seen: Observation, cause: Cause, policy: Policy, at: datetime) -> None:
    """Settle the open operation as far as an observation shows its outcome."""
    operation = builder.operation
    if operation is None or not operation.is_open:
        return
    own_reply_first = cause is Cause.CALLBACK or (cause is Cause.LOOKUP and operation.kind in REPLY_KNOWS_MORE)
    found = evidence(operation, seen, cause)
    if operation.status is Status.SENDING and own_reply_first:
        if operation.kind is Kind.UPDATE and found is Evidence.CONFIRMED:
            _apply_new_total(builder, operation)
    elif found is Evidence.CONFIRMED:
        confirm(builder, operation, seen)
    elif found is Evidence.RULED_OUT:
        _rule_out(builder)
    elif _status_contradicts_total(operation, seen) and (cause is Cause.REPLY or operation.status is Status.UNKNOWN):
        builder.set_operation(Status.UNKNOWN, note="the status says that it is over, the refunded total does not")
        builder.flag(ReviewReason.REFUND_UNCLEAR, at)
    elif cause is Cause.REPLY:
        resolve_from_payment(builder, "the answer does not show the effect")
    elif cause is Cause.LOOKUP and found is Evidence.NOT_YET:
        _record_contrary_read(builder, policy, at)
    elif cause is Cause.LOOKUP and operation.kind is Kind.REFUND and seen.refunded is not None:
        builder.flag(ReviewReason.REFUND_UNCLEAR, at)


def _status_contradicts_total(operation: Operation, seen: Observation) -> bool:
    """Whether a refund's total did not move although the order is no longer simply captured: nobody can tell."""
    is_total = operation.kind is Kind.REFUND and seen.refunded is not None
    return is_total and seen.stage in (Stage.CANCELED, Stage.UNKNOWN)


def confirm(builder: ChangeBuilder, operation: Operation, seen: Observation) -> None:
    """The operation had its effect: record what no stage shows (completion, new amount, a total nobody named)."""
    builder.set_operation(Status.SUCCEEDED, note=None, failure=None)
    match operation.kind:
        case Kind.COMPLETE:
            builder.set(completed=True)
        case Kind.UPDATE:
            _apply_new_total(builder, operation)
        case Kind.REFUND if seen.refunded is None:
            apply_refunded_total(builder, replace(seen, refunded=operation.before.refunded + operation.amount))
        case _:
            pass


def _apply_new_total(builder: ChangeBuilder, operation: Operation) -> None:
    """An update had its effect: the payment has the new total and, where one was given, the new order."""
    order = operation.order if operation.order is not None else builder.payment.order
    builder.set(money=builder.payment.money.with_amount(operation.amount), order=order)


def _record_contrary_read(builder: ChangeBuilder, policy: Policy, at: datetime) -> None:
    """Two reads a quiet period apart prove that an effect did not happen; the first only starts the period."""
    operation = builder.operation
    if operation is None or operation.status is not Status.UNKNOWN:
        return
    if operation.contrary_since is None:
        builder.operation = replace(operation, contrary_since=at)
    elif at - operation.contrary_since >= policy.quiet_period:
        _rule_out(builder)


def _rule_out(builder: ChangeBuilder) -> None:
    operation = builder.operation
    failure = Failure(code=FailureCode.NOT_DONE, message="the provider shows that it was not done")
    builder.set_operation(Status.DECLINED, failure=failure, note=None)
    if operation is not None and operation.is_tenants:
        builder.type = "operation.declined"


def decline(builder: ChangeBuilder, no: Declined, at: datetime) -> None:
    """The provider said a definite no; after a create that a callback had already proved, that contradicts."""
    failure = Failure(code=FailureCode.DECLINED, message=no.message[:500], provider_code=no.code)
    moved_already = builder.payment.state is not State.CREATED
    if builder.operation is not None and builder.operation.kind is Kind.CREATE and moved_already:
        builder.set_operation(Status.DECLINED, failure=failure)
        if builder.payment.state not in (State.FAILED, State.CANCELED, State.EXPIRED):
            builder.flag(ReviewReason.CONTRADICTION, at)
    else:
        end_without_effect(builder, failure, Status.DECLINED)


def end_without_effect(builder: ChangeBuilder, failure: Failure, status: Status) -> None:
    """Settle an operation that certainly did nothing; a create's end is its payment's failure."""
    operation = builder.operation
    builder.set_operation(status, failure=failure, note=None)
    if operation is None:
        return
    if operation.kind is Kind.CREATE:
        if builder.payment.state is State.CREATED:
            builder.set(state=State.FAILED, failure=failure)
    elif operation.is_tenants and status is Status.DECLINED:
        builder.type = "operation.declined"


def resolve_from_payment(builder: ChangeBuilder, why: str) -> None:
    """Judge an operation whose reply leaves it open by the payment as it is now: a callback may have come first."""
    operation = builder.operation
    if operation is None or not operation.is_open or operation.kind is Kind.CREATE:
        leave_open(builder, why)
        return
    known = _observation_of(builder.payment)
    found = evidence(operation, known, Cause.CALLBACK)
    if found is Evidence.CONFIRMED:
        confirm(builder, operation, known)
    elif found is Evidence.RULED_OUT:
        _rule_out(builder)
    else:
        leave_open(builder, why)


def leave_open(builder: ChangeBuilder, why: str) -> None:
    """Keep the outcome open, unless a proved fact already showed that a create had its effect."""
    operation = builder.operation
    if operation is None or not operation.is_open:
        return
    if operation.kind is Kind.CREATE and builder.payment.state not in (State.CREATED, State.EXPIRED):
        builder.set_operation(Status.SUCCEEDED, note=why)
    else:
        builder.set_operation(Status.UNKNOWN, note=why)


def _observation_of(payment: Payment) -> Observation:
    """The payment as it is now, in the words of an observation."""
    return Observation(
        stage=_STAGE_OF.get(payment.state, Stage.UNKNOWN),
        amount=payment.money.amount,
        captured=payment.captured,
        refunded=payment.refunded,
    )


def record_absence(builder: ChangeBuilder, policy: Policy, at: datetime) -> None:
    """A lookup found nothing: it may prove, the second time, that an unknown create had no effect."""
    operation = builder.operation
    if operation is None or operation.kind is not Kind.CREATE or not policy.rules.absence_proves:
        return
    _record_contrary_read(builder, policy, at)
    if builder.operation is not None and builder.operation.status is Status.DECLINED:
        failure = Failure(code=FailureCode.NOT_CREATED, message="the provider knows no such payment")
        builder.set_operation(Status.DECLINED, failure=failure)
        if builder.payment.state is State.CREATED:
            builder.type = None
            builder.set(state=State.FAILED, failure=failure)


def apply_refunded_total(builder: ChangeBuilder, seen: Observation) -> None:
    """Follow the refunded total; the state follows from the money."""
    payment = builder.payment
    if seen.refunded is None or seen.refunded <= payment.refunded or not payment.captured:
        return
    whole = seen.refunded >= payment.captured
    builder.set(refunded=seen.refunded, state=State.REFUNDED if whole else State.PARTIALLY_REFUNDED)
    if builder.operation is None or builder.operation.kind is not Kind.REFUND:
        builder.details["made_elsewhere"] = "true"


NOTE_PAGE_UNKNOWN = (
    "nobody here knows the customer's page: the payment waits for its callback, or for a person to end it"
)
"""Told with a create that succeeded by a person's word alone."""


def _resolve_create_by_operator(
    builder: ChangeBuilder, decided: OperationResolved, failure: Failure | None, policy: Policy
) -> None:
    """Where the provider can be asked, a lookup finds the order and moves the payment, with all that it shows."""
    if failure is not None:
        builder.set(state=State.FAILED, failure=failure)
    elif decided.outcome == Status.SUCCEEDED and (decided.redirect_url is not None or not policy.lookups):
        builder.set(state=State.AWAITING_CUSTOMER, redirect_url=decided.redirect_url)
        if decided.redirect_url is None:
            builder.details["note"] = NOTE_PAGE_UNKNOWN


def resolve_by_operator(builder: ChangeBuilder, decided: OperationResolved, policy: Policy) -> None:
    """Settle by a person's word. What the operation would have moved is moved only by proof; this frees the payment.

    A create is the exception, since it moves no money: its order exists and waits for the customer, or it does not.
    """
    operation = builder.operation
    if operation is None or operation.status is not Status.UNKNOWN:
        return
    failure = None
    if decided.outcome == Status.DECLINED:
        code = FailureCode.NOT_CREATED if operation.kind is Kind.CREATE else FailureCode.NOT_DONE
        failure = Failure(code=code, message=decided.reason)
    if operation.kind is Kind.CREATE and builder.payment.state is State.CREATED:
        _resolve_create_by_operator(builder, decided, failure, policy)
    if decided.outcome == Status.SUCCEEDED:
        confirm(builder, operation, Observation(stage=Stage.UNKNOWN))
    builder.set_operation(Status(decided.outcome), failure=failure, note=f"{decided.actor}: {decided.reason}")
    builder.details |= {"actor": decided.actor, "reason": decided.reason, "outcome": decided.outcome}
    is_no = failure is not None and operation.is_tenants
    builder.type = builder.type or ("operation.declined" if is_no else "payment.updated")
