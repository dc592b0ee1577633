"""The state machine, row by row: what each fact does to each state and to each kind of operation.

The expectations are written out here, not read from the module's own table.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gateway.core.change import Change
from gateway.core.commands import Kind
from gateway.core.errors import Reason
from gateway.core.facts import (
    Cause,
    DeadlineNear,
    Expired,
    Observation,
    OperationResolved,
    ReviewResolved,
    Stage,
)
from gateway.core.payment import Failure, FailureCode, Payment, Review, ReviewReason, State, Status
from gateway.core.rules import Actual, Tolerance
from tests.support.factories.payments import (
    AT,
    BEFORE_REPLY,
    GRACE,
    LATER,
    TAKEN,
    TOTAL,
    WITHOUT_LOOKUPS,
    apply_fact,
    make_operation,
    make_payment,
    make_policy,
    operation_of,
    saw,
    status_of,
    usd,
)

PAST_GRACE = AT + GRACE + timedelta(milliseconds=1)

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
    """Each verified stage does to each state what the table says, whatever its cause."""
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
    change = apply_fact(payment, saw(Stage(stage)), cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS, at=at)
    closed = row in {"captured", "partially_refunded", "refunded", "canceled", "failed", "past_grace"}
    is_refused = cell in REVIEWS or (closed and cell == ".")
    assert change.refusal == (Reason.REPEATED_FINAL if is_refused else None)


@pytest.mark.parametrize(("row", "stage", "cell"), CELLS)
def test_lookups_are_never_refused(row: str, stage: str, cell: str) -> None:
    """A lookup is the gateway's own request, so there is no sender to refuse."""
    payment, at = standing(row)
    assert apply_fact(payment, saw(Stage(stage)), at=at).refusal is None


# A second payment


def second(known: str | None, named: str | None, state: State = State.CAPTURED, **facts: Any) -> Change:
    """What a callback does that tells a success under ``named`` of a payment captured under ``known``."""
    paid = make_payment(state, provider_reference=known, **facts)
    return apply_fact(paid, saw(Stage.CAPTURED, provider_reference=named), cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS)


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
    """It is the same one, or may be the same."""
    assert second(known, named).event is None


@pytest.mark.parametrize("review", [None, Review(reason=ReviewReason.AMOUNT, since=AT)])
def test_each_second_transaction_is_reported_once(review: Review | None) -> None:
    """Also after a person cleared the review; a third transaction is reported while a review is open."""
    assert second("T-1", "T-2", review=review, paid_again_by=("T-2",)).event is None
    change = second("T-1", "T-3", review=review, paid_again_by=("T-2",))
    assert change.event is not None
    assert change.event.type == ("payment.review" if review is None else "payment.updated")
    assert change.event.details["paid_again_by"] == "T-3"
    assert change.payment.paid_again_by == ("T-2", "T-3")


def test_the_remembered_second_transactions_are_bounded() -> None:
    """Beyond the limit one is reported again where no review is open: rather twice than never, but not without end."""
    full = tuple(f"T-{number}" for number in range(2, 12))
    change = second("T-1", "T-99", paid_again_by=full)
    assert (change.payment.paid_again_by, change.event is not None) == (full, True)
    assert second("T-1", "T-99", paid_again_by=full, review=change.payment.review).event is None


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


def test_instructions_are_the_newest() -> None:
    """Others take their place whole; an answer that says none changes nothing."""
    first = apply_fact(make_payment(), saw(instructions={"iban": "DE02", "reference": "R-1"})).payment
    for same in (saw(instructions={"reference": "R-1", "iban": "DE02"}), saw(Stage.AWAITING_CUSTOMER)):
        assert apply_fact(first, same).event is None
    assert apply_fact(first, saw(instructions={"iban": "DE77"})).payment.instructions == {"iban": "DE77"}


def test_customer_notified_is_an_alert() -> None:
    """That the customer was change is an alert of that version; it comes once."""
    after = apply_fact(make_payment(), saw(customer_notified=True)).payment
    assert after.customer_notified
    assert [alert.code for alert in after.alerts] == ["customer_will_be_notified"]
    assert apply_fact(after, saw(customer_notified=True)).event is None


def test_an_alert_without_a_text_is_none() -> None:
    """A provider without the message has no such alert, and so no version."""
    assert apply_fact(make_payment(), saw(customer_notified=True), policy=make_policy(messages={})).event is None


def test_alerts_are_those_of_the_newest_change() -> None:
    """The next version has its own alerts or none."""
    change = apply_fact(make_payment(), saw(customer_notified=True)).payment
    assert apply_fact(change, saw(Stage.CAPTURED)).payment.alerts == ()


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


def test_expiry_does_not_resolve_an_operation() -> None:
    """Time alone never turns unknown into failed."""
    create = make_operation(Kind.CREATE)
    change = apply_fact(make_payment(State.CREATED), Expired(), operation=create, cause=Cause.CLOCK)
    assert (change.payment.state, change.operation) == (State.EXPIRED, create)


def test_the_last_moment_of_grace() -> None:
    """Grace counts from the change to expired and includes its last moment."""
    expired = make_payment(State.EXPIRED)
    assert apply_fact(expired, saw(Stage.CAPTURED), at=AT + GRACE).payment.state is State.CAPTURED
    assert apply_fact(expired, saw(Stage.CAPTURED), at=PAST_GRACE).payment.state is State.EXPIRED


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
        (State.AWAITING_CUSTOMER, saw(instructions={"iban": "DE02"}), "payment.updated"),
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
    """The event of a resolved operation carries its id."""
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
def test_an_operator_resolves_an_unknown_operation(kind: Kind, outcome: str) -> None:
    """Each outcome a person may name ends an unknown operation of each kind, with their reason noted."""
    resolved = OperationResolved(actor="ops", reason="called them", outcome=outcome)
    operation = operation_of(kind, Status.UNKNOWN)
    change = apply_fact(make_payment(BEFORE_REPLY[kind]), resolved, operation=operation, cause=Cause.OPERATOR)
    assert status_of(change) is Status(outcome)
    assert change.operation is not None
    assert change.operation.note == "ops: called them"
    assert change.event is not None


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.UNKNOWN])
def test_an_operator_resolves_nothing_else(status: Status) -> None:
    """An operation in flight or with an outcome is not for an operator to resolve."""
    operation = operation_of(Kind.CAPTURE, status)
    resolved = OperationResolved(actor="ops", reason="r", outcome="declined")
    payment = make_payment(State.AUTHORIZED)
    change = apply_fact(payment, resolved, operation=operation, cause=Cause.OPERATOR)
    assert change == Change(payment=payment, operation=operation)


def test_what_a_second_payment_brings_is_not_remembered() -> None:
    """Refunds go back to the transaction that captured the payment, not to the one that paid it twice."""
    payment = make_payment(State.CAPTURED, provider_reference="T-1", memory={"capture": "C-1"})
    for named, remembered in (("T-1", "C-2"), ("T-2", "C-1")):
        seen = saw(Stage.CAPTURED, provider_reference=named, memory={"capture": "C-2"})
        change = apply_fact(payment, seen, cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS)
        assert change.payment.memory == {"capture": remembered}


def test_taken_states_are_the_captured_family() -> None:
    """The states after money moved are exactly these."""
    assert sorted(TAKEN) == ["captured", "partially_refunded", "refunded"]
