"""What all lists have in common: how many, from where on, since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.core.errors import invalid
from gateway.core.ids import uuid_of
from gateway.core.view_types import PaymentView
from gateway.core.views import payment_view
from gateway.core.wording import joined_with_or
from gateway.drivers.store.reads import ListedPayment
from gateway.drivers.store.rows import PageRequest
from gateway.web.route import Query

DEFAULT_LIMIT, MOST = 50, 200
TIME = {"type": "string", "format": "date-time"}
LIMIT = ("How many, at most.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT})
CURSOR = "The `next_cursor` of the page before."
MOST_AT_ONCE = ("How many, at most.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": MOST})


def one_of(name: str, query: Mapping[str, str], allowed: Sequence[str]) -> str | None:
    """A parameter that is one of these. Raises ``validation_failed``."""
    value = query.get(name)
    if value is not None and value not in allowed:
        raise invalid((name, f"must be {joined_with_or(allowed)}"))
    return value


def given(query: Mapping[str, str]) -> dict[str, str]:
    """The query parameters that say something; an empty one does not."""
    return {name: value for name, value in query.items() if value}


def limit_of(query: Mapping[str, str]) -> int:
    """``limit``. Raises ``validation_failed``."""
    text = query.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST):
        raise invalid(("limit", f"must be a whole number from 1 to {MOST}"))
    return int(text)


def cursor_of(query: Mapping[str, str]) -> str | None:
    """``cursor``: an id of ours. Raises ``validation_failed``."""
    cursor = query.get("cursor")
    if cursor is not None and uuid_of(cursor) is None:
        raise invalid(("cursor", "is not a valid cursor: send the next_cursor of the page before"))
    return cursor


def section_of(query: Mapping[str, str]) -> PageRequest:
    """``limit`` and ``cursor`` of a list that is short as a rule: without a limit the longest page.

    Raises ``validation_failed``.
    """
    query = {"limit": str(MOST), **given(query)}
    return PageRequest(limit=limit_of(query), cursor=cursor_of(query))


def listed_payment(listed: ListedPayment) -> PaymentView:
    """Show a payment in a list."""
    return payment_view(listed.payment, listed.open_operation)


def time_of(name: str, query: Mapping[str, str]) -> datetime | None:
    """A parameter that is a time. Raises ``validation_failed``."""
    text = query.get(name)
    if text is None:
        return None
    try:
        at = msgspec.convert(text.replace(" ", "+"), datetime)
    except msgspec.ValidationError:
        at = None
    if at is None or at.tzinfo is None:
        raise invalid((name, "must be a time such as 2026-01-31T12:00:00Z"))
    return at


def described(**parameters: str | tuple[str, Mapping[str, Any] | type]) -> tuple[Query, ...]:
    """Query parameters for the document: a sentence, or a sentence and a schema."""
    return tuple(
        Query(name=name, description=text)
        if isinstance(text, str)
        else Query(name=name, description=text[0], schema=text[1])
        for name, text in parameters.items()
    )
