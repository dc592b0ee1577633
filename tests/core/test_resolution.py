"""What an operator enters of a payment: evidence that contradicts itself, what it moves, what a provider says later.

The walk goes from every state with every evidence through every order of later callbacks, lookups, refunds and further
evidence: money stays right after each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from gateway.core.change import Change
from gateway.core.commands import Kind
from gateway.core.errors import Reason
from gateway.core.facts import Cause, Observation, PaymentResolved, Stage
from gateway.core.payment import (
    Before,
    Failure,
    FailureCode,
    Operation,
    Payment,
    Repeatable,
    ReviewReason,
    State,
    Status,
)
from gateway.core.resolution import CAPTURED, REFUNDED, evidence_problems, outcome_shown, proved_problem
from gateway.core.rules import Actual, Policy, Tolerance
from gateway.core.states import apply
from tests.core.test_states_explored import Node, Step, begin, fact, key, plain, plain_operation, state_by_money, taken
from tests.support.factories.payments import (
    AT,
    QUIET,
    TAKEN,
    TOTAL,
    WITHOUT_LOOKUPS,
    apply_fact,
    make_operation,
    make_payment,
    make_policy,
    saw,
)

REASON = "seen in the portal"
LATE = AT + QUIET
ENTERABLE = [state for state in State if state is not State.CREATED]


def entered(state: str, **members: Any) -> PaymentResolved:
    """The word of an operator; amounts may be given as text."""
    exact = {name: Decimal(members.pop(name)) for name in ("captured", "refunded") if members.get(name) is not None}
    return PaymentResolved(**{"actor": "dana", "reason": REASON, "state": state, **members, **exact})


def resolved(payment: Payment, decided: PaymentResolved, **more: Any) -> Change:
    """Evidence that contradicts nothing, applied."""
    assert evidence_problems(payment, more.get("operation"), decided, more.get("policy", WITHOUT_LOOKUPS)) == []
    return apply_fact(payment, decided, **{"cause": Cause.OPERATOR, "policy": WITHOUT_LOOKUPS, **more})


def callback(payment: Payment, seen: Observation) -> Change:
    """A proved callback that comes afterwards."""
    return apply_fact(payment, seen, cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS)


PAID = saw(Stage.CAPTURED, amount="100.00", provider_reference="T-1")


# What contradicts itself


@pytest.mark.parametrize(
    ("state", "members", "fields"),
    [
        ("captured", {"captured": "100.01"}, {CAPTURED}),
        ("captured", {"captured": "0.00"}, {CAPTURED}),
        ("captured", {"captured": "-1.00"}, {CAPTURED, "$.state"}),
        ("captured", {"refunded": "1.00"}, {REFUNDED}),
        ("captured", {"captured": "60.00", "refunded": "-1.00"}, {REFUNDED}),
        ("partially_refunded", {}, {"$.state"}),
        ("partially_refunded", {"refunded": "0.00"}, {REFUNDED}),
        ("partially_refunded", {"captured": "60.00", "refunded": "60.00"}, {REFUNDED}),
        ("refunded", {"captured": "60.00", "refunded": "40.00"}, {REFUNDED}),
        ("refunded", {"captured": "60.00", "refunded": "80.00"}, {REFUNDED}),
        ("refunded", {"captured": "0.00"}, {CAPTURED}),
        ("refunded", {"captured": "150.00", "refunded": "160.00"}, {CAPTURED, REFUNDED}),
        ("authorized", {"captured": "60.00"}, {CAPTURED}),
        ("failed", {"captured": "60.00"}, {CAPTURED}),
        ("canceled", {"refunded": "60.00"}, {REFUNDED}),
        ("expired", {"captured": "60.00", "refunded": "70.00"}, {CAPTURED, REFUNDED}),
    ],
)
def test_evidence_that_contradicts_itself_is_named(state: str, members: dict[str, str], fields: set[str]) -> None:
    """Every member that does not fit the others, all of them at once."""
    found = evidence_problems(make_payment(), None, entered(state, **members), WITHOUT_LOOKUPS)
    assert {field for field, _ in found} == fields


@pytest.mark.parametrize(
    ("payment", "decided"),
    [
        (make_payment(State.PARTIALLY_REFUNDED), entered("partially_refunded", refunded="20.00")),
        (make_payment(State.PARTIALLY_REFUNDED), entered("captured")),
        (make_payment(State.PARTIALLY_REFUNDED), entered("canceled")),
        (make_payment(State.CAPTURED, disputed=Decimal("80.00")), entered("captured", captured="60.00")),
        (make_payment(State.CAPTURED, disputed=Decimal("80.00")), entered("failed")),
    ],
)
def test_money_on_record_that_went_back_was_taken(payment: Payment, decided: PaymentResolved) -> None:
    """Less than what is on record as refunded or disputed contradicts the record."""
    assert evidence_problems(payment, None, decided, WITHOUT_LOOKUPS)


def test_a_refund_that_the_provider_denied_may_be_taken_back() -> None:
    """Then the person's total is the better one."""
    payment = make_payment(State.REFUNDED, denied_operations=("op_1",))
    change = resolved(payment, entered("captured", refunded="0.00"))
    assert (change.payment.state, change.payment.refunded) == (State.CAPTURED, 0)


