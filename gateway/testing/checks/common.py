"""What calls are judged by: all touch nothing outside themselves and do not hold up the event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.testing.calls import Outcome
from gateway.testing.cases import Case, Judge
from gateway.testing.expected import difference
from gateway.testing.subject import Subject

PURITY = ("clock", "randomness", "environment", "files", "network", "blocks", "slow")
MAX_SECONDS = 0.05
"""Of one call, however slow the machine is."""


def is_unusable(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    """Judge what a call returned by whether the gateway could use it."""
    return f"{case.calls[0]} returned {outcomes[0].wrong}" if outcomes[0].wrong else None


def not_as_said(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    """Compare the result of a call with its sample."""
    problem = difference(case.expects, outcomes[0])
    return f"{case.calls[0]}: {problem}" if problem else None


def _touches(rule: str) -> Judge:
    def judge(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
        found = next((what for one in outcomes for name, what in one.touched if name == rule), None)
        return f"{case.calls[0].member} calls {found}" if found else None

    return judge


def _is_slow(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    seconds = min(one.seconds for one in outcomes)
    return f"{case.calls[0]} took {seconds:.3f} s" if seconds > MAX_SECONDS else None


PURITY_JUDGES: Mapping[str, Judge] = {**{rule: _touches(rule) for rule in PURITY}, "slow": _is_slow}
