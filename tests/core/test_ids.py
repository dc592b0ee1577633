"""Ids: version 7 UUIDs as RFC 9562 lays them out, in hex behind a prefix."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ids import is_id, refund_id, time_ordered, uuid_of

MILLISECONDS = st.integers(0, 2**48 - 1)
RAND_A = st.integers(0, 2**12 - 1)
RAND_B = st.integers(0, 2**64 - 1)


def test_the_example_of_the_rfc() -> None:
    """RFC 9562, appendix A.6, comes out bit by bit."""
    made = time_ordered("pay", 0x017F22E279B0, 0xCC3, 0x18C4DC0C0C07398F)
    assert uuid_of(made) == uuid.UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")


@given(milliseconds=MILLISECONDS, rand_a=RAND_A, rand_b=RAND_B)
def test_layout(milliseconds: int, rand_a: int, rand_b: int) -> None:
    """48 bits of time, version 7, variant 2, and the 74 random bits untouched."""
    value = uuid_of(time_ordered("pay", milliseconds, rand_a, rand_b))
    assert value is not None
    assert value.int >> 80 == milliseconds
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 64 & 0xFFF == rand_a
    assert value.int & (1 << 62) - 1 == rand_b & (1 << 62) - 1


@given(early=MILLISECONDS, late=MILLISECONDS, one=RAND_A, other=RAND_A)
def test_ids_sort_by_time(early: int, late: int, one: int, other: int) -> None:
    """As text, an id of a later millisecond is greater, and within one that of the greater counter."""
    if (early, one) < (late, other):
        assert time_ordered("pay", early, one, 2**64 - 1) < time_ordered("pay", late, other, 0)


@given(value=st.uuids())
def test_an_id_gives_its_uuid_back(value: uuid.UUID) -> None:
    """Prefix and UUID make an id, and the id gives the UUID back."""
    assert uuid_of(f"pay_{value.hex}") == value
    assert is_id(f"pay_{value.hex}")


@pytest.mark.parametrize(
    "text",
    ["", "pay", "pay_", "_" + "0" * 32, "pay_" + "0" * 31, "pay_" + "0" * 33, "pay_" + "A" * 32, "pay_" + "g" * 32],
)
def test_what_is_no_id_has_no_uuid(text: str) -> None:
    """Other lengths, other digits and a missing prefix are no id of ours."""
    assert uuid_of(text) is None
    assert not is_id(text)


def test_a_refund_is_its_operation_under_another_prefix() -> None:
    """The id of a refund is that of its operation with ``ref_`` before it."""
    assert refund_id("op_018f") == "ref_018f"
