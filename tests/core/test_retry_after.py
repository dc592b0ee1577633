"""``Retry-After``: a number of seconds or any of HTTP's three forms of a date."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.core.retry_after import retry_after
from gateway.core.wire import HttpResponse

AT = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
DAY = 86400.0

WANTED = {
    "30": 30.0,
    "0": 0.0,
    " 30 ": 30.0,
    "9" * 15: DAY,
    "9" * 5000: DAY,
    "Sat, 28 Nov 2026 13:00:00 GMT": 3600.0,
    "Sat, 28 Nov 2026 13:00:00 gmt": 3600.0,
    "Sat, 28 Nov 2026 13:00:00 UTC": 3600.0,
    "Sat, 28 Nov 2026 13:00:00": 3600.0,
    "28 Nov 2026 13:00:00 GMT": 3600.0,
    "Sat, 28 Nov 2026 15:00:00 +0200": 3600.0,
    "Saturday, 28-Nov-26 13:00:00 GMT": 3600.0,
    "Sat Nov 28 13:00:00 2026": 3600.0,
    "Tue, 1 Dec 2026 00:00:00 GMT": DAY,
    "Sun, 29 Nov 2026 9:00:00 GMT": 75600.0,
    "Fri, 31 Dec 9999 23:59:59 GMT": DAY,
    "Fri, 31 Dec 9999 23:59:59 -2300": DAY,
    "Sat, 28 Nov 2026 11:59:59 GMT": 0.0,
    "Sun, 06 Nov 1994 08:49:37 GMT": 0.0,
}

NEITHER = (
    *("-1", "+5", "1.5", "1e3", "0x10", "²", "٣٠", "", "soon", "30s", "30, 60", "inf", "nan"),
    *("2026-11-28T13:00:00Z", "Sat, 99 Nov 2026 13:00:00 GMT", "Sat, 28 Nov 99999 13:00:00 GMT", "Sat, 28 Nov", ","),
    *("Sat, 99999999999999999999 Nov 2026 13:00:00 GMT", "Sat, 28 Nov 99999999999999999999 13:00:00 GMT"),
    *("Sat, 28 Nov 2026 13:00:00 +99999999999999999999", "Sat, 28 Nov 2026 13:99999999999999999999:00 GMT"),
)


def answer(*given: str) -> HttpResponse:
    """An answer with these ``Retry-After`` headers."""
    return HttpResponse(status=429, headers=tuple(("retry-AFTER", one) for one in given))


@pytest.mark.parametrize("given", WANTED)
def test_a_number_or_a_date(given: str) -> None:
    """Both forms are seconds from now, never negative and never more than the caller allows."""
    assert retry_after(answer(given), AT, most=DAY) == WANTED[given]


@pytest.mark.parametrize("given", NEITHER)
def test_what_is_neither(given: str) -> None:
    """What is neither whole seconds nor a date is as if it were not there."""
    assert retry_after(answer(given), AT, most=DAY) is None


def test_given_twice_or_never() -> None:
    """An absent or ambiguous header says nothing."""
    assert retry_after(answer(), AT, most=DAY) is None
    assert retry_after(answer("1", "2"), AT, most=DAY) is None
