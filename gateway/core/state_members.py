"""Which members of a payment may be set in each state, and when it reached a state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from operator import attrgetter

from msgspec.structs import replace

from gateway.core.payment import Payment, State

EXPIRABLE = frozenset({State.CREATED, State.AWAITING_CUSTOMER, State.PROCESSING})
"""States that the expiry clock may end."""

MONEY_TAKEN = frozenset({State.CAPTURED, State.PARTIALLY_REFUNDED, State.REFUNDED})
"""States in which the money was taken. Where it is captured in parts, some of it is while ``authorized``, too."""

NOT_PAYABLE = frozenset({State.FAILED, State.CANCELED})
"""States in which the customer cannot pay any more: the address of the page is kept, and shown no longer."""

ENDED_UNPAID = NOT_PAYABLE | {State.EXPIRED}
"""States that end a payment whose customer has paid nothing, as far as anybody knows."""

MAY_BE_SET: Mapping[str, frozenset[State]] = {
    "failure": frozenset({State.FAILED}),
    "capture_by": frozenset({State.AUTHORIZED}),
    "expires_at": EXPIRABLE | {State.EXPIRED},
    "expired_at": frozenset({State.EXPIRED}),
    "authorized_at": frozenset(State) - EXPIRABLE,
    "captured_at": MONEY_TAKEN,
    "canceled_at": frozenset({State.CANCELED}),
}
"""Member -> the states in which it may have a value; in every other state it is None. Members not listed may always."""

_REACHED = {State.AUTHORIZED: "authorized_at", State.CANCELED: "canceled_at"}


_UNSET = {state: tuple(name for name, states in MAY_BE_SET.items() if state not in states) for state in State}
_VALUES = {state: attrgetter(*names) for state, names in _UNSET.items()}
_NONE = {state: (None,) * len(names) for state, names in _UNSET.items()}
"""State -> the members that are None there, what reads them in one go, and that: every version is held to it."""


def members_after(before: Payment, after: Payment, at: datetime) -> dict[str, datetime | None]:
    """Return the members that a new version changes besides: those its state clears, and the date of what it reached.

    ``at`` is the time of the version by the gateway's clock. A date that is already known stays.
    """
    state = after.state
    changed: dict[str, datetime | None] = {}
    if _VALUES[state](after) != _NONE[state]:
        changed = dict.fromkeys(_UNSET[state])
    if state in MONEY_TAKEN and before.state not in MONEY_TAKEN:
        changed["captured_at"] = at
    elif state is not before.state and state in _REACHED:
        changed[_REACHED[state]] = at
    return changed


def with_dates_at(payment: Payment, was: datetime, now: datetime) -> Payment:
    """Move the dates of a version that was computed as of an earlier time to the time at which it is recorded."""
    moved = {name: now for name in ("authorized_at", "captured_at", "canceled_at") if getattr(payment, name) == was}
    return replace(payment, updated_at=now, **moved)
