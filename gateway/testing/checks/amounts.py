"""Amounts of answers and callbacks: what is read is exactly what stands there, whichever amount it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.core.strictjson import JsonNumber
from gateway.testing.calls import Outcome
from gateway.testing.cases import Case
from gateway.testing.subject import Subject
from gateway.testing.trees import changed, dotted, leaves, text

TOTALS = ("amount", "captured", "refunded", "disputed")
WHOLE = ("29", "115", "435", "106733", "900719925474099")
PARTS = ("0.29", "1.15", "4.35", "1067.33", "9007199254740.99")
"""Literals of minor and of major units that floats get wrong."""


def changed_amounts(tree: Any, fact: Any) -> Iterator[tuple[Any, Any]]:
    """The body with another amount, and what the changed member would be: its path, literal, and power of ten."""
    for path, value in leaves(tree):
        power = _power(text(value), fact) if isinstance(value, JsonNumber | str) else None
        if power is None:
            continue
        for literal in WHOLE if "." not in text(value) else PARTS:
            new = JsonNumber(literal) if isinstance(value, JsonNumber) else literal
            yield changed(tree, path, new), [dotted(path), literal, power]


def _power(literal: str, fact: Any) -> int | None:
    """By which power of ten a member of the body is one of the amounts that were read of it."""
    try:
        units = Decimal(literal)
    except InvalidOperation:
        return None
    amounts = _amounts(fact).values()
    return next((power for power in range(0, -7, -1) if units and units.scaleb(power) in amounts), None)


def _amounts(fact: Any) -> dict[str, Decimal]:
    seen = getattr(fact, "observation", fact)
    found = {name: getattr(seen, name, None) for name in TOTALS}
    return {name: value for name, value in found.items() if isinstance(value, Decimal) and value.is_finite()}


def not_exact(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    """Judge amounts that changed with a member of the body: they are exactly its literal, in major units."""
    path, literal, power = case.expects
    wanted = Decimal(literal).scaleb(int(power))
    before, after = _amounts(outcomes[0].value), _amounts(outcomes[1].value)
    wrong = [(name, value) for name, value in after.items() if value != before.get(name) and value != wanted]
    return f"{path} {literal} is read as {wrong[0][0]} {wrong[0][1]}, not {wanted}" if wrong else None
