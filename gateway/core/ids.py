"""Ids: a prefix and a time-ordered UUID (version 7) in hex. Time and randomness are arguments."""

from __future__ import annotations

import uuid

_VERSION = 0x7 << 76
_VARIANT = 0x2 << 62
_RAND_B = (1 << 62) - 1


def time_ordered(prefix: str, milliseconds: int, rand_a: int, rand_b: int) -> str:
    """Make an id from Unix milliseconds, a number of 12 bits and one of which 62 bits count. Source: RFC 9562, 5.7."""
    number = milliseconds << 80 | _VERSION | rand_a << 64 | _VARIANT | rand_b & _RAND_B
    return f"{prefix}_{number:032x}"  # one number is written in a third of the time of its parts


def is_id(text: str) -> bool:
    """Whether a text has the form of the gateway's ids."""
    prefix, _, digits = text.partition("_")
    return bool(prefix) and len(digits) == 32 and not digits.strip("0123456789abcdef")


def problem_of_payment_id(text: str) -> str | None:
    """Why a text is not the id of a payment; a merchant's own reference, for one."""
    is_one = text.startswith("pay_") and is_id(text)
    return None if is_one else 'must be the id of a payment: "pay_" and 32 hexadecimal digits'


def uuid_of(identifier: str) -> uuid.UUID | None:
    """The UUID inside one of the gateway's ids; None when the text is not one."""
    return uuid.UUID(hex=identifier.partition("_")[2]) if is_id(identifier) else None


def refund_id(operation_id: str) -> str:
    """A refund is an operation of kind refund: the same UUID under its own prefix."""
    return "ref_" + operation_id.removeprefix("op_")


def delivery_id(event_id: str) -> str:
    """A webhook is an event on its way to the tenant: the same digits under its own prefix."""
    return "dlv_" + event_id.removeprefix("evt_")
