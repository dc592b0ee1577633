"""Which keys replace each other, by their ids."""

from __future__ import annotations

import pytest

from gateway.core.key_families import families, next_id, person_of


@pytest.mark.parametrize(
    ("key_id", "taken", "following"),
    [
        ("k1", {"k1"}, "k2"),
        ("k1", {"k1", "k2", "k3"}, "k4"),
        ("k9", {"k9"}, "k10"),
        ("dana", {"dana"}, "dana-2"),
        ("dana-2", {"dana", "dana-2"}, "dana-3"),
        ("7", {"7"}, "8"),
    ],
)
def test_the_next_id_counts_on(key_id: str, taken: set[str], following: str) -> None:
    """Past ids that are taken; a name without a number gets one."""
    assert next_id(key_id, taken) == following
    assert families([key_id, following]).popitem()[1] == [key_id, following]


def test_families_are_apart() -> None:
    """Each has its keys in the order of the file."""
    assert families(["k2", "web-1", "k1", "dana"]) == {"k": ["k2", "k1"], "web": ["web-1"], "dana": ["dana"]}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (("dana", None), ("dana-2", "dana"), True),
        (("laptop", "Dana Smith"), ("phone", " dana SMITH "), True),
        (("k1", "Kim"), ("k2", "Dana"), False),
        (("k1", None), ("k2", None), False),
        (("dana", "Dana Smith"), ("kim", None), False),
    ],
)
def test_keys_of_one_person(first: tuple[str, str | None], second: tuple[str, str | None], same: bool) -> None:
    """A name says whose a key is, in whatever letters; without one its id does."""
    assert (person_of(*first) == person_of(*second)) is same
