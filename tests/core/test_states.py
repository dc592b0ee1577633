"""The state machine, row by row: what each fact does to each state and to each kind of operation.

The expectations are written out here, not read from the module's own table.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.commands import Charges, Kind, Order
from gateway.core.errors import Reason
from gateway.core.facts import (
    Absent,
    Cause,
    DeadlineNear,
    Declined,
    Expired,
    Fact,
    NeverSent,
    Observation,
    OperationResolved,
    Pending,
    ReviewResolved,
    Stage,
    Unknown,
)
from gateway.core.money import Amount
from gateway.core.payment import Before, Failure, FailureCode, Operation, Payment, Review, ReviewReason, State, Status
from gateway.core.review_details import review_detail
from gateway.core.rules import Actual, Policy, Tolerance
from tests.support.factories.payments import (
    AT,
    GRACE,
    LATER,
    POLICY,
    QUIET,
    TAKEN,
    TOTAL,
    apply_fact,
    make_operation,
    make_payment,
    make_policy,
    saw,
    usd,
)

PAST_GRACE = AT + GRACE + timedelta(milliseconds=1)
ONE_STEP = make_policy(lookups=False)

TABLE = """
                      awaiting_customer  processing  authorized    captured      failed         canceled
created               awaiting_customer  processing  authorized    captured      failed         canceled
awaiting_customer     .                  processing  authorized    captured      failed         canceled
processing            .                  .           authorized    captured      failed         canceled
authorized            .                  .           .             captured      contradiction  canceled
captured              .                  .           .             .             contradiction  contradiction
partially_refunded    .                  .           .             .             contradiction  contradiction
refunded              .                  .           .             .             contradiction  contradiction
canceled              .                  .           .             contradiction .              .
failed                .                  .           contradiction contradiction .              .
expired               .                  .           late          late          failed         canceled
past_grace            .                  .           paid_late     paid_late     .              .
"""
"""Row: where the payment stands. Column: the stage proved. Cell: the new state; a review; ``late``: the stage's own
state, marked late; a dot: nothing."""

_HEAD, *_ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [(row[0], stage, cell) for row in _ROWS for stage, cell in zip(_HEAD, row[1:], strict=True)]
CELLS += [(row[0], "unknown", ".") for row in _ROWS]
REVIEWS = {"contradiction", "paid_late"}


def standing(row: str, **members: Any) -> tuple[Payment, datetime]:
    """A payment of that row, and the moment at which it stands there."""
    if row == "past_grace":
        return make_payment(State.EXPIRED, **members), PAST_GRACE
    return make_payment(State(row), **members), LATER


def moved(before: Payment, change: Change) -> tuple[str, str | None, str | None]:
    """What a change did to a payment: new state, review, whether it was late."""
    after = change.payment
    review = after.review.reason if after.review is not None and before.review is None else None
    late = change.event.details.get("late") if change.event is not None else None
    return after.state, review, late


def expected(before: Payment, stage: str, cell: str) -> tuple[str, str | None, str | None]:
    """The same, as the table says it."""
    if cell in REVIEWS:
        return before.state, cell, None
    if cell == ".":
        return before.state, None, None
    return (stage, None, "true") if cell == "late" else (cell, None, None)


@pytest.mark.parametrize("cause", [Cause.LOOKUP, Cause.CALLBACK, Cause.REPLY])
@pytest.mark.parametrize(("row", "stage", "cell"), CELLS)
def test_table(row: str, stage: str, cell: str, cause: Cause) -> None:
    """Each proved stage does to each state what the table says, whoever proved it."""
    payment, at = standing(row)
    change = apply_fact(payment, saw(Stage(stage)), cause=cause, at=at)
    assert moved(payment, change) == expected(payment, stage, cell)
    assert (change.event is None) == (cell == ".")


@pytest.mark.parametrize("row", [row[0] for row in _ROWS])
def test_authorized_counts_only_after_a_completion(row: str) -> None:
    """At a provider that waits for a completion, ``authorized`` alone moves nothing, whatever the state."""
    payment, at = standing(row, completed=False)
    assert apply_fact(payment, saw(Stage.AUTHORIZED), at=at) == Change(payment=payment, operation=None)


@pytest.mark.parametrize(("row", "stage", "cell"), CELLS)
def test_refusals_of_callbacks(row: str, stage: str, cell: str) -> None:
    """A callback is refused where it contradicts, or where nothing more is expected and it brings nothing."""
    payment, at = standing(row)
    change = apply_fact(payment, saw(Stage(stage)), cause=Cause.CALLBACK, policy=ONE_STEP, at=at)
    closed = row in {"captured", "partially_refunded", "refunded", "canceled", "failed", "past_grace"}
    is_refused = cell in REVIEWS or (closed and cell == ".")
    assert change.refusal == (Reason.REPEATED_FINAL if is_refused else None)


@pytest.mark.parametrize(("row", "stage", "cell"), CELLS)
def test_lookups_are_never_refused(row: str, stage: str, cell: str) -> None:
    """What we asked for ourselves has nobody to be refused to."""
    payment, at = standing(row)
    assert apply_fact(payment, saw(Stage(stage)), at=at).refusal is None


# A second payment


def second(known: str | None, named: str | None, state: State = State.CAPTURED, **facts: Any) -> Change:
    """What a callback does that tells a success under ``named`` of a payment captured under ``known``."""
    paid = make_payment(state, provider_reference=known, **facts)
    return apply_fact(paid, saw(Stage.CAPTURED, provider_reference=named), cause=Cause.CALLBACK, policy=ONE_STEP)


@pytest.mark.parametrize("state", sorted(TAKEN))
def test_a_success_under_another_transaction_needs_a_person(state: State) -> None:
    """The customer may have paid twice: the answer is as before, nothing is booked, and a person must look."""
    change = second("T-1", "T-2", state)
    assert change.refusal is Reason.REPEATED_FINAL
    assert change.event is not None
    assert (change.event.type, change.event.details["paid_again_by"]) == ("payment.review", "T-2")
    after = change.payment
    assert (after.state, after.captured, after.provider_reference) == (state, TOTAL, "T-1")
    assert after.review is not None
    assert after.review.reason is ReviewReason.CONTRADICTION


@pytest.mark.parametrize(("known", "named"), [("T-1", "T-1"), ("T-1", None), (None, "T-2"), (None, None)])
def test_a_success_that_names_no_other_transaction_is_quiet(known: str | None, named: str | None) -> None:
    """It is the same one, or nobody can tell that it is another."""
    assert second(known, named).event is None


@pytest.mark.parametrize("review", [None, Review(reason=ReviewReason.AMOUNT, since=AT)])
def test_each_second_transaction_is_told_once(review: Review | None) -> None:
    """Also after a person cleared the review; a third transaction is told beside a review that stands."""
    assert second("T-1", "T-2", review=review, paid_again_by=("T-2",)).event is None
    told = second("T-1", "T-3", review=review, paid_again_by=("T-2",))
    assert told.event is not None
    assert told.event.type == ("payment.review" if review is None else "payment.updated")
    assert told.event.details["paid_again_by"] == "T-3"
    assert told.payment.paid_again_by == ("T-2", "T-3")


def test_the_remembered_second_transactions_are_bounded() -> None:
    """Beyond the bound one is told again: rather twice than not at all."""
    full = tuple(f"T-{number}" for number in range(2, 12))
    told = second("T-1", "T-99", paid_again_by=full)
    assert (told.payment.paid_again_by, told.event is not None) == (full, True)


# Money


def test_capture_takes_the_whole_amount() -> None:
    """A success that names no total took the payment's amount."""
    after = apply_fact(make_payment(State.AUTHORIZED), saw(Stage.CAPTURED)).payment
    assert (after.captured, after.capture_by, after.expires_at) == (TOTAL, None, None)


