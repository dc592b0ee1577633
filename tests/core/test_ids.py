"""Ids: version 7 UUIDs as RFC 9562 lays them out, in hex behind a prefix."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ids import refund_id, uuid7, uuid_of, with_prefix

MILLISECONDS = st.integers(0, 2**48 - 1)
RANDOMNESS = st.binary(min_size=10, max_size=10)


def test_the_example_of_the_rfc() -> None:
    """RFC 9562, appendix A.6, comes out bit by bit."""
    randomness = bytes.fromhex("0cc3") + bytes.fromhex("18c4dc0c0c07398f")
    assert uuid7(0x017F22E279B0, randomness) == uuid.UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")


@given(milliseconds=MILLISECONDS, randomness=RANDOMNESS)
def test_layout(milliseconds: int, randomness: bytes) -> None:
    """48 bits of time, version 7, variant 2, and the 74 random bits untouched."""
    value = uuid7(milliseconds, randomness)
    random = int.from_bytes(randomness, "big")
    assert value.int >> 80 == milliseconds
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 64 & 0xFFF == random >> 64 & 0xFFF
    assert value.int & (1 << 62) - 1 == random & (1 << 62) - 1


@given(early=MILLISECONDS, late=MILLISECONDS, one=RANDOMNESS, other=RANDOMNESS)
def test_ids_sort_by_time(early: int, late: int, one: bytes, other: bytes) -> None:
    """As text, an id of a later millisecond is greater, whatever its randomness."""
    if early < late:
        assert with_prefix("pay", uuid7(early, one)) < with_prefix("pay", uuid7(late, other))


@given(milliseconds=MILLISECONDS, randomness=RANDOMNESS)
def test_an_id_gives_its_uuid_back(milliseconds: int, randomness: bytes) -> None:
    """Prefix and UUID make an id, and the id gives the UUID back."""
    value = uuid7(milliseconds, randomness)
    assert uuid_of(with_prefix("pay", value)) == value


@pytest.mark.parametrize(
    "text",
    ["", "pay", "pay_", "_" + "0" * 32, "pay_" + "0" * 31, "pay_" + "0" * 33, "pay_" + "A" * 32, "pay_" + "g" * 32],
)
def test_what_is_no_id_has_no_uuid(text: str) -> None:
    """Other lengths, other digits and a missing prefix are no id of ours."""
    assert uuid_of(text) is None


def test_a_refund_is_its_operation_under_another_prefix() -> None:
    """The id of a refund is that of its operation with ``ref_`` before it."""
    assert refund_id("op_018f") == "ref_018f"
