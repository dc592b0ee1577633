"""Why a proved callback is refused, as one sentence for people: what was sent, what is right, what it looks like.

It may quote a sender's text, so it must be masked before it is stored or shown. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from gateway.core.errors import Reason
from gateway.core.facts import Event, Stage
from gateway.core.matching import paid_again_by
from gateway.core.money import Money
from gateway.core.payment import Payment
from gateway.core.rules import Policy
from gateway.core.views import rfc3339

LARGEST_OFFSET = timedelta(hours=14)
"""How far local time lies from UTC, at most."""

_HALF_HOUR, _A_FEW_MINUTES = timedelta(minutes=30), timedelta(minutes=3)


REMEDIES: Mapping[Reason, str] = {
    Reason.CURRENCY: "send the payment's own currency",
    Reason.AMOUNT: "send the payment's amount; which others are accepted is a setting of the account (amount_rule)",
    Reason.TIME: "send when the payment ended, in UTC",
    Reason.NOT_FOUND: "send the id of the payment exactly as you were given it",
    Reason.NO_DEPOSIT_METHOD: "the operator lets a deposit method of the tenant name the account",
    Reason.REPEATED_FINAL: "send nothing more about this payment",
    Reason.IN_PROGRESS: "let that transaction end first",
}
"""What the sender of a proved callback does about a refusal."""


class RefusedCallback(msgspec.Struct, frozen=True):
    """A proved callback, the payment it is about, the policy it was evaluated under, and when it came."""

    payment: Payment
    event: Event
    policy: Policy
    at: datetime


def refusal_sentence(reason: Reason, case: RefusedCallback) -> str:
    """Say why a callback is refused. What its plugin says of an unreadable member goes first."""
    if case.event.problem is reason and case.event.detail:
        return case.event.detail
    return _SENTENCES[reason](case)


def allowed_times(case: RefusedCallback) -> tuple[datetime, datetime] | None:
    """The earliest and latest time that a callback about this payment may name; None: any."""
    allowed = case.policy.rules.time_window
    return None if allowed is None else (case.payment.created_at - allowed[0], case.at + allowed[1])


def _status(case: RefusedCallback) -> str:
    return f"the status {case.event.observation.raw_status or 'that was sent'} is not known"


def _currency(case: RefusedCallback) -> str:
    sent = case.event.observation.currency
    return f"{sent or 'no currency'} was sent, the payment is in {case.payment.money.currency}; nothing is converted"


def _amount(case: RefusedCallback) -> str:
    sent, wanted = case.event.observation.amount, case.payment.money
    if sent is None:
        return f"no amount was sent, the payment's is {wanted.text()}"
    if case.payment.stated is not None and sent == wanted.amount:
        return f"{sent:f} was sent; an operator entered {case.payment.captured:f} as captured"
    guess = _guess_of_amount(sent, wanted)
    return f"{sent:f} was sent, the payment's is {wanted.text()}" + (f": {guess}" if guess else "")


def _guess_of_amount(sent: Decimal, wanted: Money) -> str | None:
    if wanted.digits and sent == wanted.minor_units():
        return f"looks like the smallest unit of {wanted.currency}; send {wanted.shortest()}"
    if sent == -wanted.amount:
        return "the minus does not belong there"
    ratio = sent / wanted.amount if wanted.amount else Decimal(0)
    if ratio > 0 and ratio != 1 and ratio.normalize().as_tuple().digits == (1,):
        return "the decimal point is in the wrong place"
    if abs(sent - wanted.amount) * 2 < Decimal(1).scaleb(-wanted.digits):
        return f"{wanted.currency} has {wanted.digits} decimals; send {wanted.shortest()}"
    return None


def _time(case: RefusedCallback) -> str:
    sent, allowed = case.event.occurred_at, allowed_times(case)
    if sent is None:
        return "no time was sent"
    if allowed is None:
        return f"the time {rfc3339(sent)} cannot be used"
    guess = _guess_of_time(sent - case.at)
    between = f"{rfc3339(sent)} was sent, it may be {rfc3339(allowed[0])} to {rfc3339(allowed[1])}"
    return between + (f": {guess}" if guess else "")


def _guess_of_time(ahead: timedelta) -> str | None:
    """What a time that lies so far ahead of the callback's arrival looks like."""
    steps = round(ahead / _HALF_HOUR)
    is_offset = steps != 0 and abs(ahead) <= LARGEST_OFFSET and abs(ahead - steps * _HALF_HOUR) <= _A_FEW_MINUTES
    if not is_offset:
        return None
    hours = f"{'+' if steps > 0 else '-'}{abs(steps) // 2:02d}:{abs(steps) % 2 * 30:02d}"
    return f"looks like local time of UTC{hours} sent as if it were UTC"


def _final(case: RefusedCallback) -> str:
    state, stage = case.payment.state, case.event.observation.stage
    second = paid_again_by(case.payment, case.event.observation)
    if second is not None:
        return (
            f"the payment is {state} by {_named(case.payment.provider_reference)}; this success names {_named(second)}:"
            " the customer may have paid twice. This money is not booked: look, and refund it at the provider"
        )
    return (
        f"the payment is {state} already; {_MEETS.get(stage, 'this callback')} was not applied before and is too late"
    )


_MEETS = {Stage.CAPTURED: "this success", Stage.FAILED: "this failure", Stage.PROCESSING: '"processing"'}


def _in_progress(case: RefusedCallback) -> str:
    known, sent = case.payment.provider_reference, case.event.observation.provider_reference
    return f"the payment is processing under {_named(known)}, this callback names {_named(sent)}"


def _named(reference: str | None) -> str:
    return "no transaction" if reference is None else f"transaction {reference[:64]}"


_SENTENCES: Mapping[Reason, Callable[[RefusedCallback], str]] = {
    Reason.STATUS: _status,
    Reason.CURRENCY: _currency,
    Reason.AMOUNT: _amount,
    Reason.TIME: _time,
    Reason.REPEATED_FINAL: _final,
    Reason.IN_PROGRESS: _in_progress,
    Reason.NOT_FOUND: lambda case: f"it does not fit payment {case.payment.id}",
}
