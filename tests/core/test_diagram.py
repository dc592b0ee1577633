"""The drawn state machine is the one that runs: its table is ``STEPS``, its other arrows are what ``apply`` does."""

from __future__ import annotations

from decimal import Decimal

from gateway.core.commands import Kind
from gateway.core.diagram import OTHER_EDGES, START, mermaid, states_table
from gateway.core.facts import Absent, Declined, Expired, Fact, NeverSent, Stage
from gateway.core.payment import Operation, State, Status
from gateway.core.states import PAST_GRACE, STEPS
from tests.support.factories.payments import (
    LATER,
    QUIET,
    TAKEN,
    TOTAL,
    apply_fact,
    make_operation,
    make_payment,
    make_policy,
    saw,
)

CREATE = make_operation(Kind.CREATE)
CREATE_ENDS: tuple[tuple[Operation, Fact], ...] = (
    (CREATE, Declined(code="no", message="no")),
    (make_operation(Kind.CREATE, Status.SENDING), NeverSent(message="connect_failed")),
    (make_operation(Kind.CREATE, contrary_since=LATER - QUIET), Absent()),
)


def drawn(*begins: str) -> set[tuple[str, str]]:
    """The other arrows that begin at these states."""
    return {(edge.begin, edge.to) for edge in OTHER_EDGES if edge.begin in begins}


def test_the_table_has_a_row_for_every_pair() -> None:
    """Each row of the machine and each stage appear once, with what the step says."""
    found = {(row["row"], row["stage"]): (row["to"], row["review"], row["late"]) for row in states_table()}
    assert found == {
        (row, stage): (step.to, step.review, step.late) for row, steps in STEPS.items() for stage, step in steps.items()
    }
    assert len(found) == (len(State) + 1) * len(Stage)


def test_every_step_that_does_something_is_an_arrow() -> None:
    """Each stage that moves a state, or raises the flag, stands on an arrow between the right states."""
    lines = mermaid().splitlines()
    for row in states_table():
        begin = State.EXPIRED if row["row"] == PAST_GRACE else row["row"]
        if row["to"] or row["review"]:
            arrow = f"    {begin} --> {row['to'] or begin}: "
            assert any(line.startswith(arrow) and str(row["stage"]) in line for line in lines), row


def test_expiry_arrows_are_what_the_clock_does() -> None:
    """The clock ends exactly the states that have an arrow to expired."""
    moved = {(str(state), "expired") for state in State if apply_fact(make_payment(state), Expired()).event is not None}
    assert {edge for edge in drawn(*State) if edge[1] == "expired"} == moved


def test_a_create_that_ends_without_effect_is_drawn() -> None:
    """Declined, not sent and proved absent each fail a payment that was only created."""
    policy = make_policy(absence_proves=True)
    for operation, fact in CREATE_ENDS:
        ended = apply_fact(make_payment(State.CREATED), fact, operation=operation, policy=policy)
        assert (State.CREATED, ended.payment.state) in drawn(State.CREATED)
        assert ended.payment.state is State.FAILED


def test_refund_arrows_are_what_a_growing_total_does() -> None:
    """From each state after the capture, every larger refunded total has its arrow, and no arrow is invented."""
    moved = set()
    for state in TAKEN:
        payment = make_payment(state)
        for total in (Decimal("60.00"), TOTAL):
            change = apply_fact(payment, saw(refunded=total))
            if change.event is not None:
                moved.add((str(state), str(change.payment.state)))
    assert drawn(*TAKEN) == moved


def test_a_payment_begins_once() -> None:
    """The only arrow from nowhere leads to created."""
    assert drawn(START) == {(START, State.CREATED)}
