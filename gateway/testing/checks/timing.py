"""What the plugin's own work costs: microseconds of processor time for build, parse and verify of one payment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from gateway.testing.calls import Call
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.callbacks import known_callbacks
from gateway.testing.checks.parse import replies_of
from gateway.testing.subject import Subject

REPEATS, ROUNDS = 40, 5
MOST_MICROSECONDS = 1000
"""Of one call on average; a whole payment takes the gateway less."""

JUDGES: Mapping[str, Judge] = {}


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Measure each member with its first input that works, unless it was seen to wait."""
    if subject.is_guilty:
        return
    for call in _calls(subject):
        cost = _microseconds(subject, call)
        subject.costs[call.member] = round(cost, 1)
        if cost > MOST_MICROSECONDS:
            yield Found("busy-time", f"{call} takes {cost:.0f} µs of processor time")
    subject.costs["payment"] = round(sum(subject.costs.values()), 1)


def _calls(subject: Subject) -> Iterator[Call]:
    recipes = (subject.recipe(name, subject.moneys[0]) for name in subject.commands)
    builds = (Call(member="build", account=subject.label, recipe=recipe) for recipe in recipes)
    parses = (call for _, call in replies_of(subject))
    verifies = (known.call for known in known_callbacks(subject))
    for calls in (builds, parses, verifies):
        yield from [call for call in calls if subject.run(call).error is None][:1]


def _microseconds(subject: Subject, call: Call) -> float:
    act, _ = subject.action(call)
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(REPEATS):
            act()
        best = min(best, time.thread_time() - began)
    return best / REPEATS * 1e6
