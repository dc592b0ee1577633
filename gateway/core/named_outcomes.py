"""Outcomes that a provider reports for one operation by its id: they end an open one, or contradict an ended one.

They count where totals and stages say nothing, as for refunds that are answered 202 and confirmed by a delta. Where a
total or a stage says otherwise, nothing is guessed: the payment goes to review.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from gateway.core.change import ChangeBuilder
from gateway.core.commands import Kind
from gateway.core.facts import Cause, Declined, Observation, OperationOutcome, Stage, Succeeded
from gateway.core.ids import refund_id
from gateway.core.operation_outcome import Evidence, confirm, decline, evidence
from gateway.core.payment import Operation, ReviewReason, Status

MAX_DENIED_OPERATIONS = 10
"""Ended operations that are kept per payment as denied; one beyond that is reported each time it comes."""

_STAGE_OF_SUCCESS = {Kind.CAPTURE: Stage.CAPTURED, Kind.CANCEL: Stage.CANCELED}
"""The stage that a payment has reached when an operation of this kind has succeeded; a capture that others may follow
has a total and no stage."""

_REVIEW = {Kind.REFUND: ReviewReason.REFUND_UNCLEAR, Kind.UPDATE: ReviewReason.AMOUNT}
"""Why a payment goes to review where a total denies what is reported; of other kinds it is ``contradiction``."""

_NOT_BEGUN = frozenset({Stage.UNKNOWN, Stage.FAILED, Stage.CANCELED})
"""Stages that a payment whose create was declined may show."""


def names(operation: Operation, reported: OperationOutcome) -> bool:
    """Whether an outcome is of this operation. Our id decides, where it is given."""
    if reported.operation_id is not None:
        return reported.operation_id == operation.id
    return reported.provider_id == operation.provider_id


def note_outcomes(builder: ChangeBuilder, reported: Iterable[OperationOutcome], at: datetime) -> None:
    """Note what is reported of the open operation, which ``end_as_reported`` then uses, and of those that have ended.

    What names neither was done elsewhere, such as at the provider's portal: it moves nothing.
    """
    for one in reported:
        operation = builder.operation
        if operation is not None and operation.is_open and names(operation, one):
            _note(builder, operation, one, at)
        elif one.outcome is not None:
            of = next((other for other in builder.ended if not other.is_open and names(other, one)), None)
            if of is not None:
                _deny(builder, of, one.outcome, at)


def waits_for_reply(operation: Operation, cause: Cause) -> bool:
    """Whether what is reported counts only once the operation's own reply is there, which may say otherwise."""
    return operation.status is Status.SENDING and cause is not Cause.REPLY


def end_as_reported(
    builder: ChangeBuilder, reported: Succeeded | Declined, seen: Observation, cause: Cause, at: datetime
) -> Observation:
    """End the open operation, unless what is seen denies it. Returns what is seen, with the stage that follows.

    ``cause`` is REPLY only where the reply itself means that the operation was done.
    """
    if builder.operation is None:
        return seen
    operation = builder.operation = replace(builder.operation, reported=None)
    if isinstance(reported, Declined):
        if _shows_effect(operation, seen, cause):
            leave_to_a_person(builder, reported, at)
        else:
            decline(builder, reported, at)
        return seen
    if _shows_no_effect(operation, seen, cause):
        leave_to_a_person(builder, reported, at)
        return seen
    is_total = seen.refunded is not None and seen.refunded >= operation.before.refunded + operation.amount
    confirm(builder, operation, seen if is_total else replace(seen, refunded=None))
    return seen if operation.final is False else replace(seen, stage=_STAGE_OF_SUCCESS.get(operation.kind, seen.stage))


def leave_to_a_person(builder: ChangeBuilder, reported: Succeeded | Declined, at: datetime) -> None:
    """Keep the outcome of the open operation open: the provider says one thing of it and shows another."""
    operation = builder.operation
    if operation is not None:
        problem = f"the provider says that {_described(operation)} {_word(reported)}, and shows otherwise"
        builder.flag(_REVIEW.get(operation.kind, ReviewReason.CONTRADICTION), at, problem)
        builder.set_operation(Status.UNKNOWN, note=problem, reported=None)


def _note(builder: ChangeBuilder, operation: Operation, one: OperationOutcome, at: datetime) -> None:
    """A provider that knows the operation has not lost it: reads that did not show its effect prove nothing more."""
    before, outcome = operation.reported, one.outcome or operation.reported
    provider_id = one.provider_id or operation.provider_id
    builder.operation = replace(operation, provider_id=provider_id, reported=outcome, contrary_since=None)
    builder.is_news = builder.is_news or builder.operation != operation
    if before is not None and outcome is not None and type(before) is not type(outcome):
        leave_to_a_person(builder, outcome, at)


def _shows_effect(operation: Operation, seen: Observation, cause: Cause) -> bool:
    if operation.kind is Kind.CREATE:
        return seen.stage not in _NOT_BEGUN
    return evidence(operation, seen, cause) is Evidence.CONFIRMED


def _shows_no_effect(operation: Operation, seen: Observation, cause: Cause) -> bool:
    """Whether a total is given that the operation would have changed, or a stage that excludes it."""
    before = operation.before
    match operation.kind:
        case Kind.CREATE:
            return False
        case Kind.UPDATE:
            return seen.amount not in (None, operation.amount)
        case Kind.REFUND:
            return _falls_short(seen.refunded, before.refunded, operation)
        case Kind.CAPTURE if operation.final is not None and seen.captured is not None:
            return _falls_short(seen.captured, before.captured, operation)
        case _:
            return evidence(operation, seen, cause) is Evidence.RULED_OUT


def _falls_short(total: Decimal | None, before: Decimal, operation: Operation) -> bool:
    return total is not None and before <= total < before + operation.amount


def _deny(builder: ChangeBuilder, ended: Operation, reported: Succeeded | Declined, at: datetime) -> None:
    """Report that the provider now says otherwise of an operation that has ended, once. Totals stay as they are."""
    known = builder.payment.denied_operations
    is_same = isinstance(reported, Succeeded) is (ended.status is Status.SUCCEEDED)
    if is_same or ended.id in known:
        return
    is_reversed = ended.kind is Kind.REFUND and isinstance(reported, Declined)
    reason = ReviewReason.REFUND_REVERSED if is_reversed else ReviewReason.CONTRADICTION
    builder.flag(reason, at, f"{_described(ended)} is {ended.status}; the provider says that it {_word(reported)}")
    builder.details |= _details_of(ended, reported)
    builder.set(denied_operations=(*known, ended.id)[:MAX_DENIED_OPERATIONS])
    builder.type = builder.type or "payment.updated"
    builder.is_news = True


def _details_of(ended: Operation, reported: Succeeded | Declined) -> dict[str, str]:
    found = {"operation_id": ended.id, "kind": str(ended.kind), "amount": f"{ended.amount:f}"}
    if ended.kind is Kind.REFUND:
        found["refund_id"] = refund_id(ended.id)
    if isinstance(reported, Declined) and reported.code:
        found["provider_code"] = reported.code
    return found


def _described(operation: Operation) -> str:
    identifier = refund_id(operation.id) if operation.kind is Kind.REFUND else operation.id
    return f"{operation.kind} {identifier} of {operation.amount:f}"


def _word(reported: Succeeded | Declined) -> str:
    if isinstance(reported, Succeeded):
        return "succeeded"
    return f"was declined ({reported.code})" if reported.code else "was declined"
