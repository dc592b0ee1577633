"""The state machine drawn from its own table: rows for programs, Mermaid for people. Nothing here decides anything.

What a proved stage does is read from ``STEPS``. The other edges (a tenant, a clock, a refunded total) are functions
in ``states.py`` and are named here once more; a test holds both against the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.core.facts import Stage
from gateway.core.payment import State
from gateway.core.state_members import EXPIRABLE
from gateway.core.states import PAST_GRACE, STEPS, Step

START = "[*]"
"""Mermaid's name for the time before a payment exists."""


class Edge(NamedTuple):
    """One arrow between two states and what causes it."""

    begin: str
    to: str
    cause: str


OTHER_EDGES: tuple[Edge, ...] = (
    Edge(START, State.CREATED, "tenant creates"),
    Edge(State.CREATED, State.FAILED, "create declined, not sent or proved absent"),
    *(Edge(state, State.EXPIRED, "expiry clock") for state in State if state in EXPIRABLE),
    Edge(State.AUTHORIZED, State.AUTHORIZED, "captured total grows"),
    Edge(State.AUTHORIZED, State.CAPTURED, "captured total is all, or the last part"),
    Edge(State.CAPTURED, State.PARTIALLY_REFUNDED, "refunded total grows"),
    Edge(State.CAPTURED, State.REFUNDED, "refunded total is all"),
    Edge(State.PARTIALLY_REFUNDED, State.PARTIALLY_REFUNDED, "refunded total grows"),
    Edge(State.PARTIALLY_REFUNDED, State.REFUNDED, "refunded total is all"),
)
"""What moves a payment without a stage. A person may set a state as well, when clearing a review."""


def states_table() -> list[dict[str, str | bool | None]]:
    """Every pair of row and proved stage, in order: ``row``, ``stage``, ``to``, ``review``, ``late``.

    Without ``to`` the payment stays. ``late``: the proof came within the grace of an expired payment.
    """
    return [
        {"row": str(row), "stage": str(stage), "to": step.to, "review": step.review, "late": step.late}
        for row, steps in STEPS.items()
        for stage, step in steps.items()
    ]


def mermaid() -> str:
    """The whole diagram as Mermaid text; stages that do the same to a state share an arrow."""
    lines = (f"    {edge.begin} --> {edge.to}: {edge.cause}" for edge in (*OTHER_EDGES, *_edges_of_steps()))
    return "\n".join(("stateDiagram-v2", *lines)) + "\n"


def _edges_of_steps() -> Iterator[Edge]:
    for row, steps in STEPS.items():
        by_step: dict[Step, list[Stage]] = {}
        for stage, step in steps.items():
            by_step.setdefault(step, []).append(stage)
        state = State.EXPIRED if row == PAST_GRACE else row
        for step, stages in by_step.items():
            if step.to is not None or step.review is not None:
                yield Edge(state, step.to or state, _told(row, step, stages))


def _told(row: str, step: Step, stages: list[Stage]) -> str:
    notes = [
        *(["late"] if step.late else []),
        *(["after grace"] if row == PAST_GRACE else []),
        *([f"review {step.review}"] if step.review is not None else []),
    ]
    said = " or ".join(stages)
    return f"{said} ({', '.join(notes)})" if notes else said
