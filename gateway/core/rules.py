"""A provider's rules as data: the plugin declares them, the core enforces them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from gateway.core.commands import CapturePayment, Command, FetchPayment
from gateway.core.money import Money


class Exact(msgspec.Struct, frozen=True, kw_only=True):
    """A proved amount must equal the payment's."""


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """A proved amount may differ by ``absolute`` (major units) or by ``permille`` of the payment's."""

    absolute: Decimal | None = None
    permille: Decimal | None = None


class Actual(msgspec.Struct, frozen=True, kw_only=True):
    """Any positive proved amount fits, and it is what was captured.

    ``round_down``: decimals beyond the currency's are cut off and noted; else such an amount is a misfit.
    """

    round_down: bool = False


AmountRule = Exact | Tolerance | Actual


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider allows under one account.

    ``currencies`` None = every one. ``max_increase`` is measured from the amount the customer accepted.
    ``cancel_from`` are payment states. ``time_window`` is how far a callback's own time may lie (before the payment's
    creation, after now). ``absence_proves``: a lookup's Absent may prove that a create had no effect.
    ``deposit_method_required``: an account that accepts new payments must be named by a deposit method.
    ``charges_identity``: charges must add up to their grand total; else those that do not are passed on and logged.
    ``read_before_capture``: the amount may be changed at the provider itself, so it is read again before a capture.
    ``messages``: the text of each alert code for the tenant's own admin user. ``captures``: with ``many`` the amount
    may be captured in parts, until all of it is, or until the tenant says that no more follows. ``capture_modes``: what
    a tenant may ask for in ``capture`` when it creates a payment (``now``, ``later``). ``poll``: the pauses between
    lookups; None: those of the settings. ``repeatable``: commands that the provider carries out once however often they
    come, by an idempotency key of its own: where an answer was lost, the same bytes are sent again.
    """

    currencies: frozenset[str] | None = None
    max_increase: Money | None = None
    capture_deadline: timedelta | None = None
    deadline_warning: timedelta | None = None
    expires_after: timedelta | None = None
    cancel_from: frozenset[str] = frozenset()
    partial_capture: bool = False
    absence_proves: bool = False
    amount: AmountRule = Exact()
    time_window: tuple[timedelta, timedelta] | None = None
    deposit_method_required: bool = False
    charges_identity: bool = True
    read_before_capture: bool = False
    messages: Mapping[str, str] = msgspec.field(default_factory=dict)
    captures: Literal["one", "many"] = "one"
    capture_modes: frozenset[str] = frozenset()
    poll: tuple[timedelta, ...] | None = None
    repeatable: frozenset[type[Command]] = frozenset()


_NEEDS: tuple[tuple[Callable[[Rules], object], str, type[Command]], ...] = (
    (lambda rules: rules.captures == "many", 'captures is "many"', CapturePayment),
    (lambda rules: rules.poll is not None, "poll is set", FetchPayment),
)
"""What a rule says, in words, and the command without which it says nothing."""


def contradiction(rules: Rules, commands: frozenset[type[Command]]) -> str | None:
    """What of the rules cannot be meant with these commands."""
    for holds, words, needed in _NEEDS:
        if holds(rules) and needed not in commands:
            return f"{words}, but {needed.__name__} is not among the commands"
    missing = sorted(command.__name__ for command in rules.repeatable - commands)
    return f"repeatable names {', '.join(missing)}, which is not among the commands" if missing else None


def amount_matches(rule: AmountRule, seen: Decimal, expected: Decimal) -> bool:
    """Whether a proved amount is the expected one under the account's rule."""
    if seen <= 0:
        return False
    match rule:
        case Exact():
            return seen == expected
        case Actual():
            return True
        case Tolerance(absolute=absolute, permille=permille):
            allowed = absolute or Decimal(0)
            if permille is not None:
                allowed = max(allowed, expected * permille / 1000)
            return abs(seen - expected) <= allowed


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What facts of an account are evaluated under: the provider's rules and the gateway's own clocks.

    ``lookups``: the provider answers lookups, so its reference is a key that never changes. ``grace`` counts from the
    change to expired. ``quiet_period`` lies between the two reads that prove an absence. ``expiry`` is how long a
    payment waits for its customer; None: as long as it likes.
    """

    rules: Rules
    lookups: bool
    grace: timedelta
    quiet_period: timedelta
    expiry: timedelta | None = None
