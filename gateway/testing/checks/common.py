"""What every call is judged by: it touches nothing outside itself, and it does not hold up the event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.testing.calls import Outcome
from gateway.testing.cases import Case, Judge
from gateway.testing.subject import Subject

PURITY = ("clock", "randomness", "environment", "files", "network", "blocks", "slow")
MAX_SECONDS = 0.05
"""Of one call, however slow the machine is."""


def _touches(rule: str) -> Judge:
    def judge(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
        found = next((what for one in outcomes for name, what in one.touched if name == rule), None)
        return f"{case.calls[0].member} calls {found}" if found else None

    return judge


def _is_slow(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    seconds = min(one.seconds for one in outcomes)
    return f"{case.calls[0]} took {seconds:.3f} s" if seconds > MAX_SECONDS else None


PURITY_JUDGES: Mapping[str, Judge] = {**{rule: _touches(rule) for rule in PURITY}, "slow": _is_slow}
