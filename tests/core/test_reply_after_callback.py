"""A proved callback comes before the reply it is about: in either order an operation ends alike, and at once."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from gateway.core.commands import Kind
from gateway.core.facts import Cause, Declined, Fact, Observation, Pending, Stage, Unknown
from gateway.core.payment import Before, Operation, Payment, State, Status
from tests.support.factories.payments import TOTAL, apply_fact, make_operation, make_payment, saw

ACCEPTED = Pending(observation=Observation(stage=Stage.UNKNOWN))
OPEN_REPLIES: dict[str, Fact] = {"accepted": ACCEPTED, "silence": Unknown(message="timeout")}

DONE: dict[Kind, tuple[Payment, Observation]] = {
    Kind.COMPLETE: (make_payment(State.AWAITING_CUSTOMER, completed=False), saw(Stage.CAPTURED)),
    Kind.CAPTURE: (make_payment(State.AUTHORIZED), saw(Stage.CAPTURED)),
    Kind.CANCEL: (make_payment(State.AUTHORIZED), saw(Stage.CANCELED)),
    Kind.UPDATE: (make_payment(State.AUTHORIZED), saw(Stage.AUTHORIZED, amount="80.00")),
    Kind.REFUND: (make_payment(State.CAPTURED), saw(Stage.CAPTURED, refunded="80.00")),
}
"""Kind -> the payment it begins on, and the callback that shows its effect."""

EXCLUDED: dict[Kind, tuple[Payment, Observation]] = {
    Kind.CAPTURE: (make_payment(State.AUTHORIZED), saw(Stage.CANCELED)),
    Kind.CANCEL: (make_payment(State.AUTHORIZED), saw(Stage.CAPTURED)),
}
"""The same, with a callback after which the effect cannot be had."""


def sent(kind: Kind) -> Operation:
    """An operation on its way; updates and refunds are of 80.00."""
    amount = Decimal("80.00") if kind in (Kind.UPDATE, Kind.REFUND) else TOTAL
    captured = TOTAL if kind is Kind.REFUND else Decimal(0)
    before = Before(amount=TOTAL, captured=captured, refunded=Decimal(0), stage=Stage.AWAITING_CUSTOMER)
    return make_operation(kind, Status.SENDING, amount=amount, before=before)


def after(payment: Payment, operation: Operation, *facts: tuple[Fact, Cause]) -> tuple[Payment, Operation]:
    """Payment and operation after these facts, one by one."""
    for fact, cause in facts:
        change = apply_fact(payment, fact, operation=operation, cause=cause)
        assert change.operation is not None
        payment, operation = change.payment, change.operation
    return payment, operation


@pytest.mark.parametrize("reply", OPEN_REPLIES)
@pytest.mark.parametrize("kind", DONE)
def test_a_reply_that_leaves_it_open_is_judged_by_the_payment_as_it_is_now(kind: Kind, reply: str) -> None:
    """The callback showed the effect while the operation was on its way: the reply settles it, without a lookup."""
    payment, shown = DONE[kind]
    first = after(payment, sent(kind), (shown, Cause.CALLBACK), (OPEN_REPLIES[reply], Cause.REPLY))
    last = after(payment, sent(kind), (OPEN_REPLIES[reply], Cause.REPLY), (shown, Cause.CALLBACK))
    assert first[1].status is last[1].status is Status.SUCCEEDED
    unversioned = {"version": 1, "updated_at": payment.updated_at}
    assert replace(first[0], **unversioned) == replace(last[0], **unversioned)


@pytest.mark.parametrize("kind", EXCLUDED)
def test_a_callback_that_excludes_the_effect_declines_at_the_reply(kind: Kind) -> None:
    """What cannot be had any more is not waited for."""
    payment, shown = EXCLUDED[kind]
    _, operation = after(payment, sent(kind), (shown, Cause.CALLBACK), (ACCEPTED, Cause.REPLY))
    assert operation.status is Status.DECLINED


@pytest.mark.parametrize("kind", DONE)
def test_the_operation_waits_for_its_own_reply(kind: Kind) -> None:
    """A callback alone settles nothing that is on its way: the reply may know more, such as a definite no."""
    payment, shown = DONE[kind]
    assert after(payment, sent(kind), (shown, Cause.CALLBACK))[1].status is Status.SENDING
    no = Declined(code="no", message="no")
    assert after(payment, sent(kind), (shown, Cause.CALLBACK), (no, Cause.REPLY))[1].status is Status.DECLINED


@pytest.mark.parametrize("kind", DONE)
def test_without_a_callback_the_outcome_stays_open(kind: Kind) -> None:
    """A payment that does not show the effect proves nothing."""
    payment, _ = DONE[kind]
    for reply in OPEN_REPLIES.values():
        now, operation = after(payment, sent(kind), (reply, Cause.REPLY))
        assert (operation.status, now) == (Status.UNKNOWN, payment)


def test_a_snapshot_older_than_the_callback_settles_nothing_wrongly() -> None:
    """The reply still shows the stage before the effect; the callback, which came first, has shown more."""
    payment, shown = DONE[Kind.CAPTURE]
    old = saw(Stage.AUTHORIZED)
    now, operation = after(payment, sent(Kind.CAPTURE), (shown, Cause.CALLBACK), (old, Cause.REPLY))
    assert (now.state, operation.status) == (State.CAPTURED, Status.SUCCEEDED)


@pytest.mark.parametrize(
    "other", [{"payment_id": "pay_2"}, {"merchant_reference": "SO-2"}, {"currency": "EUR"}, {"amount": "1.00"}]
)
def test_an_accepted_answer_about_another_payment_teaches_nothing(other: dict[str, str]) -> None:
    """``Pending`` is judged like every answer: what is another payment's is not learnt, and its outcome stays open."""
    about = Pending(observation=saw(Stage.UNKNOWN, provider_reference="CK-2", **other))
    payment = make_payment(State.AUTHORIZED)
    now, operation = after(payment, sent(Kind.CAPTURE), (about, Cause.REPLY))
    assert (now, operation.status) == (payment, Status.UNKNOWN)
    assert operation.note is not None
    assert operation.note.startswith("the answer names another")
