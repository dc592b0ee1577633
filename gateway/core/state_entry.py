"""Enter a state and set all members that belong to it: as a provider proved, or as an operator decided."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from gateway.core.change import ChangeBuilder
from gateway.core.facts import Observation, ReviewResolved, Stage
from gateway.core.matching import captured_by
from gateway.core.payment import Failure, FailureCode, State
from gateway.core.rules import Policy
from gateway.core.state_members import EXPIRABLE, MONEY_TAKEN


def enter(builder: ChangeBuilder, state: State, seen: Observation, policy: Policy, at: datetime) -> None:
    """Enter a proved state; amounts, the deadline and alerts follow from it. ``truth`` clears what it ends."""
    payment = builder.payment
    builder.set(state=state, stated=None)
    match state:
        case State.AUTHORIZED:
            deadline = policy.rules.capture_deadline
            capture_by = at + deadline if deadline is not None else None
            builder.set(accepted_amount=payment.money.amount, capture_by=capture_by)
        case State.CAPTURED:
            builder.set(captured=captured_by(payment, builder.operation, seen, policy))
        case State.FAILED:
            builder.set(failure=Failure(code=FailureCode.DECLINED, message="failed", provider_code=seen.raw_status))
        case State.CANCELED:
            builder.alerts.append("customer_notified_of_cancel")
        case _:
            pass


def resolve_review(builder: ChangeBuilder, decided: ReviewResolved, policy: Policy, at: datetime) -> None:
    """Clear the review flag, store the page the operator found, and enter the state the operator gave."""
    builder.set(review=None, stated=None)
    payment = builder.payment
    state = State(decided.state) if decided.state is not None else payment.state
    if decided.redirect_url is not None:
        builder.set(redirect_url=decided.redirect_url)
        state = State.AWAITING_CUSTOMER if state is State.CREATED else state
    is_same = state is payment.state or (state is State.CAPTURED and payment.state in MONEY_TAKEN)
    if not is_same:
        enter_by_operator(builder, state, decided.reason, policy, at)
        builder.set(stated=payment.provider_reference or "")
    if decided.refunded is not None:
        builder.set(refunded=decided.refunded, state=_state_of_refunded(decided.refunded, payment.captured))
    builder.details |= {"actor": decided.actor, "reason": decided.reason}
    builder.type = "payment.updated"


def _state_of_refunded(refunded: Decimal, captured: Decimal) -> State:
    if refunded == 0:
        return State.CAPTURED
    return State.REFUNDED if refunded >= captured else State.PARTIALLY_REFUNDED


def enter_by_operator(builder: ChangeBuilder, state: State, why: str, policy: Policy, at: datetime) -> None:
    """Enter a state that an operator gave; outside the captured states nothing counts as captured."""
    payment = builder.payment
    builder.set(state=state, captured=payment.captured if state is State.CAPTURED else Decimal(0))
    match state:
        case State.AUTHORIZED | State.CAPTURED:
            enter(builder, state, Observation(stage=Stage.UNKNOWN), policy, at)
        case State.FAILED:
            builder.set(failure=Failure(code=FailureCode.NOT_DONE, message=why))
        case State.EXPIRED:
            builder.set(expired_at=at)
        case _ if state in EXPIRABLE and payment.expires_at is None and policy.expiry is not None:
            builder.set(expires_at=at + policy.expiry)
        case _:
            pass
