"""Enter a state, with all that belongs to it: by what a provider proved, or by a person's word."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from gateway.core.draft import Draft
from gateway.core.facts import Observation, Resolved, Stage
from gateway.core.fitting import captured_by
from gateway.core.payment import Failure, FailureCode, State
from gateway.core.rules import Terms
from gateway.core.truth import EXPIRES, TAKEN


def enter(draft: Draft, state: State, seen: Observation, terms: Terms, at: datetime) -> None:
    """Enter a proved state; amounts, the deadline and alerts follow from it. ``truth`` clears what it ends."""
    payment = draft.payment
    draft.set(state=state)
    match state:
        case State.AUTHORIZED:
            deadline = terms.rules.capture_deadline
            capture_by = at + deadline if deadline is not None else None
            draft.set(accepted_amount=payment.money.amount, capture_by=capture_by)
        case State.CAPTURED:
            draft.set(captured=captured_by(payment, draft.operation, seen, terms))
        case State.FAILED:
            draft.set(failure=Failure(code=FailureCode.DECLINED, message="failed", provider_code=seen.raw_status))
        case State.CANCELED:
            draft.alerts.append("customer_notified_of_cancel")
        case _:
            pass


def resolve(draft: Draft, decided: Resolved, terms: Terms, at: datetime) -> None:
    """Clear the flag by a person's word, name the page they found, enter the state they know better."""
    draft.set(review=None)
    payment = draft.payment
    state = State(decided.state) if decided.state is not None else payment.state
    if decided.redirect_url is not None:
        draft.set(redirect_url=decided.redirect_url)
        state = State.AWAITING_CUSTOMER if state is State.CREATED else state
    is_same = state is payment.state or (state is State.CAPTURED and payment.state in TAKEN)
    if not is_same:
        _set_by_hand(draft, state, decided.reason, terms, at)
    draft.details |= {"actor": decided.actor, "reason": decided.reason}
    draft.type = "payment.updated"


def _set_by_hand(draft: Draft, state: State, why: str, terms: Terms, at: datetime) -> None:
    """Enter a state by a person's word, with what belongs to it; outside of the captured states nothing is captured."""
    payment = draft.payment
    draft.set(state=state, captured=Decimal(0))
    match state:
        case State.AUTHORIZED | State.CAPTURED:
            enter(draft, state, Observation(stage=Stage.UNKNOWN), terms, at)
        case State.FAILED:
            draft.set(failure=Failure(code=FailureCode.NOT_DONE, message=why))
        case State.EXPIRED:
            draft.set(expired_at=at)
        case _ if state in EXPIRES and payment.expires_at is None and terms.expiry is not None:
            draft.set(expires_at=at + terms.expiry)
        case _:
            pass
