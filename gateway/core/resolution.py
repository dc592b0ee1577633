"""An operator states a payment's outcome: whether the evidence is consistent, and what it changes. Pure.

The statement counts until the provider reports something. A report that agrees confirms it: it moves no money and is
not a second capture. A report that contradicts it raises the review flag, as with anything proved.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from gateway.core.change import ChangeBuilder
from gateway.core.commands import Kind
from gateway.core.facts import Cause, Observation, PaymentResolved, Stage
from gateway.core.matching import captured_by, paid_again_by
from gateway.core.operation_outcome import STAGE_OF, Evidence, confirm, evidence
from gateway.core.payment import Failure, FailureCode, Operation, Payment, State, Status
from gateway.core.repeats import is_under_way
from gateway.core.rules import Policy, amount_matches
from gateway.core.state_entry import enter_by_operator
from gateway.core.state_members import MONEY_TAKEN

CAPTURED, REFUNDED, REFERENCE = "$.amount_captured", "$.amount_refunded", "$.provider_reference"
NOTHING = Decimal(0)


def totals_of(
    payment: Payment, operation: Operation | None, decided: PaymentResolved, policy: Policy
) -> tuple[Decimal, Decimal]:
    """What was captured and refunded in all: as given, else as the state, the open operation and the record imply."""
    state = State(decided.state)
    implied = NOTHING
    if state in MONEY_TAKEN:
        implied = captured_by(payment, operation, Observation(stage=Stage.UNKNOWN), policy)
    elif state is payment.state:
        implied = payment.captured  # in parts
    captured = implied if decided.captured is None else decided.captured
    implied = captured if state is State.REFUNDED else payment.refunded
    return captured, implied if decided.refunded is None else decided.refunded


def evidence_problems(
    payment: Payment, operation: Operation | None, decided: PaymentResolved, policy: Policy
) -> list[tuple[str, str]]:
    """Every (field, problem) of evidence that contradicts itself or the record."""
    captured, refunded = totals_of(payment, operation, decided, policy)
    state = State(decided.state)
    found = [(CAPTURED, one) for one in _captured_problems(payment, state, captured, policy)]
    found += [(REFUNDED, one) for one in _refunded_problems(payment, state, captured, refunded)]
    given = {CAPTURED: decided.captured, REFUNDED: decided.refunded}
    return [(field if given[field] is not None else "$.state", f"{_NAMED[field]}{why}") for field, why in found]


_NAMED = {CAPTURED: "the captured total ", REFUNDED: "the refunded total "}


def proved_problem(
    payment: Payment, operation: Operation | None, decided: PaymentResolved, policy: Policy
) -> str | None:
    """Why the version must be named: the provider proved that more was captured than is entered now."""
    captured, _ = totals_of(payment, operation, decided, policy)
    if payment.stated is not None or captured >= payment.captured:
        return None
    proved = f"{payment.captured:f} {payment.money.currency}"
    return (
        f"must be named: the provider proved that {proved} were captured, and {decided.state} with {captured:f} takes"
        f" that back; look at the payment, which is {payment.state} in version {payment.version}, first"
    )


def _captured_problems(payment: Payment, state: State, captured: Decimal, policy: Policy) -> Iterator[str]:
    agreed = payment.money
    in_parts = policy.rules.captures == "many"
    if captured > agreed.amount and not amount_matches(policy.rules.amount, captured, agreed.amount):
        yield f"{captured:f} is more than the payment's amount, {agreed.text()} {agreed.currency}"
    elif captured < payment.disputed:
        yield f"{captured:f} is less than the {payment.disputed:f} that are disputed"
    if state in MONEY_TAKEN and captured <= NOTHING:
        yield f"must be more than 0 of a payment that is {state}"
    elif state is State.AUTHORIZED and in_parts and not NOTHING <= captured < agreed.amount:
        yield f"must be less than {agreed.text()} of a payment that is authorized: {captured:f} is given"
    elif state not in MONEY_TAKEN and captured and not (state is State.AUTHORIZED and in_parts):
        yield f"must be 0 of a payment that is {state}: {captured:f} is not"


def _refunded_problems(payment: Payment, state: State, captured: Decimal, refunded: Decimal) -> Iterator[str]:
    if refunded < NOTHING:
        yield "must not be less than 0"
    if refunded > captured:
        yield f"{refunded:f} is more than the captured total, {captured:f}"
    if refunded < payment.refunded and not payment.denied_operations:
        yield (
            f"{refunded:f} is less than the {payment.refunded:f} on record, and the provider has not denied how a"
            " refund ended"
        )
    if state is State.PARTIALLY_REFUNDED and not NOTHING < refunded < captured:
        yield f"must be between 0 and {captured:f} of a payment that is partially_refunded: {refunded:f} is not"
    elif state is State.REFUNDED and refunded != captured:
        yield f"must be {captured:f}, all that was captured, of a payment that is refunded: {refunded:f} is not"
    elif state not in (State.PARTIALLY_REFUNDED, State.REFUNDED) and refunded:
        yield f"must be 0 of a payment that is {state}: {refunded:f} is not"


def outcome_shown(
    payment: Payment, operation: Operation, decided: PaymentResolved, policy: Policy, at: datetime
) -> Status | None:
    """How an unknown operation ended by this evidence; None: it does not decide.

    That an effect is not there counts once no late one can come any more, as with lookups.
    """
    if operation.status is not Status.UNKNOWN:
        return None
    state, named = State(decided.state), decided.provider_reference or payment.provider_reference
    if operation.kind is Kind.CREATE:
        is_absent = state is State.FAILED and named is None
        return None if state is State.EXPIRED else Status.DECLINED if is_absent else Status.SUCCEEDED
    if operation.kind is Kind.COMPLETE and state is State.AUTHORIZED:
        return Status.SUCCEEDED
    found = evidence(operation, _seen(payment, operation, decided, policy), Cause.OPERATOR)
    is_late = at - operation.created_at >= policy.quiet_period and not is_under_way(operation, at)
    if found is Evidence.CONFIRMED:
        return Status.SUCCEEDED
    return Status.DECLINED if found is Evidence.RULED_OUT or (found is Evidence.NOT_YET and is_late) else None


def _seen(payment: Payment, operation: Operation, decided: PaymentResolved, policy: Policy) -> Observation:
    """The evidence as an observation. A refunded total that was not looked up shows nothing of a refund."""
    captured, refunded = totals_of(payment, operation, decided, policy)
    is_known = decided.refunded is not None or decided.state == State.REFUNDED
    stage = STAGE_OF.get(State(decided.state), Stage.UNKNOWN)
    return Observation(stage=stage, captured=captured, refunded=refunded if is_known else None)


def resolve_payment(builder: ChangeBuilder, decided: PaymentResolved, policy: Policy, at: datetime) -> None:
    """Enter what an operator found, end the open operation as that shows, clear the review flag."""
    payment, state = builder.payment, State(decided.state)
    captured, refunded = totals_of(payment, builder.operation, decided, policy)
    builder.type = "payment.updated"
    if builder.operation is not None:
        _end_operation(builder, builder.operation, decided, policy, at)
    if state is not builder.payment.state:
        enter_by_operator(builder, state, decided.reason, policy, at)
    if state is State.FAILED and builder.operation is not None and builder.operation.kind is Kind.CREATE:
        builder.set(failure=builder.operation.failure or builder.payment.failure)
    is_news = (state, captured) != (payment.state, payment.captured) or state is State.EXPIRED
    is_unconfirmed = is_news or (payment.stated is not None and payment.review is None)
    builder.set(
        captured=captured,
        refunded=refunded,
        provider_reference=decided.provider_reference or payment.provider_reference,
        completed=payment.completed or state in MONEY_TAKEN or state is State.AUTHORIZED,
        review=None,
        stated=_transaction(payment, decided) if is_unconfirmed else None,
    )
    builder.details |= {"actor": decided.actor, "reason": decided.reason}


def _transaction(payment: Payment, decided: PaymentResolved) -> str:
    """The transaction that is meant: as named now or before, else the known one where a success was proved already."""
    is_proved = payment.state in MONEY_TAKEN or payment.review is not None
    known = payment.provider_reference if is_proved else None
    return decided.provider_reference or (payment.stated if payment.stated is not None else known) or ""


def _end_operation(
    builder: ChangeBuilder, operation: Operation, decided: PaymentResolved, policy: Policy, at: datetime
) -> None:
    outcome = outcome_shown(builder.payment, operation, decided, policy, at)
    if outcome is None:
        return
    builder.details["outcome"] = outcome
    note = f"{decided.actor}: {decided.reason}"
    if outcome is Status.SUCCEEDED:
        confirm(builder, operation, _seen(builder.payment, operation, decided, policy))
        builder.set_operation(outcome, note=note)
        return
    code = FailureCode.NOT_CREATED if operation.kind is Kind.CREATE else FailureCode.NOT_DONE
    builder.set_operation(outcome, failure=Failure(code=code, message=decided.reason), note=note)
    if operation.is_tenants:
        builder.type = "operation.declined"


def confirm_statement(builder: ChangeBuilder, seen: Observation, policy: Policy) -> None:
    """Take what agrees with an operator's statement for its confirmation: not for a repetition, and nothing moves."""
    payment, named = builder.payment, seen.provider_reference
    agrees = seen.stage is STAGE_OF.get(payment.state) and paid_again_by(payment, seen) is None
    if payment.stated is None or not agrees:
        return
    builder.is_news = True
    builder.set(stated=None)
    known = payment.provider_reference
    if payment.stated == "" and not policy.lookups and None not in (named, known) and named != known:
        builder.set(provider_reference=named)
        builder.details["provider_reference_before"] = known or ""
