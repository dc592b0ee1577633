"""Resolve an operation: by its own reply, by what a lookup or a proved callback shows, or by an operator.

The clock never resolves one. That an effect is absent is proved by two reads a quiet period apart.
"""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from gateway.core.change import ChangeBuilder
from gateway.core.commands import Kind
from gateway.core.facts import Absent, Cause, Declined, Observation, OperationResolved, Stage
from gateway.core.payment import Failure, FailureCode, Operation, Payment, ReviewReason, State, Status
from gateway.core.repeats import is_under_way
from gateway.core.rules import Policy
from gateway.core.state_members import MONEY_TAKEN
from gateway.core.totals import apply_captured_total

REPLY_KNOWS_MORE = frozenset({Kind.CREATE, Kind.COMPLETE})
"""While these wait for their reply, no lookup resolves them: only the reply has the address of the payment page, and
only it says whether the provider took the completion."""

STAGE_OF = {
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


class Evidence(enum.Enum):
    """What an observation says about an operation's effect."""

    CONFIRMED = enum.auto()
    NOT_YET = enum.auto()
    RULED_OUT = enum.auto()
    INCONCLUSIVE = enum.auto()


_EVIDENCE_BY_STAGE: dict[Kind, dict[Stage, Evidence]] = {
    Kind.COMPLETE: {
        Stage.AWAITING_CUSTOMER: Evidence.NOT_YET,
        Stage.PROCESSING: Evidence.NOT_YET,
        Stage.AUTHORIZED: Evidence.CONFIRMED,
        Stage.CAPTURED: Evidence.CONFIRMED,
        Stage.FAILED: Evidence.RULED_OUT,
        Stage.CANCELED: Evidence.RULED_OUT,
    },
    Kind.CAPTURE: {
        Stage.AUTHORIZED: Evidence.NOT_YET,
        Stage.CAPTURED: Evidence.CONFIRMED,
        Stage.FAILED: Evidence.RULED_OUT,
        Stage.CANCELED: Evidence.RULED_OUT,
    },
    Kind.CANCEL: {
        Stage.AWAITING_CUSTOMER: Evidence.NOT_YET,
        Stage.PROCESSING: Evidence.NOT_YET,
        Stage.AUTHORIZED: Evidence.NOT_YET,
        Stage.CAPTURED: Evidence.RULED_OUT,
        Stage.FAILED: Evidence.RULED_OUT,
        Stage.CANCELED: Evidence.CONFIRMED,
    },
}


_TAKES_NO_MORE = frozenset({Stage.CAPTURED, Stage.FAILED, Stage.CANCELED})
"""Stages of a payment of which nothing more can be captured."""


def evidence(operation: Operation, seen: Observation, cause: Cause) -> Evidence:
    """Compare an observation with the stage or total that the operation brings about, and with the facts before."""
    match operation.kind:
        case Kind.CREATE:
            return Evidence.CONFIRMED
        case Kind.UPDATE:
            return _evidence_by_total(seen.amount, operation.amount, operation.before.amount, cause)
        case Kind.REFUND:
            before = operation.before.refunded
            return _evidence_by_total(seen.refunded, before + operation.amount, before, cause)
        case Kind.CAPTURE if operation.final is not None:
            return _evidence_of_part(operation, seen, cause)
        case Kind.CANCEL if operation.before.captured and seen.stage is Stage.CAPTURED:
            return Evidence.CONFIRMED if seen.captured in (None, operation.before.captured) else Evidence.RULED_OUT
        case Kind.COMPLETE:
            if cause is Cause.REPLY and seen.stage is Stage.UNKNOWN:
                return Evidence.CONFIRMED
            # The customer's acceptance makes the stage, with or without a completion: it shows nothing.
            if cause is not Cause.REPLY and seen.stage is Stage.AUTHORIZED:
                return Evidence.NOT_YET
    return _EVIDENCE_BY_STAGE[operation.kind].get(seen.stage, Evidence.INCONCLUSIVE)


def _evidence_by_total(seen: Decimal | None, after: Decimal, before: Decimal, cause: Cause) -> Evidence:
    if cause is not Cause.REPLY and after == before:
        return Evidence.NOT_YET  # the total cannot show it; said to be not done, it may safely be asked for again
    if seen == after or (seen is None and cause is Cause.REPLY):
        return Evidence.CONFIRMED
    return Evidence.NOT_YET if seen == before else Evidence.INCONCLUSIVE


def _evidence_of_part(operation: Operation, seen: Observation, cause: Cause) -> Evidence:
    """What is shown of a capture that others may follow: the total decides. ``authorized`` alone shows nothing of it,
    but in its own reply, which accepted it."""
    before = operation.before.captured
    if seen.captured is not None:
        found = _evidence_by_total(seen.captured, before + operation.amount, before, cause)
        return Evidence.RULED_OUT if found is Evidence.NOT_YET and seen.stage in _TAKES_NO_MORE else found
    if seen.stage is Stage.AUTHORIZED:
        return Evidence.CONFIRMED if cause is Cause.REPLY else Evidence.INCONCLUSIVE
    return _EVIDENCE_BY_STAGE[Kind.CAPTURE].get(seen.stage, Evidence.INCONCLUSIVE)


def resolve(
    builder: ChangeBuilder, seen: Observation, cause: Cause, policy: Policy, at: datetime, *, is_under_way: bool = False
) -> None:
    """Resolve the open operation as far as an observation shows its outcome.

    ``is_under_way``: it says of the operation itself that it has none yet, so what it does not show proves nothing.
    """
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
    elif is_under_way and cause is not Cause.REPLY:
        pass
    elif _status_contradicts_total(operation, seen) and (cause is Cause.REPLY or operation.status is Status.UNKNOWN):
        builder.set_operation(Status.UNKNOWN, note="the status says that it is over, the refunded total does not")
        builder.flag(ReviewReason.REFUND_UNCLEAR, at)
    elif cause is Cause.REPLY:
        resolve_from_payment(builder, "the answer does not show the effect")
    elif cause is Cause.LOOKUP and found is Evidence.NOT_YET:
        _record_contrary_read(builder, policy, at)
    elif cause is Cause.LOOKUP and operation.kind is Kind.REFUND and seen.refunded is not None:
        builder.flag(ReviewReason.REFUND_UNCLEAR, at)
    elif cause is Cause.LOOKUP and operation.final is not None and seen.captured is not None:
        builder.flag(ReviewReason.AMOUNT, at)


def _status_contradicts_total(operation: Operation, seen: Observation) -> bool:
    """Whether the status says that a refund ended while the refunded total did not move: the outcome is unclear."""
    is_total = operation.kind is Kind.REFUND and seen.refunded is not None
    return is_total and seen.stage in (Stage.CANCELED, Stage.UNKNOWN)


def confirm(builder: ChangeBuilder, operation: Operation, seen: Observation) -> None:
    """Mark the operation succeeded and record what no stage shows: completion, new amount, an unnamed total."""
    builder.set_operation(Status.SUCCEEDED, note=None, failure=None)
    match operation.kind:
        case Kind.CREATE:  # as most
            pass
        case Kind.COMPLETE:
            builder.set(completed=True)
        case Kind.UPDATE:
            _apply_new_total(builder, operation)
        case Kind.CAPTURE if operation.final is not None:
            apply_captured_total(builder, operation.before.captured + operation.amount, closes=operation.final)
        case Kind.REFUND if seen.refunded is None:
            apply_refunded_total(builder, _refunded_with(builder.payment, operation))
        case _:
            pass


def _refunded_with(payment: Payment, operation: Operation) -> Decimal:
    """The refunded total with this refund: what it has grown by meanwhile holds the whole of it, or nothing of it."""
    grown = payment.refunded - operation.before.refunded
    return payment.refunded if grown >= operation.amount else min(payment.refunded + operation.amount, payment.captured)


def _apply_new_total(builder: ChangeBuilder, operation: Operation) -> None:
    """Give the payment the total of a successful update and, where the update had one, its order."""
    order = operation.order if operation.order is not None else builder.payment.order
    builder.set(money=builder.payment.money.with_amount(operation.amount), order=order)


def _record_contrary_read(builder: ChangeBuilder, policy: Policy, at: datetime) -> None:
    """Record a read that shows no effect. The first starts the quiet period; one after it proves the absence."""
    operation = builder.operation
    if operation is None or operation.status is not Status.UNKNOWN or is_under_way(operation, at):
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
    """Decline the operation. For a create that a callback has already proved, this contradicts: flag the payment."""
    failure = Failure(code=FailureCode.DECLINED, message=no.message[:500], provider_code=no.code)
    moved_already = builder.payment.state is not State.CREATED
    if builder.operation is not None and builder.operation.kind is Kind.CREATE and moved_already:
        builder.set_operation(Status.DECLINED, failure=failure)
        if builder.payment.state not in (State.FAILED, State.CANCELED, State.EXPIRED):
            builder.flag(ReviewReason.CONTRADICTION, at)
    else:
        end_without_effect(builder, failure, Status.DECLINED)


def end_without_effect(builder: ChangeBuilder, failure: Failure, status: Status) -> None:
    """End an operation that certainly had no effect; for a create its payment fails with it."""
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
    """Resolve an operation whose reply leaves it open from the payment as it is: a callback may have come first."""
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
    """Keep the outcome open, unless a proved fact has already shown that a create had its effect."""
    operation = builder.operation
    if operation is None or not operation.is_open:
        return
    if operation.kind is Kind.CREATE and builder.payment.state not in (State.CREATED, State.EXPIRED):
        builder.set_operation(Status.SUCCEEDED, note=why)
    else:
        builder.set_operation(Status.UNKNOWN, note=why)


def _observation_of(payment: Payment) -> Observation:
    """Express the payment as it is now as an observation."""
    return Observation(
        stage=STAGE_OF.get(payment.state, Stage.UNKNOWN),
        amount=payment.money.amount,
        captured=payment.captured,
        refunded=payment.refunded,
    )


def record_absence(builder: ChangeBuilder, absent: Absent, policy: Policy, at: datetime) -> None:
    """Record a lookup that found nothing. The second one may prove that an unknown operation had no effect."""
    operation = builder.operation
    if operation is None or not policy.rules.absence_proves:
        return
    is_create = operation.kind is Kind.CREATE
    if absent.operation_id != operation.id and not (is_create and absent.operation_id is None):
        return
    _record_contrary_read(builder, policy, at)
    if is_create and builder.operation is not None and builder.operation.status is Status.DECLINED:
        failure = Failure(code=FailureCode.NOT_CREATED, message="the provider knows no such payment")
        builder.set_operation(Status.DECLINED, failure=failure)
        if builder.payment.state is State.CREATED:
            builder.type = None
            builder.set(state=State.FAILED, failure=failure)


def apply_refunded_total(builder: ChangeBuilder, refunded: Decimal) -> None:
    """Take over a higher refunded total; the state follows from the amounts."""
    payment = builder.payment
    if refunded <= payment.refunded or payment.state not in MONEY_TAKEN:
        return
    whole = refunded >= payment.captured
    builder.set(refunded=refunded, state=State.REFUNDED if whole else State.PARTIALLY_REFUNDED)
    if builder.operation is None or builder.operation.kind is not Kind.REFUND:
        builder.details["made_elsewhere"] = "true"


NOTE_PAGE_UNKNOWN = (
    "nobody here knows the customer's page: the payment waits for its callback, or for a person to end it"
)
"""The note of a create that an operator resolved as succeeded without knowing the page."""


def _resolve_create_by_operator(
    builder: ChangeBuilder, decided: OperationResolved, failure: Failure | None, policy: Policy
) -> None:
    """Move the payment of a create. Where lookups work, the next one finds the order and moves the payment instead."""
    if decided.provider_reference is not None:
        builder.set(provider_reference=decided.provider_reference)
    if failure is not None:
        builder.set(state=State.FAILED, failure=failure)
    elif decided.outcome == Status.SUCCEEDED and (decided.redirect_url is not None or not policy.lookups):
        builder.set(state=State.AWAITING_CUSTOMER, redirect_url=decided.redirect_url)
        if decided.redirect_url is None:
            builder.details["note"] = NOTE_PAGE_UNKNOWN


def resolve_by_operator(builder: ChangeBuilder, decided: OperationResolved, policy: Policy) -> None:
    """Resolve an unknown operation as an operator decided. This frees the payment; only proof moves its money.

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
