"""The state machine explored exhaustively: every sequence, however long, of what can happen at two kinds of provider.

Sequences that lead to the same payment and operation are walked on together until nothing new is reached. What must
hold after each step stands in ``broken``; what must not depend on the order stands in the last test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from gateway.core import documents
from gateway.core.change import Change
from gateway.core.commands import Kind
from gateway.core.facts import (
    Absent,
    Cause,
    Declined,
    Expired,
    Fact,
    NeverSent,
    Observation,
    Pending,
    Stage,
    Unknown,
)
from gateway.core.payment import Before, Operation, Payment, PaymentEvent, State, Status
from gateway.core.rules import Actual, Policy
from gateway.core.states import apply
from tests.support.factories.payments import AT, GRACE, TAKEN, make_operation, make_payment, make_policy, saw

PAST_GRACE = AT + GRACE + timedelta(seconds=1)


class Node(NamedTuple):
    """Where a history stands: the payment without its version, its open operation, and whether grace time passed."""

    payment: Payment
    operation: Operation | None
    is_late: bool


Step = Callable[[Node], Node | None]
"""Something that can happen; None where it cannot."""


class Broken(Exception):
    """A rule that must hold does not."""


# What can happen


def fact(told: Fact, cause: Cause, policy: Policy) -> Step:
    """Somebody tells a fact."""

    def step(node: Node) -> Node | None:
        if cause is Cause.REPLY and (node.operation is None or node.operation.status is not Status.SENDING):
            return None
        at = PAST_GRACE if node.is_late else AT
        change = apply(node.payment, node.operation, told, cause=cause, policy=policy, at=at)
        check(node, change, told, policy)
        if isinstance(told, Observation) and node.operation is None:
            check_repetition(change, told, cause, policy, node)
        open_operation = change.operation if change.operation is not None and change.operation.is_open else None
        return Node(plain(change.payment), plain_operation(open_operation), node.is_late)

    return step


def begin(kind: Kind, states: frozenset[State], amount: str = "100.00", *, final: bool | None = None) -> Step:
    """A command is reserved, as the flows do it: no open operation, the right state, no review."""

    def step(node: Node) -> Node | None:
        payment = node.payment
        left = payment.captured - payment.refunded
        is_possible = node.operation is None and payment.state in states and payment.review is None
        if (
            not is_possible
            or (kind is Kind.COMPLETE and payment.completed)
            or (kind is Kind.REFUND and Decimal(amount) > left)
            or (kind is Kind.CAPTURE and Decimal(amount) > payment.money.amount - payment.captured)
        ):
            return None
        before = Before(
            amount=payment.money.amount,
            captured=payment.captured,
            refunded=payment.refunded,
            stage=Stage.AWAITING_CUSTOMER,
        )
        told = {"amount": Decimal(amount), "before": before, "final": final}
        return node._replace(operation=make_operation(kind, Status.SENDING, **told))

    return step


def grace_ends(node: Node) -> Node | None:
    """Time passes until the grace of whatever expired has ended; what expires later begins a new one."""
    return None if node.is_late else node._replace(is_late=True)


def plain(payment: Payment) -> Payment:
    """The payment without what every version changes."""
    review = payment.review and replace(payment.review, since=AT)
    dates = dict.fromkeys(("capture_by", "authorized_at", "captured_at", "canceled_at"))
    return replace(payment, version=5, updated_at=AT, alerts=(), review=review, **dates)


def plain_operation(operation: Operation | None) -> Operation | None:
    """The operation without what every change touches."""
    return None if operation is None else replace(operation, updated_at=AT, note=None)


# What must hold

HARD = {
    State.FAILED: frozenset({State.FAILED}),
    State.CANCELED: frozenset({State.CANCELED}),
    **dict.fromkeys(TAKEN, TAKEN),
}
"""States that are never left, and what they may still become."""

SHOWN = ("state", "money", "captured", "refunded", "provider_reference", "redirect_url", "failure", "review")


def broken(node: Node, change: Change, told: Fact, policy: Policy) -> Iterator[str]:
    """Everything that is wrong about one step."""
    before, after, event = node.payment, change.payment, change.event
    if after.refunded > after.captured:
        yield "more refunded than captured"
    if after.state not in HARD.get(before.state, frozenset(State)):
        yield "a hard end was left"
    in_parts = policy.rules.captures == "many"
    is_open = in_parts and after.state is State.AUTHORIZED
    if (after.state in TAKEN) != (after.captured > 0) and not is_open:
        yield "captured means that money was taken"
    if is_open and after.captured >= after.money.amount:
        yield "authorized means that some of the amount is open"
    if before.captured and after.captured != before.captured and not (in_parts and before.state is State.AUTHORIZED):
        yield "captured once, never again"
    if after.captured < before.captured:
        yield "the captured total fell"
    if after.refunded < before.refunded:
        yield "the refunded total fell"
    if after.state in TAKEN and after.state is not state_by_money(after):
        yield "the state does not follow from the money"
    if after.state is State.AUTHORIZED and not after.completed:
        yield "authorized without a completion"
    if before.review is not None and after.review != before.review:
        yield "a fact changed the review"
    if isinstance(told, Expired | Unknown | NeverSent | Absent) and after.captured != before.captured:
        yield "money moved without proof"
    yield from broken_versions(before, after, event)
    yield from broken_operation(node.operation, change.operation, told)


def broken_versions(before: Payment, after: Payment, event: PaymentEvent | None) -> Iterator[str]:
    if after.version - before.version != (event is not None):
        yield "a version without its event, or an event without its version"
    if event is None and any(getattr(before, name) != getattr(after, name) for name in SHOWN):
        yield "a change without a version"
    if event is not None and (event.version, event.state_before, event.state_after) != (
        after.version,
        before.state,
        after.state,
    ):
        yield "the event does not tell the change"


def broken_operation(before: Operation | None, after: Operation | None, told: Fact) -> Iterator[str]:
    if (before is None) != (after is None):
        yield "an operation came or went"
    elif before is not None and after is not None:
        if after.status is Status.SENDING and before.status is not Status.SENDING:
            yield "back to sending"
        if isinstance(told, Expired) and after != before:
            yield "the clock settled an operation"


def state_by_money(payment: Payment) -> State:
    """What the totals alone say."""
    if payment.refunded == payment.captured:
        return State.REFUNDED
    return State.PARTIALLY_REFUNDED if payment.refunded else State.CAPTURED


def check(node: Node, change: Change, told: Fact, policy: Policy) -> None:
    """Raise what is wrong."""
    found = list(broken(node, change, told, policy))
    if found:
        raise Broken("; ".join(found))


def check_repetition(change: Change, told: Observation, cause: Cause, policy: Policy, node: Node) -> None:
    """The same fact a second time changes nothing."""
    at = PAST_GRACE if node.is_late else AT
    again = apply(change.payment, None, told, cause=cause, policy=policy, at=at)
    if again.event is not None or again.payment != change.payment:
        raise Broken("a repeated fact made a change")


# The providers

ANY_TIME = frozenset({State.CREATED, State.AWAITING_CUSTOMER, State.PROCESSING, State.EXPIRED})
REPLIES: Mapping[str, Fact] = {
    "declined": Declined(code="no", message="no"),
    "silence": Unknown(message="silence"),
    "never sent": NeverSent(message="connect_failed"),
    "pending": Pending(observation=saw()),
}


def one_step() -> tuple[Node, dict[str, Step]]:
    """A provider with callbacks only, whose success is money taken; it books what arrived."""
    policy = make_policy(lookups=False, amount=Actual())
    callbacks = {
        "processing": saw(Stage.PROCESSING, amount="100.00", provider_reference="T-1"),
        "other processing": saw(Stage.PROCESSING, amount="100.00", provider_reference="T-2"),
        "captured": saw(Stage.CAPTURED, amount="99.00", provider_reference="T-2"),
        "failed": saw(Stage.FAILED, amount="100.00"),
        "strange": saw(),
        "other currency": saw(Stage.CAPTURED, currency="EUR"),
    }
    replies = {**REPLIES, "page": saw(Stage.AWAITING_CUSTOMER, redirect_url="https://pay.example")}
    steps = {f"callback {name}": fact(told, Cause.CALLBACK, policy) for name, told in callbacks.items()}
    steps |= {f"reply {name}": fact(told, Cause.REPLY, policy) for name, told in replies.items()}
    steps |= {"expiry": fact(Expired(), Cause.CLOCK, policy), "grace ends": grace_ends}
    return start(completed=True), steps


def two_step() -> tuple[Node, dict[str, Step]]:
    """A provider with lookups, a completion, and captures, cancels and refunds on command."""
    policy = replace(make_policy(absence_proves=True), quiet_period=timedelta(0))
    lookups: dict[str, Fact] = {
        "awaiting": saw(Stage.AWAITING_CUSTOMER, provider_reference="CK-1", amount="100.00"),
        "authorized": saw(Stage.AUTHORIZED, amount="100.00", refunded="0.00", captured="0.00"),
        "captured": saw(Stage.CAPTURED, captured="100.00", refunded="0.00"),
        "refunded a part": saw(Stage.CAPTURED, captured="100.00", refunded="40.00"),
        "refunded": saw(Stage.CAPTURED, captured="100.00", refunded="100.00"),
        "captured a part": saw(Stage.CAPTURED, captured="60.00"),
        "failed": saw(Stage.FAILED),
        "canceled": saw(Stage.CANCELED),
        "absent": Absent(),
        "another": saw(Stage.CAPTURED, provider_reference="CK-2"),
    }
    replies = {**REPLIES, "page": saw(Stage.AWAITING_CUSTOMER, provider_reference="CK-1"), "done": saw()}
    replies |= {"captured": saw(Stage.CAPTURED), "canceled": saw(Stage.CANCELED)}
    steps = {f"lookup {name}": fact(told, Cause.LOOKUP, policy) for name, told in lookups.items()}
    steps |= {f"reply {name}": fact(told, Cause.REPLY, policy) for name, told in replies.items()}
    steps |= {
        "complete": begin(Kind.COMPLETE, ANY_TIME),
        "capture": begin(Kind.CAPTURE, frozenset({State.AUTHORIZED})),
        "capture a part": begin(Kind.CAPTURE, frozenset({State.AUTHORIZED}), "60.00"),
        "cancel": begin(Kind.CANCEL, frozenset({State.AWAITING_CUSTOMER, State.AUTHORIZED})),
        "update": begin(Kind.UPDATE, frozenset({State.AWAITING_CUSTOMER, State.AUTHORIZED}), "80.00"),
        "refund": begin(Kind.REFUND, TAKEN, "40.00"),
    }
    steps |= {"expiry": fact(Expired(), Cause.CLOCK, policy), "grace ends": grace_ends}
    return start(completed=False), steps


def in_parts() -> tuple[Node, dict[str, Step]]:
    """A provider whose payments are captured in parts; a cancel gives the rest up."""
    policy = replace(make_policy(captures="many", absence_proves=True), quiet_period=timedelta(0))
    lookups: dict[str, Fact] = {
        "awaiting": saw(Stage.AWAITING_CUSTOMER, provider_reference="P-1"),
        "authorized": saw(Stage.AUTHORIZED, captured="0.00"),
        "captured 40": saw(Stage.AUTHORIZED, captured="40.00"),
        "captured 70": saw(Stage.AUTHORIZED, captured="70.00"),
        "closed at 40": saw(Stage.CAPTURED, captured="40.00", refunded="0.00"),
        "canceled at 40": saw(Stage.CANCELED, captured="40.00"),
        "captured": saw(Stage.CAPTURED, captured="100.00"),
        "refunded a part": saw(Stage.CAPTURED, captured="70.00", refunded="40.00"),
        "refunded while open": saw(Stage.AUTHORIZED, captured="70.00", refunded="40.00"),
        "canceled": saw(Stage.CANCELED),
        "failed": saw(Stage.FAILED),
    }
    replies = {**REPLIES, "page": saw(Stage.AWAITING_CUSTOMER, provider_reference="P-1"), "done": saw(Stage.AUTHORIZED)}
    replies |= {"captured": saw(Stage.CAPTURED), "canceled": saw(Stage.CANCELED), "unchanged": lookups["captured 40"]}
    steps = {f"lookup {name}": fact(told, Cause.LOOKUP, policy) for name, told in lookups.items()}
    steps |= {f"reply {name}": fact(told, Cause.REPLY, policy) for name, told in replies.items()}
    steps |= {
        "capture 40": begin(Kind.CAPTURE, frozenset({State.AUTHORIZED}), "40.00", final=False),
        "capture 30": begin(Kind.CAPTURE, frozenset({State.AUTHORIZED}), "30.00", final=False),
        "capture 30 at last": begin(Kind.CAPTURE, frozenset({State.AUTHORIZED}), "30.00", final=True),
        "cancel": begin(Kind.CANCEL, frozenset({State.AWAITING_CUSTOMER, State.AUTHORIZED})),
        "refund": begin(Kind.REFUND, TAKEN, "40.00"),
    }
    return start(completed=True), steps


def start(*, completed: bool) -> Node:
    """A payment whose create is on its way."""
    payment = make_payment(State.CREATED, completed=completed)
    return Node(payment, make_operation(Kind.CREATE, Status.SENDING), is_late=False)


PROVIDERS: dict[str, Callable[[], tuple[Node, dict[str, Step]]]] = {
    "one step": one_step,
    "two steps": two_step,
    "in parts": in_parts,
}


# Walking


def key(node: Node) -> Any:
    """What tells nodes apart (a payment holds mappings, so it has no hash)."""
    operation = None if node.operation is None else documents.encode(node.operation)
    return documents.encode(node.payment), operation, node.is_late


@cache
def explored(provider: str) -> list[Node]:
    """Every place that is reached in any number of steps. Raises ``Broken`` with the way to what is wrong."""
    begins, steps = PROVIDERS[provider]()
    frontier: list[tuple[Node, tuple[str, ...]]] = [(begins, ())]
    reached, seen = [begins], {key(begins)}
    while frontier:
        following = []
        for node, way in frontier:
            for name, step in steps.items():
                after = taken(node, step, (*way, name))
                if after is not None and (found := key(after)) not in seen:
                    seen.add(found)
                    reached.append(after)
                    following.append((after, (*way, name)))
        frontier = following
    return reached


def taken(node: Node, step: Step, way: tuple[str, ...]) -> Node | None:
    """Take a step; what breaks says how it was reached."""
    try:
        return step(node)
    except Broken as problem:
        raise Broken(f"after {' -> '.join(way)}: {problem}") from None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_breaks_in_any_history(provider: str) -> None:
    """After every step of every history all rules hold."""
    assert len(explored(provider)) > 100


@pytest.mark.parametrize(
    ("provider", "unreachable"),
    [
        ("one step", {State.AUTHORIZED, State.CANCELED, State.PARTIALLY_REFUNDED, State.REFUNDED}),
        ("two steps", {State.PROCESSING}),
        ("in parts", {State.PROCESSING, State.EXPIRED}),
    ],
)
def test_the_histories_reach_every_state(provider: str, unreachable: set[State]) -> None:
    """The walk is worth something: every state the provider can have is reached, with and without a review."""
    reached = explored(provider)
    assert {node.payment.state for node in reached} == set(State) - unreachable
    assert {node.payment.state for node in reached if node.payment.review is None} == set(State) - unreachable


# The order of proved facts

WORDS = {
    "awaiting": saw(Stage.AWAITING_CUSTOMER, provider_reference="X-1"),
    "processing": saw(Stage.PROCESSING),
    "authorized": saw(Stage.AUTHORIZED),
    "captured": saw(Stage.CAPTURED),
    "refunded a part": saw(Stage.CAPTURED, refunded="40.00"),
    "refunded": saw(Stage.CAPTURED, refunded="100.00"),
    "failed": saw(Stage.FAILED),
    "canceled": saw(Stage.CANCELED),
}
"""What a provider proves that does not name how much it took."""

TOTALS = {
    **WORDS,
    "captured": saw(Stage.CAPTURED, captured="100.00", refunded="0.00"),
    "captured a part": saw(Stage.CAPTURED, captured="60.00"),
    "refunded a part": saw(Stage.CAPTURED, captured="100.00", refunded="40.00"),
    "refunded": saw(Stage.CAPTURED, captured="100.00", refunded="100.00"),
}
"""What a provider proves that always names it."""

Money = tuple[Decimal, Decimal]


def after_any_order(
    begins: Payment, proved: Mapping[str, Observation], cause: Cause, policy: Policy
) -> dict[frozenset[str], dict[Money, list[str]]]:
    """For each set of facts: the totals it may end with (no review up), each with the orders that lead there."""
    places: dict[tuple[frozenset[str], str], tuple[Payment, str]] = {(frozenset(), ""): (begins, "")}
    found: dict[frozenset[str], dict[Money, list[str]]] = {}
    for _ in proved:
        following: dict[tuple[frozenset[str], str], tuple[Payment, str]] = {}
        for (told, _), (payment, way) in places.items():
            for name in proved.keys() - told:
                after = plain(apply(payment, None, proved[name], cause=cause, policy=policy, at=AT).payment)
                following.setdefault((told | {name}, documents.encode(after)), (after, f"{way} {name},"))
        for (told, _), (payment, way) in following.items():
            if payment.review is None:
                found.setdefault(told, {}).setdefault((payment.captured, payment.refunded), []).append(way)
        places = following
    return found


@pytest.mark.parametrize("state", [State.CREATED, State.AWAITING_CUSTOMER, State.AUTHORIZED, State.EXPIRED])
@pytest.mark.parametrize(("cause", "lookups"), [(Cause.LOOKUP, True), (Cause.CALLBACK, False)])
@pytest.mark.parametrize("proved", [WORDS, TOTALS], ids=["words", "totals"])
def test_the_order_of_facts_does_not_matter(
    proved: Mapping[str, Observation], cause: Cause, lookups: bool, state: State
) -> None:
    """The same proved facts in any order give the same money, or a person is asked to look."""
    found = after_any_order(plain(make_payment(state)), proved, cause, make_policy(lookups=lookups))
    assert {told: totals for told, totals in found.items() if len(totals) > 1} == {}
    assert found[frozenset({"captured", "refunded a part"})].keys() == {(Decimal("100.00"), Decimal("40.00"))}