def test_what_the_account_accepts_a_person_may_enter() -> None:
    """More than the amount only where a callback could bring it."""
    more = entered("captured", captured="104.00")
    rules = {Actual(): True, Tolerance(absolute=Decimal(5)): True, Tolerance(absolute=Decimal(1)): False}
    for rule, fits in rules.items():
        policy = make_policy(lookups=False, amount=rule)
        assert (evidence_problems(make_payment(), None, more, policy) == []) is fits


def test_a_person_may_know_the_transaction_better() -> None:
    """Where it is not the key of lookups; that one is refused before."""
    payment, other = make_payment(provider_reference="T-1"), entered("captured", provider_reference="T-2")
    assert resolved(payment, other).payment.provider_reference == "T-2"


@pytest.mark.parametrize(
    ("stated", "evidence", "is_proved"),
    [
        (None, entered("failed"), True),
        (None, entered("awaiting_customer"), True),
        (None, entered("captured", captured="60.00"), True),
        (None, entered("captured"), False),
        (None, entered("partially_refunded", refunded="60.00"), False),
        ("", entered("failed"), False),
        ("T-1", entered("captured", captured="60.00"), False),
    ],
)
def test_only_what_was_proved_needs_a_second_look(
    stated: str | None, evidence: PaymentResolved, is_proved: bool
) -> None:
    """What a person alone entered may be corrected as it was entered."""
    payment = make_payment(State.CAPTURED, stated=stated)
    assert (proved_problem(payment, None, evidence, WITHOUT_LOOKUPS) is not None) is is_proved


# What it moves


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("state", ENTERABLE)
def test_every_state_can_be_entered_from_every_other(before: State, state: State) -> None:
    """One version, told by its event, with name and reason; the review flag is cleared."""
    payment = make_payment(before, refunded=Decimal(0), failure=None, denied_operations=("op_0",))
    decided = entered(state, refunded="40.00" if state is State.PARTIALLY_REFUNDED else None)
    change = resolved(payment, decided)
    after, event = change.payment, change.event
    assert event is not None
    assert (after.state, after.version, event.cause) == (state, payment.version + 1, Cause.OPERATOR)
    assert (after.captured > 0) is (state in TAKEN)
    assert state not in TAKEN or state is state_by_money(after) or state is State.CAPTURED
    assert event.details.items() >= {"actor": "dana", "reason": REASON}.items()
    assert (after.failure is not None) == (state is State.FAILED is not before)
    assert (after.expired_at is not None) == (state is State.EXPIRED)


def test_the_same_once_more_is_recorded_and_changes_nothing() -> None:
    """It is a line of the timeline, and needs no confirmation."""
    payment = make_payment(State.CAPTURED)
    change = resolved(payment, entered("captured"))
    assert change.event is not None
    assert (change.event.type, change.payment.stated, change.payment.captured) == ("payment.updated", None, TOTAL)


# What an open operation comes to


def shown(kind: Kind, state: str, payment: Payment, *, at: Any = AT, **members: Any) -> Status | None:
    """The outcome that evidence shows."""
    amount = Decimal("40.00") if kind in (Kind.REFUND, Kind.UPDATE) else TOTAL
    before = Before(amount=TOTAL, captured=payment.captured, refunded=payment.refunded, stage=Stage.AWAITING_CUSTOMER)
    operation = make_operation(kind, amount=amount, before=before)
    return outcome_shown(payment, operation, entered(state, **members), WITHOUT_LOOKUPS, at)


CREATED, AUTHORIZED, PAID_FOR = (
    make_payment(State.CREATED),
    make_payment(State.AUTHORIZED),
    make_payment(State.CAPTURED),
)
YES, NO, OPEN = Status.SUCCEEDED, Status.DECLINED, None


