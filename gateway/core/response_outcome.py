"""The outcome rule: what a provider's HTTP response to a changing command means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gateway.core.errors import OutcomeUnknown, ProviderError
from gateway.core.facts import Absent, Ask, Declined, Fact, NeverSent, Observation, Pending, Unknown
from gateway.core.response_body import is_page
from gateway.core.retry_after import retry_after
from gateway.core.wire import HttpResponse

MAY_DECLINE = frozenset(range(400, 500)) - {408, 425, 429}
"""Statuses of which the plugin says whether the answer declines, by a body in the shape of its protocol. The others
among the client errors say that the request was not processed, or not yet."""

RATE_LIMITED = 429

CREDENTIALS_REFUSED = frozenset({401, 403})
"""Statuses with which every call of an account will end until somebody corrects its credentials."""

CALL_OUTCOMES = (
    "succeeded",
    "declined",
    "credentials_refused",
    "rate_limited",
    NOT_SENT := "not_sent",
    UNKNOWN := "unknown",
)
"""What may come of one call to a provider, for those who count them."""

NOTE_RATE_LIMITED = "the provider answered 429 (too many requests), so nothing was done"
NOTE_SESSION_ENDED = "the provider had ended our session, so nothing was done"
"""What a tenant reads of an operation that did nothing."""

UNANSWERED = {
    "timeout": "it was sent, and no answer came in time",
    "connection_lost": "it was sent, and the connection broke before the answer was whole",
    "bad_http": "it was sent, and the answer was not valid HTTP",
}
"""The sender's word for an answer that did not come -> what it means."""

MAX_RETRY_AFTER_SECONDS = 3600.0
"""Seconds for which a provider's ``Retry-After`` puts a lookup off at most: what is unknown is asked for."""

NO_SUCH_PAYMENT = frozenset({404, 410})
"""Statuses with which a lookup's answer may say that there is no such payment, beside 2xx. A refusal of our
credentials, of the request, or of its rate says nothing of any payment."""


def call_outcome(status: int) -> str:
    """What an answer's status alone says: one of ``CALL_OUTCOMES``."""
    if 200 <= status < 300:
        return "succeeded"
    if status in CREDENTIALS_REFUSED:
        return "credentials_refused"
    if status == RATE_LIMITED:
        return "rate_limited"
    return "declined" if status in MAY_DECLINE else UNKNOWN


def classify_response(response: HttpResponse, parse: Callable[[HttpResponse], object]) -> Fact:
    """Classify a response: the plugin reads 2xx and client errors; 429 did nothing; everything else is unknown.

    Where the plugin cannot read the response, or fails, the outcome is unknown: the effect may have happened.
    """
    if response.status == RATE_LIMITED:
        return NeverSent(message=NOTE_RATE_LIMITED)
    success = 200 <= response.status < 300
    if not success and response.status not in MAY_DECLINE:
        return Unknown(message=f"http_{response.status}")
    try:
        fact = parse(response)
    except OutcomeUnknown as unreadable:
        return Unknown(message=str(unreadable) or "unreadable")
    except Exception as broken:  # a plugin's mistake after sending must not lose the operation
        return Unknown(message=f"plugin_error {type(broken).__name__}")
    match fact:
        case Declined():
            return fact
        case Observation() | Pending() if success:
            return fact
        case _:
            return Unknown(message="unreadable")


def unanswered(word: str) -> Unknown:
    """An operation that was sent and got no whole answer; ``word`` is the sender's."""
    meaning = UNANSWERED.get(word)
    return Unknown(message=f"{word}: {meaning}" if meaning else word)


def classify_lookup(
    response: HttpResponse, parse: Callable[[HttpResponse], object], at: datetime
) -> Observation | Absent | Ask:
    """Classify the response to a lookup, which came ``at``. A further question may follow on each that is read.

    Only a 2xx shows a payment. A 2xx, 404 or 410 may say that it does not exist, but not with a page of HTML: a proxy
    or a mistyped address answers so. Raises ``ProviderError`` for a response that proves nothing.
    """
    success = 200 <= response.status < 300
    if not success and response.status not in NO_SUCH_PAYMENT:
        wait = retry_after(response, at, most=MAX_RETRY_AFTER_SECONDS)
        raise ProviderError(f"the provider answered a lookup with {response.status}", retry_after=wait)
    match parse(response):
        case Observation() as seen if success:
            return seen
        case Absent() as absent if not is_page(response):
            return absent
        case Ask() as further:
            return further
        case _:
            raise ProviderError("the provider refused a lookup")