def test_capture_takes_what_the_provider_says() -> None:
    """A captured total that the provider names counts."""
    assert apply_fact(
        make_payment(State.AUTHORIZED), saw(Stage.CAPTURED, captured="60.00")
    ).payment.captured == Decimal(60)


@pytest.mark.parametrize("cause", [Cause.REPLY, Cause.LOOKUP])
def test_partial_capture_takes_its_part(cause: Cause) -> None:
    """A capture of part of the amount took that part, where the answer names no total."""
    capture = make_operation(Kind.CAPTURE, amount=Decimal("60.00"))
    change = apply_fact(make_payment(State.AUTHORIZED), saw(Stage.CAPTURED), operation=capture, cause=cause)
    assert (change.payment.captured, status_of(change)) == (Decimal("60.00"), Status.SUCCEEDED)


ACTUAL = make_policy(lookups=False, amount=Actual())


@pytest.mark.parametrize("received", ["99.99", "100.00", "250.00"])
def test_actual_amount_is_what_was_captured(received: str) -> None:
    """Under the rule Actual the received amount fits and is what was captured; the payment's amount stays."""
    change = apply_fact(make_payment(), saw(Stage.CAPTURED, amount=received), cause=Cause.CALLBACK, policy=ACTUAL)
    assert (change.payment.captured, change.payment.money, change.refusal) == (Decimal(received), usd("100.00"), None)


def test_tolerated_amount_captures_the_payments_amount() -> None:
    """Within a tolerance the payment's own amount is what was captured."""
    policy = make_policy(lookups=False, amount=Tolerance(absolute=Decimal("0.50")))
    change = apply_fact(make_payment(), saw(Stage.CAPTURED, amount="99.60"), cause=Cause.CALLBACK, policy=policy)
    assert change.payment.captured == TOTAL


@pytest.mark.parametrize(
    ("state", "seen", "refunded", "after"),
    [
        (State.CAPTURED, "40.00", "40.00", State.PARTIALLY_REFUNDED),
        (State.CAPTURED, "100.00", "100.00", State.REFUNDED),
        (State.CAPTURED, "0.00", "0", State.CAPTURED),
        (State.PARTIALLY_REFUNDED, "70.00", "70.00", State.PARTIALLY_REFUNDED),
        (State.PARTIALLY_REFUNDED, "100.00", "100.00", State.REFUNDED),
        (State.PARTIALLY_REFUNDED, "40.00", "40.00", State.PARTIALLY_REFUNDED),
        (State.PARTIALLY_REFUNDED, "10.00", "40.00", State.PARTIALLY_REFUNDED),
        (State.REFUNDED, "40.00", "100.00", State.REFUNDED),
        (State.AUTHORIZED, "40.00", "40.00", State.PARTIALLY_REFUNDED),
        (State.AWAITING_CUSTOMER, "100.00", "100.00", State.REFUNDED),
    ],
)
def test_refunded_total(state: State, seen: str, refunded: str, after: State) -> None:
    """The refunded total only grows, and the state follows from the money."""
    found = apply_fact(make_payment(state), saw(Stage.CAPTURED, refunded=seen)).payment
    assert (found.refunded, found.state) == (Decimal(refunded), after)


def test_refund_made_elsewhere_is_noted() -> None:
    """A total that grows without an open refund is a fact whose event says so."""
    event = apply_fact(make_payment(State.CAPTURED), saw(Stage.CAPTURED, refunded="40.00")).event
    assert event is not None
    amounts = {"amount": "40.00", "amount_refunded": "40.00", "currency": "USD"}
    assert (event.type, event.details) == ("payment.partially_refunded", {"made_elsewhere": "true", **amounts})


def test_refund_of_a_partial_capture_is_whole_at_what_was_captured() -> None:
    """``refunded`` means all that was captured, not all that was authorized."""
    payment = make_payment(State.CAPTURED, captured=Decimal("60.00"))
    assert apply_fact(payment, saw(Stage.CAPTURED, refunded="60.00")).payment.state is State.REFUNDED


def test_a_refund_growing_in_state_partially_refunded_is_a_version() -> None:
    """A second partial refund has its own event though the state stays."""
    event = apply_fact(make_payment(State.PARTIALLY_REFUNDED), saw(Stage.CAPTURED, refunded="50.00")).event
    assert event is not None
    assert event.type == "payment.partially_refunded"


# What does not fit