@pytest.mark.parametrize(
    ("kind", "payment", "state", "members", "soon", "later"),
    [
        (Kind.CREATE, CREATED, "awaiting_customer", {}, YES, YES),
        (Kind.CREATE, CREATED, "captured", {}, YES, YES),
        (Kind.CREATE, CREATED, "failed", {}, NO, NO),
        (Kind.CREATE, CREATED, "failed", {"provider_reference": "T-1"}, YES, YES),
        (Kind.CREATE, CREATED, "expired", {}, OPEN, OPEN),
        (Kind.COMPLETE, make_payment(), "authorized", {}, YES, YES),
        (Kind.COMPLETE, make_payment(), "awaiting_customer", {}, OPEN, NO),
        (Kind.COMPLETE, make_payment(), "failed", {}, NO, NO),
        (Kind.CAPTURE, AUTHORIZED, "captured", {}, YES, YES),
        (Kind.CAPTURE, AUTHORIZED, "authorized", {}, OPEN, NO),
        (Kind.CAPTURE, AUTHORIZED, "canceled", {}, NO, NO),
        (Kind.CAPTURE, AUTHORIZED, "expired", {}, OPEN, OPEN),
        (Kind.CANCEL, AUTHORIZED, "canceled", {}, YES, YES),
        (Kind.CANCEL, AUTHORIZED, "captured", {}, NO, NO),
        (Kind.CANCEL, AUTHORIZED, "authorized", {}, OPEN, NO),
        (Kind.UPDATE, AUTHORIZED, "authorized", {}, OPEN, OPEN),
        (Kind.REFUND, PAID_FOR, "partially_refunded", {"refunded": "40.00"}, YES, YES),
        (Kind.REFUND, PAID_FOR, "captured", {"refunded": "0.00"}, OPEN, NO),
        (Kind.REFUND, PAID_FOR, "captured", {}, OPEN, OPEN),
        (Kind.REFUND, PAID_FOR, "partially_refunded", {"refunded": "30.00"}, OPEN, OPEN),
    ],
)
def test_the_evidence_decides_an_operation_or_leaves_it(
    kind: Kind, payment: Payment, state: str, members: dict[str, str], soon: Status | None, later: Status | None
) -> None:
    """That nothing was done counts when no late effect can come any more."""
    assert shown(kind, state, payment, **members) is soon
    assert shown(kind, state, payment, at=LATE, **members) is later


def test_an_operation_whose_answer_is_on_its_way_is_never_decided() -> None:
    """Its reply will say it."""
    operation = make_operation(Kind.CREATE, Status.SENDING)
    assert outcome_shown(CREATED, operation, entered("captured"), WITHOUT_LOOKUPS, LATE) is None


def test_a_capture_of_a_part_was_of_that_part() -> None:
    """Where no total is named, the open capture's counts: the rest was never asked for."""
    before = Before(amount=TOTAL, captured=Decimal(0), refunded=Decimal(0))
    operation = make_operation(Kind.CAPTURE, amount=Decimal("60.00"), before=before)
    change = resolved(AUTHORIZED, entered("captured"), operation=operation)
    assert change.operation is not None
    assert (change.payment.captured, change.operation.status) == (Decimal("60.00"), Status.SUCCEEDED)


def test_a_repetition_that_runs_may_still_have_its_effect() -> None:
    """Nothing was done yet, which proves nothing until it has ended."""
    before = Before(amount=TOTAL, captured=TOTAL, refunded=Decimal(0))
    again = Repeatable(digest="d", under_way_until=LATE + timedelta(seconds=9))
    operation = make_operation(Kind.REFUND, amount=Decimal("40.00"), before=before, repeatable=again)
    nothing = entered("captured", refunded="0.00")
    assert outcome_shown(PAID_FOR, operation, nothing, WITHOUT_LOOKUPS, LATE) is None
    assert outcome_shown(PAID_FOR, operation, nothing, WITHOUT_LOOKUPS, LATE + QUIET) is Status.DECLINED


@pytest.mark.parametrize("state", ["authorized", "captured", "failed"])
def test_money_that_was_accepted_needs_no_completion(state: str) -> None:
    """What a person knows to be authorized or captured is not completed once more."""
    change = resolved(make_payment(completed=False), entered(state))
    assert change.payment.completed is (state != "failed")


