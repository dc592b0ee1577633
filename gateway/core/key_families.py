"""Keys that replace each other: ``k1`` and ``k2``, ``dana`` and ``dana-2``. The last one listed is the newest. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

ONE_PERSON = "Keys of equal names count as one person's; one without a name counts by its id"

_NUMBERED = re.compile(r"(?P<family>.*?)(?P<dash>-?)(?P<number>[0-9]{1,9})")


def family_of(key_id: str) -> str:
    """What the ids of keys that replace each other have in common."""
    found = _NUMBERED.fullmatch(key_id)
    return found["family"] if found is not None else key_id


def person_of(key_id: str, name: str | None) -> str:
    """Whose an operators' key is: by its name, or by its id where it has none. A key that replaces another says its."""
    return (key_id if name is None else name).strip().casefold()


def families(ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids by family, in their order."""
    found: dict[str, list[str]] = {}
    for one in ids:
        found.setdefault(family_of(one), []).append(one)
    return found


def next_id(key_id: str, taken: Collection[str]) -> str:
    """The id of the key that replaces one."""
    found = _NUMBERED.fullmatch(key_id)
    stem, number = (found["family"] + found["dash"], int(found["number"])) if found else (f"{key_id}-", 1)
    while (made := f"{stem}{(number := number + 1)}") in taken:
        pass
    return made
