"""How an operation is resolved: by its reply, by lookups, by an absence, by a callback that comes first.

The expectations are written out here, not read from the module's own table.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.commands import Charges, Kind, Order
from gateway.core.facts import (
    Absent,
    Cause,
    Declined,
    Fact,
    NeverSent,
    Observation,
    Pending,
    Stage,
    Unknown,
)
from gateway.core.money import Amount
from gateway.core.payment import Before, Failure, FailureCode, Operation, Payment, ReviewReason, State, Status
from gateway.core.rules import Policy
from tests.support.factories.payments import (
    AT,
    BEFORE_REPLY,
    LATER,
    POLICY,
    QUIET,
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

# Operations and their replies

STATUSES: Mapping[str, Status] = {
    "S": Status.SUCCEEDED,
    "D": Status.DECLINED,
    "N": Status.NOT_SENT,
    "U": Status.UNKNOWN,
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


@pytest.mark.parametrize(("kind", "fact", "status", "state"), REPLIES)
def test_reply(kind: Kind, fact: Fact, status: str, state: State) -> None:
    """Each reply resolves its operation, or leaves it unknown, and changes the payment as far as it proves."""
    change = apply_fact(make_payment(BEFORE_REPLY[kind]), fact, operation=operation_of(kind), cause=Cause.REPLY)
    assert (status_of(change), change.payment.state) == (STATUSES[status], state)


def test_each_kind_has_each_fact() -> None:
    """The table above has, for every kind, a success, a refusal, a request never sent, a timeout and a pending."""
    for kind in Kind:
        given = {type(fact) for row_kind, fact, *_ in REPLIES if row_kind is kind}
        assert given >= {Observation, Declined, NeverSent, Unknown, Pending}


@pytest.mark.parametrize("kind", list(Kind))
def test_a_declined_command_is_a_version_of_its_own_type(kind: Kind) -> None:
    """A declined command is ``operation.declined``; a create fails instead; a completion makes no version."""
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
    """A fact that changes nothing of the payment makes no version."""
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


def test_a_refund_is_evaluated_against_the_total_before_it() -> None:
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
def test_a_proved_event_resolves_an_unknown_create(stage: Stage) -> None:
    """Any proved event shows that the create had its effect."""
    create = make_operation(Kind.CREATE)
    change = apply_fact(
        make_payment(State.CREATED), saw(stage), operation=create, cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS
    )
    assert (status_of(change), change.payment.state) == (Status.SUCCEEDED, State(stage))


def test_a_mismatching_event_resolves_nothing() -> None:
    """An event of another amount does not resolve an unknown create."""
    create = make_operation(Kind.CREATE)
    change = apply_fact(
        make_payment(State.CREATED), saw(Stage.CAPTURED, amount="1.00"), operation=create, cause=Cause.CALLBACK
    )
    assert status_of(change) is Status.UNKNOWN


def early(stage: Stage) -> Change:
    """The change of a callback that comes before the create's own reply."""
    create = make_operation(Kind.CREATE, Status.SENDING)
    change = apply_fact(
        make_payment(State.CREATED), saw(stage), operation=create, cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS
    )
    assert (status_of(change), change.payment.state) == (Status.SENDING, State(stage))
    return change


EARLY = pytest.mark.parametrize("stage", [Stage.PROCESSING, Stage.CAPTURED, Stage.FAILED])


@EARLY
def test_early_event_then_the_reply(stage: Stage) -> None:
    """An event may come before the reply: it moves the payment, and the reply still brings the address."""
    before = early(stage)
    reply = saw(Stage.AWAITING_CUSTOMER, redirect_url="https://pay.example/1")
    after = apply_fact(before.payment, reply, operation=before.operation, cause=Cause.REPLY, policy=WITHOUT_LOOKUPS)
    assert (status_of(after), after.payment.state) == (Status.SUCCEEDED, State(stage))
    assert after.payment.redirect_url == "https://pay.example/1"


@EARLY
def test_early_event_then_a_timeout(stage: Stage) -> None:
    """After a verified event a timeout leaves nothing open: the create had its effect."""
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


def test_an_expired_create_stays_open_after_a_timeout() -> None:
    """Expiry proves nothing: a timeout after it leaves the create unknown."""
    create = make_operation(Kind.CREATE, Status.SENDING)
    after = apply_fact(make_payment(State.EXPIRED), Unknown(message="silence"), operation=create, cause=Cause.REPLY)
    assert status_of(after) is Status.UNKNOWN
