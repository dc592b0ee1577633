"""Keys that replace each other: ``k1`` and ``k2``, ``dana`` and ``dana-2``. The last one listed is the newest. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

ONE_PERSON = "Keys of equal names, or whose ids differ only in their number, count as one person's"

_NUMBERED = re.compile(r"(?P<family>.*?)(?P<dash>-?)(?P<number>[0-9]{1,9})")


def family_of(key_id: str) -> str:
    """What the ids of keys that replace each other have in common."""
    found = _NUMBERED.fullmatch(key_id)
    return found["family"] if found is not None else key_id


def is_same_person(first: tuple[str, str | None], second: tuple[str, str | None]) -> bool:
    """Whether two operators' keys, each its id and name, count as one person's: ids that rotate, or equal names."""
    names = [name.strip().casefold() for _, name in (first, second) if name is not None]
    has_equal_names = len(names) == 2 and names[0] == names[1]
    return has_equal_names or family_of(first[0]) == family_of(second[0])


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
