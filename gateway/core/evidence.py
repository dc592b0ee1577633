"""What an observation says about an operation: done, not yet, excluded, or unclear. The table of settling as data."""

from __future__ import annotations

import enum
from decimal import Decimal

from gateway.core.commands import Kind
from gateway.core.facts import Cause, Observation, Stage
from gateway.core.payment import Operation


class Evidence(enum.Enum):
    """What an observation says about an operation's effect."""

    CONFIRMED = enum.auto()
    NOT_YET = enum.auto()
    RULED_OUT = enum.auto()
    INCONCLUSIVE = enum.auto()


_EVIDENCE_BY_STAGE: dict[Kind, dict[Stage, Evidence]] = {
    Kind.COMPLETE: {
        Stage.AWAITING_CUSTOMER: Evidence.NOT_YET,
        Stage.PROCESSING: Evidence.NOT_YET,
        Stage.AUTHORIZED: Evidence.CONFIRMED,
        Stage.CAPTURED: Evidence.CONFIRMED,
        Stage.FAILED: Evidence.RULED_OUT,
        Stage.CANCELED: Evidence.RULED_OUT,
    },
    Kind.CAPTURE: {
        Stage.AUTHORIZED: Evidence.NOT_YET,
        Stage.CAPTURED: Evidence.CONFIRMED,
        Stage.FAILED: Evidence.RULED_OUT,
        Stage.CANCELED: Evidence.RULED_OUT,
    },
    Kind.CANCEL: {
        Stage.AWAITING_CUSTOMER: Evidence.NOT_YET,
        Stage.PROCESSING: Evidence.NOT_YET,
        Stage.AUTHORIZED: Evidence.NOT_YET,
        Stage.CAPTURED: Evidence.RULED_OUT,
        Stage.FAILED: Evidence.RULED_OUT,
        Stage.CANCELED: Evidence.CONFIRMED,
    },
}


def evidence(operation: Operation, seen: Observation, cause: Cause) -> Evidence:
    """Judge an operation by the stage or total it should have brought about, against the facts before it."""
    match operation.kind:
        case Kind.CREATE:
            return Evidence.CONFIRMED
        case Kind.UPDATE:
            return _evidence_by_total(seen.amount, operation.amount, operation.before.amount, cause)
        case Kind.REFUND:
            before = operation.before.refunded
            return _evidence_by_total(seen.refunded, before + operation.amount, before, cause)
        case Kind.COMPLETE:
            if cause is Cause.REPLY and seen.stage is Stage.UNKNOWN:
                return Evidence.CONFIRMED
            # The customer's acceptance makes the stage, with or without a completion: it shows nothing.
            if cause is not Cause.REPLY and seen.stage is Stage.AUTHORIZED:
                return Evidence.NOT_YET
    return _EVIDENCE_BY_STAGE[operation.kind].get(seen.stage, Evidence.INCONCLUSIVE)


def _evidence_by_total(seen: Decimal | None, after: Decimal, before: Decimal, cause: Cause) -> Evidence:
    if cause is not Cause.REPLY and after == before:
        return Evidence.NOT_YET  # the total cannot show it; said to be not done, it may safely be asked for again
    if seen == after or (seen is None and cause is Cause.REPLY):
        return Evidence.CONFIRMED
    return Evidence.NOT_YET if seen == before else Evidence.INCONCLUSIVE
