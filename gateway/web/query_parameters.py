"""Query parameters: how a route declares them, and how their values are read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.core.errors import invalid
from gateway.core.ids import is_id, problem_of_payment_id
from gateway.core.text_checks import control_in
from gateway.core.wording import joined_with_or, unknown_name
from gateway.drivers.store.rows import PageRequest

DEFAULT_LIMIT, MAX_LIMIT = 50, 200

_PLAIN_NAME = re.compile(r"[A-Za-z_]{1,30}")
"""Unknown names that an error quotes. Other texts may be a secret that was pasted into the query."""


class QueryParameter(msgspec.Struct, frozen=True, kw_only=True):
    """One query parameter of a route. ``schema`` is JSON Schema, or an enumeration."""

    name: str
    description: str
    schema: Mapping[str, Any] | type = msgspec.field(default_factory=lambda: {"type": "string"})


TIME = {"type": "string", "format": "date-time"}
LIMIT = (
    "The maximum number of results.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
ALL_LIMIT = (
    "The maximum number of results.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": MAX_LIMIT},
)
"""Of lists that are short as a rule: without a limit the longest page is returned."""
CURSOR = "The `next_cursor` of the previous page."
MAP = "The request map in the tenant's settings that makes this body of the tenant's own: any JSON may be sent with it."
REPLY = "The reply map in the tenant's settings whose names the answer has; without it the answer is the standard one."


def parameters(**described: str | tuple[str, Mapping[str, Any] | type]) -> tuple[QueryParameter, ...]:
    """Declare query parameters by name: a description, or a description and a schema."""
    return tuple(
        QueryParameter(name=name, description=text)
        if isinstance(text, str)
        else QueryParameter(name=name, description=text[0], schema=text[1])
        for name, text in described.items()
    )


def refuse_unknown(query: Mapping[str, str], known: Collection[str]) -> None:
    """Refuse parameters that the route does not have, and repeated ones. Raises ``validation_failed``.

    ``query`` is aiohttp's: a name that was sent twice appears twice among its items.
    """
    problems = []
    for name, times in Counter(name for name, _ in query.items()).items():
        if name not in known:
            shown = name if _PLAIN_NAME.fullmatch(name) else "a query parameter"
            problems.append((shown, unknown_name(name, known, otherwise="this route has no query parameters")))
        elif times > 1:
            problems.append((name, "is given twice: send it once"))
        elif control_in(query[name]) is not None:
            problems.append((name, f"must not hold control characters such as {control_in(query[name])}"))
    if problems:
        raise invalid(*problems)


def one_of(name: str, query: Mapping[str, str], allowed: Sequence[str]) -> str | None:
    """Read a parameter that must be one of ``allowed``. Raises ``validation_failed``."""
    value = query.get(name)
    if value is not None and value not in allowed:
        raise invalid((name, f"must be {joined_with_or(allowed)}"))
    return value


def limit_of(query: Mapping[str, str]) -> int:
    """Read ``limit``. Raises ``validation_failed``."""
    text = query.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise invalid(("limit", f"must be a whole number from 1 to {MAX_LIMIT}"))
    return int(text)


def cursor_of(query: Mapping[str, str]) -> str | None:
    """Read ``cursor``, the id of the last row of the previous page. Raises ``validation_failed``."""
    cursor = query.get("cursor")
    if cursor is not None and not is_id(cursor):
        raise invalid(("cursor", "is not a valid cursor: send the next_cursor of the page before"))
    return cursor


def section_of(query: Mapping[str, str]) -> PageRequest:
    """Read ``limit`` and ``cursor`` of a list declared with ``ALL_LIMIT``. Raises ``validation_failed``."""
    query = {"limit": str(MAX_LIMIT), **query}
    return PageRequest(limit=limit_of(query), cursor=cursor_of(query))


def payment_id_of(query: Mapping[str, str]) -> str | None:
    """Read ``payment_id``. Raises ``validation_failed`` for a text that cannot be one, such as a reference."""
    given = query.get("payment_id")
    if given is not None and (problem := problem_of_payment_id(given)):
        raise invalid(("payment_id", problem))
    return given


def period_of(
    query: Mapping[str, str], since: str = "since", until: str = "until"
) -> tuple[datetime | None, datetime | None]:
    """Read the two ends of a period. Raises ``validation_failed``, also where it would end before it begins."""
    begin, end = time_of(since, query), time_of(until, query)
    refuse_backwards(begin, end, since, until)
    return begin, end


def refuse_backwards(begin: datetime | None, end: datetime | None, since: str, until: str) -> None:
    """Refuse a period that ends before it begins: nothing lies in it. Raises ``validation_failed``."""
    if begin is not None and end is not None and begin > end:
        raise invalid((until, f"must not be before {since}"))


def time_of(name: str, query: Mapping[str, str]) -> datetime | None:
    """Read a parameter that is a time with a zone. Raises ``validation_failed``."""
    text = query.get(name)
    if text is None:
        return None
    try:
        # A "+" that was not percent-encoded arrives as a blank.
        at = msgspec.convert(text.replace(" ", "+"), datetime)
    except msgspec.ValidationError:
        at = None
    if at is None or at.tzinfo is None:
        raise invalid((name, "must be a time such as 2026-01-31T12:00:00Z"))
    return at
