"""Every call of a plugin, as it is made in a running gateway, and its result."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.core.commands import FetchPayment
from gateway.core.plugin_returns import FACT, LOOKUP_FACT, PROOF, UnusableValue, checked
from gateway.provider import Account, Provider
from gateway.testing.calls import Outcome

MEMBERS = ("build", "parse", "verify", "answer", "login", "parse_login")
REPLAYED = ("parse", "verify")
LONGEST = 500
"""Steps that are kept; older ones are forgotten."""


class Step(msgspec.Struct, kw_only=True):
    """A call of a member with what it was ``given``; ``note``: what became of it since, for people."""

    number: int
    member: str
    given: tuple[Any, ...]
    outcome: Outcome
    note: str = ""


class Recorder:
    """The steps so far, by number."""

    def __init__(self) -> None:
        self.steps: dict[int, Step] = {}
        self._count = 0

    def add(self, member: str, given: tuple[Any, ...], outcome: Outcome) -> None:
        """Note a step."""
        self._count += 1
        self.steps[self._count] = Step(number=self._count, member=member, given=given, outcome=outcome)
        self.steps.pop(self._count - LONGEST, None)

    def wrapped(self, provider: Provider) -> Provider:
        """The same provider, each call of which is noted."""
        kind, same = type(provider), copy.copy(provider)
        present = [name for name in MEMBERS if hasattr(provider, name)]
        members = {name: self._noting(name, getattr(kind, name), getattr(provider, name)) for name in present}
        same.__class__ = type(kind.__name__, (kind,), members)
        return same

    def _noting(self, name: str, declared: Any, member: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(declared)
        def noting(_: Any, *given: Any) -> Any:
            outcome = _outcome(name, given, member)
            self.add(name, given, outcome)
            if outcome.error is not None:
                raise outcome.error
            return outcome.value

        return noting


def again(step: Step, provider: Provider, account: Account) -> Outcome:
    """Make a call of ``parse`` or ``verify`` again, of a plugin that may be another by now."""
    first, *rest, before = step.given
    account = replace(account, session=before.session)
    if step.member == "verify":
        first = replace(first, config=account.config)
    return _outcome(step.member, (first, *rest, account), getattr(provider, step.member))


def _outcome(name: str, given: tuple[Any, ...], member: Callable[..., Any]) -> Outcome:
    try:
        value = member(*given)
    except Exception as problem:  # whatever the plugin raises is shown, and raised again
        return Outcome(error=problem)
    return Outcome(value=value, wrong=_wrong(name, given[0], value))


def _wrong(name: str, first: Any, value: Any) -> str | None:
    """What the gateway cannot use of what was read."""
    if name not in REPLAYED:
        return None
    check = PROOF if name == "verify" else LOOKUP_FACT if isinstance(first, FetchPayment) else FACT
    try:
        checked(value, check)
    except UnusableValue as problem:
        return str(problem)
    return None