def test_a_create_that_was_never_there_fails_its_payment() -> None:
    """As it does where its operation alone is resolved."""
    change = resolved(CREATED, entered("failed"), operation=make_operation(Kind.CREATE))
    assert change.payment.failure == Failure(code=FailureCode.NOT_CREATED, message=REASON)


def test_an_operation_ends_in_the_same_version() -> None:
    """A lost create of a payment that was paid: both in one event."""
    change = resolved(CREATED, entered("captured", provider_reference="T-1"), operation=make_operation(Kind.CREATE))
    assert change.operation is not None
    assert change.event is not None
    assert (change.operation.status, change.payment.captured) == (Status.SUCCEEDED, TOTAL)
    assert (change.event.type, change.event.details["outcome"]) == ("payment.captured", "succeeded")


# What the provider says afterwards


@pytest.mark.parametrize("named", [None, "T-1"])
def test_a_later_callback_with_the_same_facts_confirms(named: str | None) -> None:
    """It is recorded, not refused; nothing is captured again, and its repetition is one."""
    payment = resolved(make_payment(), entered("captured", provider_reference=named)).payment
    first = callback(payment, PAID)
    assert (first.refusal, first.payment.review, first.payment.captured) == (None, None, TOTAL)
    assert (first.payment.stated, first.payment.provider_reference) == (None, "T-1")
    assert (first.event is None) is (named is not None)
    assert callback(first.payment, PAID).refusal is Reason.REPEATED_FINAL


def test_the_first_success_is_the_one_that_was_meant() -> None:
    """An attempt that failed had named its transaction; the person named none."""
    failed = make_payment(State.FAILED, provider_reference="T-0")
    first = callback(resolved(failed, entered("captured")).payment, PAID)
    assert (first.refusal, first.payment.review, first.payment.provider_reference) == (None, None, "T-1")
    second = callback(first.payment, saw(Stage.CAPTURED, amount="100.00", provider_reference="T-2"))
    assert second.payment.review is not None


def test_a_total_that_was_corrected_does_not_hide_a_second_payment() -> None:
    """The transaction that captured it is known: a success of another one is still a second one."""
    payment = callback(make_payment(), PAID).payment
    corrected = resolved(payment, entered("captured", captured="60.00")).payment
    other = saw(Stage.CAPTURED, amount="60.00", provider_reference="T-2")
    review = callback(corrected, other).payment.review
    assert review is not None
    assert review.reason is ReviewReason.CONTRADICTION


@pytest.mark.parametrize(
    ("decided", "seen", "reason"),
    [
        (entered("failed"), PAID, ReviewReason.CONTRADICTION),
        (entered("canceled"), PAID, ReviewReason.CONTRADICTION),
        (entered("captured"), saw(Stage.FAILED), ReviewReason.CONTRADICTION),
        (entered("captured", captured="60.00"), PAID, ReviewReason.AMOUNT),
        (entered("captured", captured="60.00"), saw(Stage.CAPTURED, captured="50.00"), ReviewReason.AMOUNT),
        (entered("captured", provider_reference="T-9"), PAID, ReviewReason.CONTRADICTION),
        (entered("refunded", captured="60.00"), PAID, ReviewReason.AMOUNT),
    ],
)
def test_a_later_callback_that_contradicts_raises_the_flag(
    decided: PaymentResolved, seen: Observation, reason: ReviewReason
) -> None:
    """It is refused and books nothing."""
    payment = resolved(make_payment(), decided).payment
    change = callback(payment, seen)
    assert change.refusal is not None
    assert change.payment.review is not None
    assert (change.payment.review.reason, change.payment.captured) == (reason, payment.captured)


def test_the_flag_says_what_was_entered() -> None:
    """A person who looks again sees both totals."""
    payment = resolved(make_payment(), entered("captured", captured="60.00")).payment
    review = callback(payment, PAID).payment.review
    assert review is not None
    assert review.detail == "the provider shows 100.00 USD captured; an operator entered 60.00 USD"


def test_who_looks_again_is_not_asked_a_third_time() -> None:
    """The same word after the flag stands: the provider's other total is known by then."""
    decided = entered("captured", captured="60.00")
    flagged = callback(resolved(make_payment(), decided).payment, PAID).payment
    again = resolved(flagged, decided).payment
    assert (again.review, again.stated) == (None, None)
    assert callback(again, PAID).payment.review is None


