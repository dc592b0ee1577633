"""Checks of single values, to be put together: a check says what is wrong with a value, None if nothing is.

The words are made to follow the name of what is checked (``Observation.captured must be Decimal, not float``);
they name types and never show a value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import NODEFAULT
from msgspec.structs import astuple

from gateway.core.money import Amount

Check = Callable[[Any], str | None]

LONGEST_SPAN = timedelta(days=3650)
"""As in the settings, so that dates stay in the calendar."""

LARGEST_EXPONENT = 60
"""Powers of ten within which an amount must lie; the core checks its digits by the currency."""

COLLECTIONS = (frozenset, set, tuple, list)

_QUICK: dict[Check, int] = {}
"""Checks that every text of 1 to so many ASCII characters passes: in a Struct it is spared the call."""


def type_name(value: Any) -> str:
    """What a value is, for people."""
    return "None" if value is None else type(value).__name__


def instance(*kinds: type[Any]) -> Check:
    """Of one of these kinds."""
    wanted = " or ".join(kind.__name__ for kind in kinds)
    return lambda value: None if isinstance(value, kinds) else f"must be {wanted}, not {type_name(value)}"


def something(value: Any) -> str | None:
    """Anything but None, which is what a forgotten ``return`` returns."""
    return "must be anything but None" if value is None else None


def optional(check: Check) -> Check:
    """None, or what passes."""

    def optionally(value: Any) -> str | None:
        return None if value is None else check(value)

    _QUICK[optionally] = _QUICK.get(check, 0)
    return optionally


def text(longest: int, *, least: int = 0) -> Check:
    """Text that can be stored: within its length, without half of a surrogate pair."""

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return f"must be str, not {type_name(value)}"
        if not least <= len(value) <= longest:
            return f"must have {least} to {longest} characters"
        return None if is_unicode(value) else "has a lone surrogate"

    _QUICK[check] = longest if least <= 1 else 0
    return check


def struct(kind: type[Any], members: Mapping[str, Check]) -> Check:
    """A Struct of this kind whose members all pass."""
    names, defaults = kind.__struct_fields__, kind.__struct_defaults__
    defaults = (NODEFAULT,) * (len(names) - len(defaults)) + defaults  # those of the last members
    checks = [members[name] for name in names]
    table = [
        (name, member, NODEFAULT if default is NODEFAULT or member(default) else default, _QUICK.get(member, 0))
        for name, member, default in zip(names, checks, defaults, strict=True)
    ]

    def check(value: Any) -> str | None:
        if type(value) is not kind:  # a member of a subclass would be stored unseen
            return f"must be {kind.__name__}, not {type_name(value)}"
        for (name, member, default, longest), given in zip(table, astuple(value), strict=True):
            if given is default:  # most members of most facts
                continue
            if type(given) is str and 0 < len(given) <= longest and given.isascii():
                continue
            problem = member(given)
            if problem is not None:
                return f"{name} {problem}"
        return None

    return check


def union(*options: tuple[type[Any], Check]) -> Check:
    """Of one of these kinds, and passing the check of its kind."""
    is_one, of_kind = instance(*(kind for kind, _ in options)), dict(options)

    def check(value: Any) -> str | None:
        exactly = of_kind.get(type(value))
        if exactly is not None:
            return exactly(value)
        return next((check for kind, check in options if isinstance(value, kind)), is_one)(value)

    return check


def mapping(key: Check, item: Check) -> Check:
    """A mapping whose keys and items all pass."""

    def check(value: Any) -> str | None:
        if not isinstance(value, Mapping):
            return f"must be a mapping, not {type_name(value)}"
        return first((*map(key, value), *map(item, value.values())))

    return check


def every(item: Check, kinds: tuple[type[Collection[Any]], ...] = COLLECTIONS) -> Check:
    """A collection whose items all pass."""
    is_kind = instance(*kinds)
    return lambda value: is_kind(value) or first(map(item, value))


def amount(value: Any) -> str | None:
    """An exact amount that is not negative."""
    if type(value) not in (Decimal, Amount):  # another subclass may say of itself what it likes
        return f"must be Decimal, not {type_name(value)}"
    if not value.is_finite() or value < 0:
        return "must be finite and not negative"
    return "is out of range" if abs(value.adjusted()) > LARGEST_EXPONENT else None


def moment(value: Any) -> str | None:
    """A point in time that has a date in UTC, too: not so at the calendar's ends."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        return "must be a datetime with its time zone"
    try:
        value.astimezone(UTC)
    except OverflowError:
        return "must have a date in UTC"
    return None


def span(value: Any) -> str | None:
    """A length of time."""
    is_span = isinstance(value, timedelta) and timedelta(0) <= value <= LONGEST_SPAN
    return None if is_span else "must be a timedelta of 0 to 3650 days"


def first(problems: Iterable[str | None]) -> str | None:
    """Return the first problem; None when all is well."""
    for problem in problems:
        if problem is not None:
            return problem
    return None


def is_unicode(value: str) -> bool:
    """Whether a text can be encoded."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