MISFITS: list[tuple[str, dict[str, Any], Observation, ReviewReason, Reason]] = [
    ("currency", {}, saw(currency="EUR"), ReviewReason.CURRENCY, Reason.CURRENCY),
    ("amount", {}, saw(Stage.CAPTURED, amount="99.99"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("amount zero", {}, saw(Stage.CAPTURED, amount="0.00"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("amount digits", {}, saw(Stage.CAPTURED, amount="100.001"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("amount nan", {}, saw(Stage.CAPTURED, amount="NaN"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("captured digits", {}, saw(Stage.CAPTURED, captured="60.001"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("captured negative", {}, saw(Stage.CAPTURED, captured="-60.00"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("captured nothing", {}, saw(Stage.CAPTURED, captured="0.00"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("captured too much", {}, saw(Stage.CAPTURED, captured="100.01"), ReviewReason.AMOUNT, Reason.AMOUNT),
    (
        "captured more than before",
        {"state": State.CAPTURED, "captured": Decimal("60.00")},
        saw(Stage.CAPTURED, captured="100.00"),
        ReviewReason.AMOUNT,
        Reason.AMOUNT,
    ),
    ("refunded digits", {"state": State.CAPTURED}, saw(refunded="1.001"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("refunded negative", {"state": State.CAPTURED}, saw(refunded="-1.00"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("refunded too much", {"state": State.CAPTURED}, saw(refunded="100.01"), ReviewReason.AMOUNT, Reason.AMOUNT),
    (
        "refunded more than captured",
        {"state": State.CAPTURED, "captured": Decimal("60.00")},
        saw(Stage.CAPTURED, refunded="60.01"),
        ReviewReason.AMOUNT,
        Reason.AMOUNT,
    ),
    ("payment id", {}, saw(Stage.CAPTURED, payment_id="pay_2"), ReviewReason.REFERENCE, Reason.NOT_FOUND),
    ("merchant reference", {}, saw(merchant_reference="SO-2"), ReviewReason.REFERENCE, Reason.NOT_FOUND),
    (
        "provider reference",
        {"provider_reference": "CK-1"},
        saw(Stage.CAPTURED, provider_reference="CK-2"),
        ReviewReason.REFERENCE,
        Reason.IN_PROGRESS,
    ),
]


@pytest.mark.parametrize(("what", "members", "seen", "review", "refusal"), MISFITS, ids=[row[0] for row in MISFITS])
def test_misfit(what: str, members: dict[str, Any], seen: Observation, review: ReviewReason, refusal: Reason) -> None:
    """A proved fact that cannot be this payment's moves nothing but the review flag, and its callback is refused."""
    payment = make_payment(**members)
    change = apply_fact(payment, seen, cause=Cause.CALLBACK)
    flagged = replace(payment, review=Review(reason=review, since=LATER, detail=review_detail(review, payment, seen)))
    assert change.payment == replace(flagged, version=payment.version + 1, updated_at=LATER)
    assert change.refusal is refusal
    assert change.event is not None
    assert change.event.type == "payment.review"


@pytest.mark.parametrize(("what", "members", "seen", "review", "refusal"), MISFITS, ids=[row[0] for row in MISFITS])
def test_misfit_in_a_reply(
    what: str, members: dict[str, Any], seen: Observation, review: ReviewReason, refusal: Reason
) -> None:
    """A reply with wrong ids or amounts leaves its operation unknown and says nothing of the payment."""
    capture = make_operation(Kind.CAPTURE, Status.SENDING)
    payment = make_payment(**members)
    change = apply_fact(payment, seen, operation=capture, cause=Cause.REPLY)
    assert (change.payment, change.event, status_of(change)) == (payment, None, Status.UNKNOWN)


@pytest.mark.parametrize(
    "seen",
    [
        saw(Stage.CAPTURED, currency="USD", amount="100", payment_id="pay_1", merchant_reference="SO-1"),
        saw(Stage.CAPTURED, amount="100.000", captured="100.0", refunded="0"),
        saw(Stage.CAPTURED, provider_reference="CK-1"),
    ],
)
def test_what_fits(seen: Observation) -> None:
    """Equal values fit, however many zeros they have."""
    assert apply_fact(make_payment(), seen).payment.state is State.CAPTURED


def test_an_amount_may_be_what_was_captured() -> None:
    """After a partial capture the provider may show that part as the amount."""
    payment = make_payment(State.CAPTURED, captured=Decimal("60.00"))
    assert apply_fact(payment, saw(Stage.CAPTURED, amount="60.00")).payment == payment


def test_an_amount_may_be_that_of_an_open_update() -> None:
    """While an update is open both its amount and the one before fit."""
    update = make_operation(Kind.UPDATE, amount=Decimal("80.00"))
    for amount in ("80.00", "100.00"):
        assert apply_fact(make_payment(), saw(amount=amount), operation=update).payment.review is None


def test_a_smaller_captured_total_is_old_news() -> None:
    """A smaller total than known moves nothing and contradicts nothing."""
    payment = make_payment(State.CAPTURED)
    for captured in ("0.00", "60.00"):
        assert apply_fact(payment, saw(Stage.CAPTURED, captured=captured)).payment == payment


def test_the_first_review_reason_stands() -> None:
    """A second reason does not replace the first, and makes no version."""
    payment = make_payment(review=Review(reason=ReviewReason.REFERENCE, since=AT))
    assert apply_fact(payment, saw(currency="EUR")).payment == payment


def test_review_does_not_stop_facts() -> None:
    """A payment under review still moves by proof."""
    payment = make_payment(review=Review(reason=ReviewReason.REFERENCE, since=AT))
    assert apply_fact(payment, saw(Stage.CAPTURED)).payment.state is State.CAPTURED


# References of attempts


def test_processing_under_another_reference_is_refused() -> None:
    """Two processing callbacks with different references, both present, are two attempts."""
    payment = make_payment(State.PROCESSING, provider_reference="T-1")
    change = apply_fact(payment, saw(Stage.PROCESSING, provider_reference="T-2"), cause=Cause.CALLBACK, policy=ONE_STEP)
    assert (change.payment, change.event, change.refusal) == (payment, None, Reason.IN_PROGRESS)


@pytest.mark.parametrize(("known", "named"), [("T-1", None), (None, "T-2"), ("T-1", "T-1"), (None, None)])
def test_an_absent_reference_is_no_difference(known: str | None, named: str | None) -> None:
    """Where one of the two names no reference there is no second attempt."""
    payment = make_payment(State.PROCESSING, provider_reference=known)
    seen = saw(Stage.PROCESSING, provider_reference=named)
    assert apply_fact(payment, seen, cause=Cause.CALLBACK, policy=ONE_STEP).refusal is None


@pytest.mark.parametrize("state", [State.AWAITING_CUSTOMER, State.PROCESSING, State.EXPIRED])
@pytest.mark.parametrize("stage", [Stage.CAPTURED, Stage.FAILED])
def test_a_different_reference_in_the_final_callback_is_applied_and_noted(state: State, stage: Stage) -> None:
    """Where the reference is no lookup key, the final callback's own counts; the one before is kept in the event."""
    payment = make_payment(state, provider_reference="T-1")
    change = apply_fact(payment, saw(stage, provider_reference="T-2"), cause=Cause.CALLBACK, policy=ONE_STEP)
    assert (change.payment.provider_reference, change.refusal) == ("T-2", None)
    assert change.event is not None
    assert change.event.details["provider_reference_before"] == "T-1"


@pytest.mark.parametrize("state", [State.CAPTURED, State.FAILED, State.EXPIRED])
def test_a_callback_that_moves_nothing_changes_no_reference(state: State) -> None:
    """A reference is replaced only together with a later stage."""
    payment = make_payment(state, provider_reference="T-1")
    seen = saw(Stage.PROCESSING, provider_reference="T-2")
    assert apply_fact(payment, seen, cause=Cause.CALLBACK, policy=ONE_STEP).payment == payment


# What is filled in


def test_a_fact_fills_what_is_empty() -> None:
    """Reference and address that were not known are learnt, as one version, and only once."""
    seen = saw(Stage.AWAITING_CUSTOMER, provider_reference="CK-1", redirect_url="https://pay.example/1")
    after = apply_fact(make_payment(), seen)
    assert (after.payment.provider_reference, after.payment.redirect_url) == ("CK-1", "https://pay.example/1")
    assert after.event is not None
    assert after.event.type == "payment.updated"
    other = saw(Stage.AWAITING_CUSTOMER, provider_reference="CK-1", redirect_url="https://pay.example/2")
    assert apply_fact(after.payment, other).payment == after.payment


def test_customer_notified_is_an_alert() -> None:
    """That the customer was told is an alert of that version; it comes once."""
    after = apply_fact(make_payment(), saw(customer_notified=True)).payment
    assert after.customer_notified
    assert [alert.code for alert in after.alerts] == ["customer_will_be_notified"]
    assert apply_fact(after, saw(customer_notified=True)).event is None


def test_an_alert_without_a_text_is_none() -> None:
    """A provider without the message has no such alert, and so no version."""
    assert apply_fact(make_payment(), saw(customer_notified=True), policy=make_policy(messages={})).event is None


def test_alerts_are_those_of_the_newest_change() -> None:
    """The next version has its own alerts or none."""
    told = apply_fact(make_payment(), saw(customer_notified=True)).payment
    assert apply_fact(told, saw(Stage.CAPTURED)).payment.alerts == ()


def test_authorization_starts_the_capture_deadline() -> None:
    """Authorizing fixes the amount a rise is measured from, and the deadline to capture; the expiry clock stops."""
    policy = make_policy(capture_deadline=timedelta(days=30))
    before = make_payment(money=usd("120.00"), expires_at=AT)
    after = apply_fact(before, saw(Stage.AUTHORIZED), policy=policy).payment
    assert (after.accepted_amount, after.capture_by, after.expires_at) == (
        Decimal(120),
        LATER + timedelta(days=30),
        None,
    )


def test_cancel_ends_the_deadline_and_tells() -> None:
    """A cancel has its alert and leaves no deadline."""
    after = apply_fact(make_payment(State.AUTHORIZED, capture_by=AT), saw(Stage.CANCELED)).payment
    assert after.capture_by is None
    assert [alert.code for alert in after.alerts] == ["customer_notified_of_cancel"]


def test_failure_says_the_providers_own_word() -> None:
    """A proved failure is the payment's failure, with the provider's status."""
    after = apply_fact(make_payment(), saw(Stage.FAILED, raw_status="0")).payment
    assert after.failure == Failure(code=FailureCode.DECLINED, message="failed", provider_code="0")


# Expiry


@pytest.mark.parametrize("state", list(State))
def test_the_expiry_clock(state: State) -> None:
    """Expiry ends what waits for a customer and nothing else."""
    change = apply_fact(make_payment(state, expired_at=None), Expired(), cause=Cause.CLOCK)
    expires = state in (State.CREATED, State.AWAITING_CUSTOMER, State.PROCESSING)
    assert (change.event is not None) is expires
    if expires:
        assert (change.payment.state, change.payment.expired_at) == (State.EXPIRED, LATER)


def test_expiry_does_not_settle_an_operation() -> None:
    """Time alone never turns unknown into failed."""
    create = make_operation(Kind.CREATE)
    change = apply_fact(make_payment(State.CREATED), Expired(), operation=create, cause=Cause.CLOCK)
    assert (change.payment.state, change.operation) == (State.EXPIRED, create)


def test_the_last_moment_of_grace() -> None:
    """Grace counts from the change to expired and includes its last moment."""
    expired = make_payment(State.EXPIRED)
    assert apply_fact(expired, saw(Stage.CAPTURED), at=AT + GRACE).payment.state is State.CAPTURED
    assert apply_fact(expired, saw(Stage.CAPTURED), at=PAST_GRACE).payment.state is State.EXPIRED


# Operations and their replies

SETTLED: Mapping[str, Status] = {"S": Status.SUCCEEDED, "D": Status.DECLINED, "N": Status.NOT_SENT, "U": Status.UNKNOWN}
BEFORE_REPLY = {
    Kind.CREATE: State.CREATED,
    Kind.COMPLETE: State.AWAITING_CUSTOMER,
    Kind.CAPTURE: State.AUTHORIZED,
    Kind.CANCEL: State.AUTHORIZED,
    Kind.UPDATE: State.AUTHORIZED,
    Kind.REFUND: State.CAPTURED,
}
NO = Declined(code="D-1", message="no funds")
REPLIES: list[tuple[Kind, Fact, str, State]] = [
    (Kind.CREATE, saw(Stage.AWAITING_CUSTOMER, redirect_url="https://p.example"), "S", State.AWAITING_CUSTOMER),
    (Kind.CREATE, saw(Stage.CAPTURED), "S", State.CAPTURED),
    (Kind.CREATE, NO, "D", State.FAILED),
    (Kind.CREATE, NeverSent(message="connect_failed"), "N", State.FAILED),
    (Kind.CREATE, Unknown(message="silence"), "U", State.CREATED),
    (Kind.CREATE, Pending(observation=saw(Stage.AWAITING_CUSTOMER)), "U", State.CREATED),
    (Kind.COMPLETE, saw(), "S", State.AWAITING_CUSTOMER),
    (Kind.COMPLETE, saw(Stage.AUTHORIZED), "S", State.AUTHORIZED),
    (Kind.COMPLETE, saw(Stage.AWAITING_CUSTOMER), "U", State.AWAITING_CUSTOMER),
    (Kind.COMPLETE, saw(Stage.CANCELED), "D", State.CANCELED),
    (Kind.COMPLETE, NO, "D", State.AWAITING_CUSTOMER),
    (Kind.COMPLETE, NeverSent(message="x"), "N", State.AWAITING_CUSTOMER),
    (Kind.COMPLETE, Unknown(message="x"), "U", State.AWAITING_CUSTOMER),
    (Kind.COMPLETE, Pending(observation=saw()), "U", State.AWAITING_CUSTOMER),
    (Kind.CAPTURE, saw(Stage.CAPTURED), "S", State.CAPTURED),
    (Kind.CAPTURE, saw(Stage.AUTHORIZED), "U", State.AUTHORIZED),
    (Kind.CAPTURE, saw(), "U", State.AUTHORIZED),
    (Kind.CAPTURE, saw(Stage.CANCELED), "D", State.CANCELED),
    (Kind.CAPTURE, saw(Stage.CAPTURED, amount="1.00"), "U", State.AUTHORIZED),
    (Kind.CAPTURE, NO, "D", State.AUTHORIZED),
    (Kind.CAPTURE, NeverSent(message="x"), "N", State.AUTHORIZED),
    (Kind.CAPTURE, Unknown(message="x"), "U", State.AUTHORIZED),
    (Kind.CAPTURE, Pending(observation=saw(Stage.AUTHORIZED)), "U", State.AUTHORIZED),
    (Kind.CANCEL, saw(Stage.CANCELED), "S", State.CANCELED),
    (Kind.CANCEL, saw(Stage.AUTHORIZED), "U", State.AUTHORIZED),
    (Kind.CANCEL, saw(), "U", State.AUTHORIZED),
    (Kind.CANCEL, saw(Stage.CAPTURED), "D", State.CAPTURED),
    (Kind.CANCEL, NO, "D", State.AUTHORIZED),
    (Kind.CANCEL, NeverSent(message="x"), "N", State.AUTHORIZED),
    (Kind.CANCEL, Unknown(message="x"), "U", State.AUTHORIZED),
    (Kind.CANCEL, Pending(observation=saw()), "U", State.AUTHORIZED),
    (Kind.UPDATE, saw(Stage.AUTHORIZED), "S", State.AUTHORIZED),
    (Kind.UPDATE, saw(Stage.AUTHORIZED, amount="80.00"), "S", State.AUTHORIZED),
    (Kind.UPDATE, saw(Stage.AUTHORIZED, amount="100.00"), "U", State.AUTHORIZED),
    (Kind.UPDATE, saw(Stage.AUTHORIZED, amount="90.00"), "U", State.AUTHORIZED),
    (Kind.UPDATE, NO, "D", State.AUTHORIZED),
    (Kind.UPDATE, NeverSent(message="x"), "N", State.AUTHORIZED),
    (Kind.UPDATE, Unknown(message="x"), "U", State.AUTHORIZED),
    (Kind.UPDATE, Pending(observation=saw()), "U", State.AUTHORIZED),
    (Kind.REFUND, saw(Stage.CAPTURED, refunded="80.00"), "S", State.PARTIALLY_REFUNDED),
    (Kind.REFUND, saw(Stage.CAPTURED), "S", State.PARTIALLY_REFUNDED),
    (Kind.REFUND, saw(Stage.CAPTURED, refunded="0.00"), "U", State.CAPTURED),
    (Kind.REFUND, saw(Stage.CAPTURED, refunded="90.00"), "U", State.PARTIALLY_REFUNDED),
    (Kind.REFUND, NO, "D", State.CAPTURED),
    (Kind.REFUND, NeverSent(message="x"), "N", State.CAPTURED),
    (Kind.REFUND, Unknown(message="x"), "U", State.CAPTURED),
    (Kind.REFUND, Pending(observation=saw(Stage.CAPTURED)), "U", State.CAPTURED),
]
"""Kind, its own reply, how the operation ends, where the payment stands then. Updates and refunds are of 80.00."""


def status_of(change: Change) -> Status:
    """How the operation of a change ended."""
    assert change.operation is not None
    return change.operation.status


def operation_of(kind: Kind, status: Status = Status.SENDING) -> Operation:
    """An operation with the facts before it; updates and refunds are of 80.00."""
    amount = Decimal("80.00") if kind in (Kind.UPDATE, Kind.REFUND) else TOTAL
    captured = TOTAL if kind is Kind.REFUND else Decimal(0)
    before = Before(amount=TOTAL, captured=captured, refunded=Decimal(0), stage=Stage.AWAITING_CUSTOMER)
    return make_operation(kind, status, amount=amount, before=before)


@pytest.mark.parametrize(("kind", "fact", "status", "state"), REPLIES)
def test_reply(kind: Kind, fact: Fact, status: str, state: State) -> None:
    """Each reply settles its operation, or leaves it unknown, and moves the payment as far as it proves."""
    change = apply_fact(make_payment(BEFORE_REPLY[kind]), fact, operation=operation_of(kind), cause=Cause.REPLY)
    assert (status_of(change), change.payment.state) == (SETTLED[status], state)


def test_each_kind_has_each_fact() -> None:
    """The table above has, for every kind, at least a success, a no, a never, a silence and a pending."""
    for kind in Kind:
        given = {type(fact) for row_kind, fact, *_ in REPLIES if row_kind is kind}
        assert given >= {Observation, Declined, NeverSent, Unknown, Pending}


@pytest.mark.parametrize("kind", list(Kind))
def test_a_declined_command_is_a_version_of_its_own_type(kind: Kind) -> None:
    """A declined tenant command is ``operation.declined``; a create fails instead; a completion is no version."""
    change = apply_fact(make_payment(BEFORE_REPLY[kind]), NO, operation=operation_of(kind), cause=Cause.REPLY)
    wanted = {Kind.CREATE: "payment.failed", Kind.COMPLETE: None}.get(kind, "operation.declined")
    assert (change.event.type if change.event else None) == wanted
    assert change.operation is not None
    assert change.operation.failure == Failure(code=FailureCode.DECLINED, message="no funds", provider_code="D-1")


def test_a_declined_cancel_of_our_own_is_no_version() -> None:
    """What no tenant asked for is not told as a declined command."""
    cancel = replace(operation_of(Kind.CANCEL), idempotency_key=None)
    assert apply_fact(make_payment(State.AUTHORIZED), NO, operation=cancel, cause=Cause.REPLY).event is None


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CREATE])
@pytest.mark.parametrize("fact", [Unknown(message="x"), NeverSent(message="x")])
def test_unknown_and_not_sent_are_no_version(kind: Kind, fact: Fact) -> None:
    """What moves nothing of the payment is no version."""
    payment = make_payment(BEFORE_REPLY[kind])
    change = apply_fact(payment, fact, operation=operation_of(kind), cause=Cause.REPLY)
    assert (change.event, change.payment) == (None, payment)


def test_the_note_says_why_it_is_unknown() -> None:
    """An operator reads on the operation why its outcome is open."""
    rows: list[tuple[Fact, str]] = [
        (Unknown(message="silence"), "silence"),
        (Pending(observation=saw()), "provider_pending"),
        (saw(currency="EUR"), "the answer names another currency"),
        (saw(), "the answer does not show the effect"),
    ]
    for fact, note in rows:
        change = apply_fact(make_payment(), fact, operation=operation_of(Kind.CAPTURE), cause=Cause.REPLY)
        assert change.operation is not None
        assert change.operation.note == note


def test_a_long_refusal_is_cut() -> None:
    """A provider's sentence is kept up to 500 characters."""
    change = apply_fact(
        make_payment(), Declined(code="c", message="x" * 9000), operation=operation_of(Kind.CAPTURE), cause=Cause.REPLY
    )
    assert change.operation is not None
    assert change.operation.failure is not None
    assert len(change.operation.failure.message) == 500


def test_completion_is_remembered() -> None:
    """A completion that succeeded makes the next ``authorized`` count."""
    waiting = make_payment(completed=False)
    done = apply_fact(waiting, saw(), operation=operation_of(Kind.COMPLETE), cause=Cause.REPLY)
    assert (done.payment.completed, done.event) == (True, None)
    assert apply_fact(done.payment, saw(Stage.AUTHORIZED)).payment.state is State.AUTHORIZED


def test_update_brings_amount_and_order() -> None:
    """An update that succeeded replaces the amount, and the order where it named one."""
    order = Order(charges=Charges(total=Amount("80"), grand_total=Amount("80")))
    update = replace(operation_of(Kind.UPDATE), order=order)
    after = apply_fact(make_payment(State.AUTHORIZED), saw(Stage.AUTHORIZED), operation=update, cause=Cause.REPLY)
    assert (after.payment.money, after.payment.order) == (usd("80.00"), order)
    assert after.event is not None
    assert after.event.type == "payment.updated"
    assert after.payment.accepted_amount == TOTAL


def test_update_without_an_order_keeps_the_order() -> None:
    """An update that names no order leaves it."""
    order = Order(charges=Charges(total=Amount("100"), grand_total=Amount("100")))
    payment = make_payment(State.AUTHORIZED, order=order)
    after = apply_fact(payment, saw(Stage.AUTHORIZED), operation=operation_of(Kind.UPDATE), cause=Cause.REPLY)
    assert after.payment.order == order


# Settling the unknown

SHOWN: list[tuple[Kind, State, Stage | None, Observation, str]] = [
    (Kind.CREATE, State.CREATED, None, saw(Stage.AWAITING_CUSTOMER), "done"),
    (Kind.CREATE, State.CREATED, None, saw(Stage.FAILED), "done"),
    (Kind.COMPLETE, State.AWAITING_CUSTOMER, Stage.AWAITING_CUSTOMER, saw(Stage.AUTHORIZED), "not yet"),
    (Kind.COMPLETE, State.AWAITING_CUSTOMER, Stage.AWAITING_CUSTOMER, saw(Stage.CAPTURED), "done"),
    (Kind.COMPLETE, State.AWAITING_CUSTOMER, Stage.AWAITING_CUSTOMER, saw(Stage.AWAITING_CUSTOMER), "not yet"),
    (Kind.COMPLETE, State.AWAITING_CUSTOMER, Stage.AWAITING_CUSTOMER, saw(Stage.PROCESSING), "not yet"),
    (Kind.COMPLETE, State.AWAITING_CUSTOMER, Stage.AUTHORIZED, saw(Stage.AUTHORIZED), "not yet"),
    (Kind.COMPLETE, State.AWAITING_CUSTOMER, Stage.AWAITING_CUSTOMER, saw(Stage.FAILED), "excluded"),
    (Kind.COMPLETE, State.AWAITING_CUSTOMER, Stage.AWAITING_CUSTOMER, saw(Stage.CANCELED), "excluded"),
    (Kind.COMPLETE, State.AWAITING_CUSTOMER, Stage.AWAITING_CUSTOMER, saw(), "unclear"),
    (Kind.CAPTURE, State.AUTHORIZED, None, saw(Stage.CAPTURED), "done"),
    (Kind.CAPTURE, State.AUTHORIZED, None, saw(Stage.AUTHORIZED), "not yet"),
    (Kind.CAPTURE, State.AUTHORIZED, None, saw(Stage.CANCELED), "excluded"),
    (Kind.CAPTURE, State.AUTHORIZED, None, saw(Stage.FAILED), "excluded"),
    (Kind.CAPTURE, State.AUTHORIZED, None, saw(Stage.AWAITING_CUSTOMER), "unclear"),
    (Kind.CAPTURE, State.AUTHORIZED, None, saw(), "unclear"),
    (Kind.CANCEL, State.AUTHORIZED, None, saw(Stage.CANCELED), "done"),
    (Kind.CANCEL, State.AUTHORIZED, None, saw(Stage.AUTHORIZED), "not yet"),
    (Kind.CANCEL, State.AWAITING_CUSTOMER, None, saw(Stage.AWAITING_CUSTOMER), "not yet"),
    (Kind.CANCEL, State.PROCESSING, None, saw(Stage.PROCESSING), "not yet"),
    (Kind.CANCEL, State.AUTHORIZED, None, saw(Stage.CAPTURED), "excluded"),
    (Kind.CANCEL, State.AUTHORIZED, None, saw(Stage.FAILED), "excluded"),
    (Kind.CANCEL, State.AUTHORIZED, None, saw(), "unclear"),
    (Kind.UPDATE, State.AUTHORIZED, None, saw(Stage.AUTHORIZED, amount="80.00"), "done"),
    (Kind.UPDATE, State.AUTHORIZED, None, saw(Stage.AUTHORIZED, amount="100.00"), "not yet"),
    (Kind.UPDATE, State.AUTHORIZED, None, saw(Stage.AUTHORIZED), "unclear"),
    (Kind.REFUND, State.CAPTURED, None, saw(Stage.CAPTURED, refunded="80.00"), "done"),
    (Kind.REFUND, State.CAPTURED, None, saw(Stage.CAPTURED, refunded="0.00"), "not yet"),
    (Kind.REFUND, State.CAPTURED, None, saw(Stage.CAPTURED), "unclear"),
]
AFTER_READS = {
    "done": [Status.SUCCEEDED, Status.SUCCEEDED, Status.SUCCEEDED],
    "not yet": [Status.UNKNOWN, Status.UNKNOWN, Status.DECLINED],
    "excluded": [Status.DECLINED, Status.DECLINED, Status.DECLINED],
    "unclear": [Status.UNKNOWN, Status.UNKNOWN, Status.UNKNOWN],
}
"""The operation after a first read, one just inside the quiet period, and one when it has passed."""


def after_reads(payment: Payment, operation: Operation, fact: Fact, policy: Policy = POLICY) -> list[Change]:
    """Three reads of an unknown operation: one, one just before the quiet period ends, one at its end."""
    changes: list[Change] = []
    pending: Operation | None = operation
    for at in (LATER, LATER + QUIET - timedelta(milliseconds=1), LATER + QUIET):
        changes.append(apply_fact(payment, fact, operation=pending, policy=policy, at=at))
        payment, last = changes[-1].payment, changes[-1].operation
        pending = last if last is not None and last.is_open else None
    return changes


@pytest.mark.parametrize(("kind", "state", "stage", "seen", "shown"), SHOWN)
def test_what_reads_show(kind: Kind, state: State, stage: Stage | None, seen: Observation, shown: str) -> None:
    """One read proves an effect or excludes it; that it did not happen takes two, a quiet period apart."""
    operation = operation_of(kind, Status.UNKNOWN)
    operation = replace(operation, before=replace(operation.before, stage=stage))
    changes = after_reads(make_payment(state, completed=kind is not Kind.COMPLETE), operation, seen)
    statuses = [change.operation.status for change in changes if change.operation is not None]
    assert statuses == AFTER_READS[shown][: len(statuses)]
    assert len(statuses) == (1 if shown in ("done", "excluded") else 3)
    ended = changes[len(statuses) - 1].operation
    assert ended is not None
    if ended.status is Status.DECLINED:
        assert ended.failure is not None
        assert ended.failure.code is FailureCode.NOT_DONE


@pytest.mark.parametrize("kind", [Kind.CAPTURE, Kind.CANCEL, Kind.UPDATE, Kind.REFUND, Kind.COMPLETE])
def test_not_done_is_told(kind: Kind) -> None:
    """A tenant's command that was proved not done is ``operation.declined``; a completion moves nothing."""
    seen = {Kind.UPDATE: saw(Stage.AUTHORIZED, amount="100.00"), Kind.REFUND: saw(Stage.CAPTURED, refunded="0.00")}
    stage = {Kind.COMPLETE: Stage.AWAITING_CUSTOMER}.get(kind, Stage.AUTHORIZED)
    payment = make_payment(BEFORE_REPLY[kind], completed=kind is not Kind.COMPLETE)
    last = after_reads(payment, operation_of(kind, Status.UNKNOWN), seen.get(kind, saw(stage)))[-1]
    assert (last.event.type if last.event else None) == (None if kind is Kind.COMPLETE else "operation.declined")


def test_the_first_contrary_read_is_no_version() -> None:
    """Starting the quiet period changes the operation, not the payment."""
    payment = make_payment(State.AUTHORIZED)
    change = apply_fact(payment, saw(Stage.AUTHORIZED), operation=make_operation(Kind.CAPTURE))
    assert (change.payment, change.event) == (payment, None)
    assert change.operation is not None
    assert change.operation.contrary_since == LATER


@pytest.mark.parametrize("cause", [Cause.CALLBACK, Cause.REPLY])
def test_only_reads_prove_that_nothing_happened(cause: Cause) -> None:
    """A callback or a reply with the stage before starts no quiet period and ends none."""
    capture = make_operation(Kind.CAPTURE, contrary_since=AT - QUIET)
    change = apply_fact(make_payment(State.AUTHORIZED), saw(Stage.AUTHORIZED), operation=capture, cause=cause)
    assert status_of(change) is Status.UNKNOWN


def test_reads_while_it_is_sending_prove_nothing() -> None:
    """While a request is on its way, a read that does not show its effect proves nothing."""
    capture = make_operation(Kind.CAPTURE, Status.SENDING)
    changes = after_reads(make_payment(State.AUTHORIZED), capture, saw(Stage.AUTHORIZED))
    assert {change.operation for change in changes} == {capture}


@pytest.mark.parametrize("refunded", ["10.00", "90.00"])
def test_an_unclear_refund_goes_to_a_person(refunded: str) -> None:
    """A refunded total that is neither before nor after raises ``refund_unclear`` and leaves the refund open."""
    change = apply_fact(
        make_payment(State.CAPTURED),
        saw(Stage.CAPTURED, refunded=refunded),
        operation=operation_of(Kind.REFUND, Status.UNKNOWN),
    )
    assert change.payment.review is not None
    assert (change.payment.review.reason, status_of(change)) == (ReviewReason.REFUND_UNCLEAR, Status.UNKNOWN)


def test_an_update_to_neither_amount_goes_to_a_person() -> None:
    """A read with an amount that is neither the old nor the new one raises ``amount``."""
    change = apply_fact(
        make_payment(State.AUTHORIZED),
        saw(Stage.AUTHORIZED, amount="90.00"),
        operation=operation_of(Kind.UPDATE, Status.UNKNOWN),
    )
    assert change.payment.review is not None
    assert (change.payment.review.reason, status_of(change)) == (ReviewReason.AMOUNT, Status.UNKNOWN)


def test_a_refund_is_judged_against_the_total_before_it() -> None:
    """The refunded total before plus the amount shows the refund, whatever was refunded earlier."""
    payment = make_payment(State.PARTIALLY_REFUNDED)
    before = Before(amount=TOTAL, captured=TOTAL, refunded=Decimal("40.00"))
    refund = make_operation(Kind.REFUND, amount=Decimal("60.00"), before=before)
    change = apply_fact(payment, saw(Stage.CAPTURED, refunded="100.00"), operation=refund)
    assert (status_of(change), change.payment.state) == (Status.SUCCEEDED, State.REFUNDED)
    assert change.event is not None
    assert "made_elsewhere" not in change.event.details


# An absent create

PROVING = make_policy(absence_proves=True)


def test_two_absences_prove_that_nothing_was_created() -> None:
    """Where absence proves, two of them a quiet period apart end an unknown create as ``not_created``."""
    changes = after_reads(make_payment(State.CREATED), make_operation(Kind.CREATE), Absent(), PROVING)
    assert [status_of(change) for change in changes] == AFTER_READS["not yet"]
    after = changes[-1].payment
    assert after.state is State.FAILED
    assert after.failure is not None
    assert after.failure.code is FailureCode.NOT_CREATED
    assert [change.event is not None for change in changes] == [False, False, True]


@pytest.mark.parametrize("kind", list(Kind))
def test_absence_proves_nothing_by_itself(kind: Kind) -> None:
    """Without that rule, or for another operation, an absence changes nothing."""
    policy = POLICY if kind is Kind.CREATE else PROVING
    payment, operation = make_payment(State.CREATED), operation_of(kind, Status.UNKNOWN)
    assert {change.operation for change in after_reads(payment, operation, Absent(), policy)} == {operation}


def test_absence_without_an_open_operation_is_nothing() -> None:
    """A lookup that finds nothing moves no payment."""
    payment = make_payment()
    assert apply_fact(payment, Absent(), policy=PROVING) == Change(payment=payment, operation=None)


def test_a_create_that_is_sending_is_not_absent() -> None:
    """Absences count only once the outcome is unknown."""
    create = make_operation(Kind.CREATE, Status.SENDING)
    changes = after_reads(make_payment(State.CREATED), create, Absent(), PROVING)
    assert {change.operation for change in changes} == {create}


# Events that meet an open create


@pytest.mark.parametrize("stage", [Stage.AWAITING_CUSTOMER, Stage.PROCESSING, Stage.CAPTURED, Stage.FAILED])
def test_a_proved_event_settles_an_unknown_create(stage: Stage) -> None:
    """Any proved event shows that the create had its effect."""
    create = make_operation(Kind.CREATE)
    change = apply_fact(
        make_payment(State.CREATED), saw(stage), operation=create, cause=Cause.CALLBACK, policy=ONE_STEP
    )
    assert (status_of(change), change.payment.state) == (Status.SUCCEEDED, State(stage))


def test_a_misfitting_event_settles_nothing() -> None:
    """An event of another amount does not settle an unknown create."""
    create = make_operation(Kind.CREATE)
    change = apply_fact(
        make_payment(State.CREATED), saw(Stage.CAPTURED, amount="1.00"), operation=create, cause=Cause.CALLBACK
    )
    assert status_of(change) is Status.UNKNOWN


def early(stage: Stage) -> Change:
    """The change of a callback that comes before the create's own reply."""
    create = make_operation(Kind.CREATE, Status.SENDING)
    change = apply_fact(
        make_payment(State.CREATED), saw(stage), operation=create, cause=Cause.CALLBACK, policy=ONE_STEP
    )
    assert (status_of(change), change.payment.state) == (Status.SENDING, State(stage))
    return change


EARLY = pytest.mark.parametrize("stage", [Stage.PROCESSING, Stage.CAPTURED, Stage.FAILED])


@EARLY
def test_early_event_then_the_reply(stage: Stage) -> None:
    """An event may come before the reply: it moves the payment, and the reply still brings the address."""
    before = early(stage)
    reply = saw(Stage.AWAITING_CUSTOMER, redirect_url="https://pay.example/1")
    after = apply_fact(before.payment, reply, operation=before.operation, cause=Cause.REPLY, policy=ONE_STEP)
    assert (status_of(after), after.payment.state) == (Status.SUCCEEDED, State(stage))
    assert after.payment.redirect_url == "https://pay.example/1"


@EARLY
def test_early_event_then_silence(stage: Stage) -> None:
    """After a proved event silence leaves nothing open: the create had its effect."""
    before = early(stage)
    after = apply_fact(before.payment, Unknown(message="silence"), operation=before.operation, cause=Cause.REPLY)
    assert (status_of(after), after.payment) == (Status.SUCCEEDED, before.payment)


@EARLY
def test_early_event_then_a_decline(stage: Stage) -> None:
    """A decline after a proved event is recorded; where it contradicts the event, a person must look."""
    before = early(stage)
    after = apply_fact(before.payment, NO, operation=before.operation, cause=Cause.REPLY)
    assert (status_of(after), after.payment.state) == (Status.DECLINED, State(stage))
    assert (after.payment.review is not None) is (stage is not Stage.FAILED)


def test_an_expired_create_stays_open_in_silence() -> None:
    """Expiry is no proof: silence after it leaves the create unknown."""
    create = make_operation(Kind.CREATE, Status.SENDING)
    after = apply_fact(make_payment(State.EXPIRED), Unknown(message="silence"), operation=create, cause=Cause.REPLY)
    assert status_of(after) is Status.UNKNOWN


# Versions


@pytest.mark.parametrize(
    ("state", "seen", "kind"),
    [
        (State.CREATED, saw(Stage.AWAITING_CUSTOMER), "payment.awaiting_customer"),
        (State.AWAITING_CUSTOMER, saw(Stage.PROCESSING), "payment.processing"),
        (State.AWAITING_CUSTOMER, saw(Stage.AUTHORIZED), "payment.authorized"),
        (State.AUTHORIZED, saw(Stage.CAPTURED), "payment.captured"),
        (State.AUTHORIZED, saw(Stage.CANCELED), "payment.canceled"),
        (State.PROCESSING, saw(Stage.FAILED), "payment.failed"),
        (State.CAPTURED, saw(refunded="1.00"), "payment.partially_refunded"),
        (State.CAPTURED, saw(refunded="100.00"), "payment.refunded"),
        (State.AWAITING_CUSTOMER, saw(redirect_url="https://x.example"), "payment.updated"),
        (State.AWAITING_CUSTOMER, saw(provider_reference="CK-1"), "payment.updated"),
        (State.AWAITING_CUSTOMER, saw(customer_notified=True), "payment.updated"),
        (State.AWAITING_CUSTOMER, saw(currency="EUR"), "payment.review"),
        (State.CAPTURED, saw(Stage.FAILED), "payment.review"),
    ],
)
def test_what_makes_a_version(state: State, seen: Observation, kind: str) -> None:
    """Each such change is the next version with one event that says who proved it and where the payment stood."""
    payment = make_payment(state)
    change = apply_fact(payment, seen)
    assert change.event is not None
    assert change.event.type == kind
    assert change.payment.version == change.event.version == payment.version + 1
    assert (change.event.state_before, change.event.state_after) == (payment.state, change.payment.state)
    assert (change.event.cause, change.event.at, change.payment.updated_at) == (Cause.LOOKUP, LATER, LATER)


def test_a_version_names_its_operation() -> None:
    """The event of a settled operation carries its id."""
    change = apply_fact(
        make_payment(State.AUTHORIZED), saw(Stage.CAPTURED), operation=operation_of(Kind.CAPTURE), cause=Cause.REPLY
    )
    assert change.event is not None
    assert change.event.details["operation_id"] == "op_1"
    assert change.operation is not None
    assert change.operation.updated_at == LATER


# The clock and people


def test_a_deadline_warning_is_an_alert() -> None:
    """The warning ahead of the capture deadline is a version of its own type and is counted."""
    policy = make_policy(messages={"capture_deadline_near": "Ship it."})
    change = apply_fact(make_payment(State.AUTHORIZED), DeadlineNear(), cause=Cause.CLOCK, policy=policy)
    assert change.event is not None
    assert change.event.type == "payment.capture_deadline_near"
    assert (change.payment.deadline_warnings, change.payment.alerts[0].code) == (1, "capture_deadline_near")


@pytest.mark.parametrize("state", [state for state in State if state is not State.AUTHORIZED])
def test_no_warning_without_a_deadline(state: State) -> None:
    """Only an authorized payment has a capture deadline."""
    assert apply_fact(make_payment(state), DeadlineNear(), cause=Cause.CLOCK).event is None


def test_a_person_clears_the_review() -> None:
    """Clearing the flag is a version that names who did it and why."""
    payment = make_payment(review=Review(reason=ReviewReason.AMOUNT, since=AT))
    change = apply_fact(payment, ReviewResolved(actor="ops", reason="seen"), cause=Cause.OPERATOR)
    assert change.payment.review is None
    assert change.event is not None
    assert change.event.details == {"actor": "ops", "reason": "seen"}


@pytest.mark.parametrize("outcome", ["succeeded", "declined", "written_off"])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_person_settles_the_unknown(kind: Kind, outcome: str) -> None:
    """Each outcome a person may name ends an unknown operation of each kind, with their reason noted."""
    ruled = OperationResolved(actor="ops", reason="called them", outcome=outcome)
    operation = operation_of(kind, Status.UNKNOWN)
    change = apply_fact(make_payment(BEFORE_REPLY[kind]), ruled, operation=operation, cause=Cause.OPERATOR)
    assert status_of(change) is Status(outcome)
    assert change.operation is not None
    assert change.operation.note == "ops: called them"
    assert change.event is not None


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.UNKNOWN])
def test_a_person_settles_nothing_else(status: Status) -> None:
    """What is on its way or settled is not a person's to rule."""
    operation = operation_of(Kind.CAPTURE, status)
    ruled = OperationResolved(actor="ops", reason="r", outcome="declined")
    payment = make_payment(State.AUTHORIZED)
    change = apply_fact(payment, ruled, operation=operation, cause=Cause.OPERATOR)
    assert change == Change(payment=payment, operation=operation)


def test_taken_states_are_the_captured_family() -> None:
    """The states after money moved are exactly these."""
    assert sorted(TAKEN) == ["captured", "partially_refunded", "refunded"]
