"""What a check yields: calls to be judged by rules, or a fault that is plain without a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from gateway.testing.calls import Call, Outcome
from gateway.testing.subject import Subject


class Found(NamedTuple):
    """A break of a rule that needed no call."""

    rule: str
    message: str


class Case(NamedTuple):
    """Calls, made in this order, and the rules by which their outcomes are judged. ``expects``: what a sample says."""

    rules: tuple[str, ...]
    calls: tuple[Call, ...]
    expects: Any = None


Judge = Callable[[Subject, Case, Sequence[Outcome]], str | None]
"""Says how the outcomes of a case break the rule; None if they do not."""

Check = Callable[[Subject], Iterator[Case | Found]]
"""Yields the cases of a family of rules, the smallest inputs first."""