@pytest.mark.parametrize("state", ["awaiting_customer", "processing", "authorized", "expired"])
def test_what_is_not_over_moves_on(state: str) -> None:
    """A payment that a person put back is captured by its callback as any."""
    change = callback(resolved(make_payment(State.FAILED), entered(state)).payment, PAID)
    assert (change.payment.state, change.payment.review, change.payment.stated) == (State.CAPTURED, None, None)


# Every order


def enter(decided: PaymentResolved, policy: Policy) -> Step:
    """An operator enters evidence, where it contradicts nothing and decides what is open."""

    def step(node: Node) -> Node | None:
        payment, operation = node.payment, node.operation
        if evidence_problems(payment, operation, decided, policy):
            return None
        if operation is not None and outcome_shown(payment, operation, decided, policy, LATE) is None:
            return None
        change = apply(payment, operation, decided, cause=Cause.OPERATOR, policy=policy, at=LATE)
        after = change.payment
        assert (after.version, after.review) == (payment.version + 1, None)
        assert change.operation is None or not change.operation.is_open
        assert Decimal(0) <= after.refunded <= after.captured
        is_open = policy.rules.captures == "many" and after.state is State.AUTHORIZED
        assert (after.state in TAKEN) == (after.captured > 0) or is_open
        assert not is_open or after.captured < after.money.amount
        assert after.state not in TAKEN or after.state is money_state(after)
        return Node(plain(after), None, node.is_late)

    return step


def money_state(payment: Payment) -> State:
    """What the totals alone say."""
    return state_by_money(payment) if payment.refunded else State.CAPTURED


def every_evidence(policy: Policy) -> Iterator[PaymentResolved]:
    """All states with all totals that may come with them, and some that may not."""
    states = [state for state in ENTERABLE if policy.lookups or state is not State.AUTHORIZED]
    totals = (None, "0.00", "60.00", "100.00")
    for state, captured, refunded in product(states, totals, (None, "0.00", "40.00", "60.00")):
        yield entered(state, captured=captured, refunded=refunded, provider_reference="T-1" if captured else None)


def later_facts(policy: Policy) -> dict[str, Step]:
    """What the provider, the tenant and the clock may still do."""
    told = {
        "paid": PAID,
        "paid by another": saw(Stage.CAPTURED, amount="100.00", provider_reference="T-2"),
        "paid a part": saw(Stage.CAPTURED, amount="60.00", captured="60.00", provider_reference="T-1"),
        "failed": saw(Stage.FAILED, provider_reference="T-1"),
        "refunded a part": saw(Stage.CAPTURED, refunded="40.00"),
    }
    cause = Cause.LOOKUP if policy.lookups else Cause.CALLBACK
    steps = {f"{cause} {name}": fact(seen, cause, policy) for name, seen in told.items()}
    steps["refund"] = begin(Kind.REFUND, frozenset({State.CAPTURED, State.PARTIALLY_REFUNDED}), "40.00")
    steps["reply refunded"] = fact(saw(), Cause.REPLY, policy)
    return steps


def unknown(node: Node) -> Node | None:
    """The open operation loses its answer."""
    operation = node.operation
    if operation is None or operation.status is not Status.SENDING:
        return None
    lost = make_operation(operation.kind, amount=operation.amount, before=operation.before)
    return node._replace(operation=plain_operation(lost))


POLICIES = {
    "callbacks": WITHOUT_LOOKUPS,
    "lookups": make_policy(),
    "parts": make_policy(captures="many"),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("before", State)
def test_money_stays_right_in_every_order(before: State, policy: Policy) -> None:
    """Evidence, then any callbacks, refunds and further evidence: never more refunded than captured, nothing twice."""
    words = {f"enter {decided}": enter(decided, policy) for decided in every_evidence(policy)}
    steps = {**words, **later_facts(policy), "silence": unknown}
    payment = plain(make_payment(before))
    operation: Operation | None = make_operation(Kind.CREATE) if before is State.CREATED else None
    frontier, seen = [(Node(payment, operation, is_late=False), ())], {}
    for _ in range(3):
        following = []
        for node, way in frontier:
            for name, step in steps.items():
                after = taken(node, step, (*way, name))
                if after is not None and key(after) not in seen:
                    seen[key(after)] = (*way, name)
                    following.append((after, (*way, name)))
        frontier = following
    assert len(seen) > (5 if before is State.REFUNDED else 50)


def test_a_quiet_period_is_what_makes_a_no() -> None:
    """The time that is counted is the operation's own."""
    assert shown(Kind.REFUND, "captured", PAID_FOR, refunded="0.00", at=AT + QUIET - timedelta(seconds=1)) is None
