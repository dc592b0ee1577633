"""What an observation says about an operation: done, not yet, excluded, or unclear. The table of settling as data."""

from __future__ import annotations

import enum
from decimal import Decimal

from gateway.core.commands import Kind
from gateway.core.facts import Cause, Observation, Stage
from gateway.core.payment import Operation


class Shown(enum.Enum):
    """What an observation says about an operation's effect."""

    DONE = enum.auto()
    NOT_YET = enum.auto()
    EXCLUDED = enum.auto()
    UNCLEAR = enum.auto()


_SHOWN_BY_STAGE: dict[Kind, dict[Stage, Shown]] = {
    Kind.COMPLETE: {
        Stage.AWAITING_CUSTOMER: Shown.NOT_YET,
        Stage.PROCESSING: Shown.NOT_YET,
        Stage.AUTHORIZED: Shown.DONE,
        Stage.CAPTURED: Shown.DONE,
        Stage.FAILED: Shown.EXCLUDED,
        Stage.CANCELED: Shown.EXCLUDED,
    },
    Kind.CAPTURE: {
        Stage.AUTHORIZED: Shown.NOT_YET,
        Stage.CAPTURED: Shown.DONE,
        Stage.FAILED: Shown.EXCLUDED,
        Stage.CANCELED: Shown.EXCLUDED,
    },
    Kind.CANCEL: {
        Stage.AWAITING_CUSTOMER: Shown.NOT_YET,
        Stage.PROCESSING: Shown.NOT_YET,
        Stage.AUTHORIZED: Shown.NOT_YET,
        Stage.CAPTURED: Shown.EXCLUDED,
        Stage.FAILED: Shown.EXCLUDED,
        Stage.CANCELED: Shown.DONE,
    },
}


def shows(operation: Operation, seen: Observation, cause: Cause) -> Shown:
    """Judge an operation by the stage or total it should have brought about, against the facts before it."""
    match operation.kind:
        case Kind.CREATE:
            return Shown.DONE
        case Kind.UPDATE:
            return _shown_by_total(seen.amount, operation.amount, operation.before.amount, cause)
        case Kind.REFUND:
            before = operation.before.refunded
            return _shown_by_total(seen.refunded, before + operation.amount, before, cause)
        case Kind.COMPLETE:
            if cause is Cause.REPLY and seen.stage is Stage.UNKNOWN:
                return Shown.DONE
            # The customer's acceptance makes the stage, with or without a completion: it shows nothing.
            if cause is not Cause.REPLY and seen.stage is Stage.AUTHORIZED:
                return Shown.NOT_YET
    return _SHOWN_BY_STAGE[operation.kind].get(seen.stage, Shown.UNCLEAR)


def _shown_by_total(seen: Decimal | None, after: Decimal, before: Decimal, cause: Cause) -> Shown:
    if cause is not Cause.REPLY and after == before:
        return Shown.NOT_YET  # the total cannot show it; said to be not done, it may safely be asked for again
    if seen == after or (seen is None and cause is Cause.REPLY):
        return Shown.DONE
    return Shown.NOT_YET if seen == before else Shown.UNCLEAR
