"""Ids: a prefix and a time-ordered UUID (version 7) in hex. Time and randomness are arguments."""

from __future__ import annotations

import uuid


def uuid7(milliseconds: int, randomness: bytes) -> uuid.UUID:
    """Build a version 7 UUID from Unix milliseconds and ten random bytes. Source: RFC 9562, 5.7."""
    value = int.from_bytes(milliseconds.to_bytes(6, "big") + randomness[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def with_prefix(prefix: str, value: uuid.UUID) -> str:
    """``pay_018f…``: the form ids have everywhere outside this module."""
    return f"{prefix}_{value.hex}"


def uuid_of(identifier: str) -> uuid.UUID | None:
    """The UUID inside one of the gateway's ids; None when the text is not one."""
    prefix, _, digits = identifier.partition("_")
    if not prefix or len(digits) != 32 or digits.strip("0123456789abcdef"):
        return None
    return uuid.UUID(hex=digits)


def refund_id(operation_id: str) -> str:
    """A refund is an operation of kind refund: the same UUID under its own prefix."""
    return "ref_" + operation_id.removeprefix("op_")
