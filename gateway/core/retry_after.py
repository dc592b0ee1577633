"""``Retry-After`` (RFC 9110, 10.2.3): how long an answer asks us to wait, as whole seconds or as a date."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.core.wire import HttpResponse, header


def retry_after(response: HttpResponse, at: datetime, *, most: float) -> float | None:
    """Seconds to wait from ``at``, at most ``most``; 0.0 for a date that is past.

    A date may have any of HTTP's three forms. None when the header is absent, given twice or neither number nor date.
    """
    given = header(response.headers, "retry-after")
    wanted = _seconds(given[0].strip(), at) if len(given) == 1 else None
    return None if wanted is None else min(max(wanted, 0.0), most)


def http_date(text: str) -> datetime | None:
    """The time that a header names, in any of HTTP's three forms; None for anything else."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a day of twenty digits is not a ``ValueError``
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)  # the asctime form names no zone


def _seconds(text: str, at: datetime) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text)
    date = http_date(text)
    return None if date is None else (date - at).total_seconds()
