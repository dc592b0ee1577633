"""How names are written for people: the path of a member, a list of choices, which known name was probably meant."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable

from gateway.core.card_numbers import without_card_numbers

MAX_NAME_CHARACTERS = 64
"""Characters of a name that are shown; it may be anything that somebody sent."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def child_path(path: str, step: str | int) -> str:
    """The path of a member or item: ``$.order.items[0]``, ``$.metadata["a b"]``."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    shown = shortened(step)
    return f"{path}.{shown}" if _PLAIN.fullmatch(shown) else f"{path}[{json.dumps(shown, ensure_ascii=False)}]"


def shortened(name: str) -> str:
    """A name that somebody sent, cut to a length that can be shown and without card numbers."""
    name = name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}…"
    return without_card_numbers(name)


def closest_name(name: str, known: Iterable[str], *, least: float = 0.6) -> str | None:
    """The known name that was probably meant, in whatever case; ``least``: how alike they are, 1 is equal."""
    import difflib  # imported here because who makes no mistakes needs nothing of it

    by_lower = {one.lower(): one for one in known}
    meant = difflib.get_close_matches(name[:MAX_NAME_CHARACTERS].lower(), by_lower, n=1, cutoff=least)
    return by_lower[meant[0]] if meant else None


def unknown_name(name: str, known: Collection[str], problem: str = "is not known", *, otherwise: str = "") -> str:
    """Say that a name is not known, and which was meant or which there are; ``otherwise`` when nothing is known."""
    if not known:
        return f"{problem}; {otherwise}" if otherwise else problem
    meant = closest_name(name, known)
    return f'{problem}; did you mean "{meant}"?' if meant else f"{problem}; known are {', '.join(known)}"


def joined_with_or(choices: Iterable[object], *, last: str = "or") -> str:
    """Choices as a sentence has them: ``link or redirect``, ``a, b or c``."""
    *others, final = map(str, choices)
    return f"{', '.join(others)} {last} {final}" if others else final
