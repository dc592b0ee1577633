"""The outcome rule: HTTP status and what the plugin reads decide together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gateway.core.errors import CallbackRejected, OutcomeUnknown, ProviderError
from gateway.core.facts import Absent, Declined, NeverSent, Pending, Unknown
from gateway.core.response_outcome import (
    NOTE_RATE_LIMITED,
    UNANSWERED,
    classify_lookup,
    classify_response,
    unanswered,
)
from gateway.core.wire import HttpResponse
from tests.support.factories.payments import saw

SEEN = saw()
NO = Declined(code="no", message="no")
LATER_ON = Pending(observation=SEEN)
UNREADABLE = Unknown(message="unreadable")
SUCCESS = (200, 201, 202, 204, 299)
JUDGED = (400, 401, 402, 403, 404, 405, 409, 410, 412, 413, 418, 422, 423, 424, 426, 451, 499)
NEITHER = (100, 199, 300, 301, 302, 304, 307, 408, 425, 500, 502, 503, 504, 599)


def raising(error: Exception) -> Callable[[HttpResponse], object]:
    """A plugin that fails over the answer."""

    def parse(response: HttpResponse) -> object:
        raise error

    return parse


@pytest.mark.parametrize("status", SUCCESS)
@pytest.mark.parametrize("read", [SEEN, NO, LATER_ON])
def test_success_is_what_the_plugin_reads(status: int, read: object) -> None:
    """A 2xx is an observation, a pending or a definite no, as the plugin says."""
    assert classify_response(HttpResponse(status=status), lambda _: read) is read


@pytest.mark.parametrize("status", JUDGED)
def test_a_definite_no(status: int) -> None:
    """A client error declines, once the plugin recognises its protocol."""
    assert classify_response(HttpResponse(status=status), lambda _: NO) is NO


@pytest.mark.parametrize("status", JUDGED)
@pytest.mark.parametrize("read", [SEEN, LATER_ON, Absent(), None, "text"])
def test_a_definite_no_is_no_success(status: int, read: object) -> None:
    """Whatever a plugin reads from a refusal, it is not success."""
    assert classify_response(HttpResponse(status=status), lambda _: read) == UNREADABLE


@pytest.mark.parametrize("read", [Absent(), None, True, "ok", Unknown(message="x"), NeverSent(message="x")])
def test_other_readings_are_unknown(read: object) -> None:
    """An absence, or what is no fact of an answer at all, leaves the outcome open."""
    assert classify_response(HttpResponse(status=200), lambda _: read) == UNREADABLE


@pytest.mark.parametrize("status", NEITHER)
@pytest.mark.parametrize("read", [SEEN, NO])
def test_everything_else_is_unknown(status: int, read: object) -> None:
    """Redirects, server errors, and requests that were not judged are unknown, whatever a plugin would read."""
    assert classify_response(HttpResponse(status=status), lambda _: read) == Unknown(message=f"http_{status}")


@pytest.mark.parametrize("status", [*NEITHER, 429])
def test_the_plugin_does_not_see_what_it_cannot_judge(status: int) -> None:
    """A plugin that would fail over such an answer is not asked."""
    assert "plugin_error" not in repr(classify_response(HttpResponse(status=status), raising(RuntimeError())))


def test_rate_limited_did_nothing() -> None:
    """429 certainly did nothing, and no connection failure is claimed: it is not tried again by itself."""
    assert classify_response(HttpResponse(status=429), lambda _: NO) == NeverSent(
        message=NOTE_RATE_LIMITED, may_follow=False
    )


@pytest.mark.parametrize("status", [200, 402, 404, 409])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OutcomeUnknown("half of a body"), "half of a body"),
        (OutcomeUnknown(""), "unreadable"),
        (KeyError("secret-canary"), "plugin_error KeyError"),
        (RecursionError(), "plugin_error RecursionError"),
        (CallbackRejected(reason="method"), "plugin_error CallbackRejected"),  # type: ignore[arg-type]  # any error will do
    ],
)
def test_a_plugin_that_cannot_read_leaves_it_open(status: int, error: Exception, message: str) -> None:
    """Unreadable answers and a plugin's own mistakes are unknown; the mistake's text is not repeated."""
    assert classify_response(HttpResponse(status=status), raising(error)) == Unknown(message=message)


@pytest.mark.parametrize("word", UNANSWERED)
def test_silence_says_what_it_means(word: str) -> None:
    """The sender's word stays at the beginning, for those who search the log."""
    assert unanswered(word).message == f"{word}: {UNANSWERED[word]}"


def test_another_word_for_silence_stands_for_itself() -> None:
    """A sender may know more words."""
    assert unanswered("no idea") == Unknown(message="no idea")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 407, 409, 412, 422, 423, 429, 451, 500, 503])
@pytest.mark.parametrize("read", [Absent(), SEEN])
def test_a_refusal_of_a_lookup_proves_nothing(status: int, read: object) -> None:
    """Whatever a plugin reads from it: refused credentials, above all, say nothing of any payment."""
    with pytest.raises(ProviderError):
        classify_lookup(HttpResponse(status=status), lambda _: read, datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("status", [200, 404, 410])
def test_an_absence_is_proved_by_these_alone(status: int) -> None:
    """The provider found nothing under the name it was asked for."""
    at = datetime(2027, 1, 1, tzinfo=UTC)
    assert classify_lookup(HttpResponse(status=status), lambda _: Absent(), at) == Absent()
