"""The answer to a callback for a provider that looks at the HTTP status alone."""

from __future__ import annotations

import pytest

from gateway.core.errors import Reason
from gateway.core.facts import Busy, Recorded, Refused, Repeated, Verdict
from gateway.core.status_answer import status_answer
from gateway.core.wire import Headers


@pytest.mark.parametrize(
    ("verdict", "status", "headers"),
    [
        (Recorded(), 204, ()),
        (Repeated(is_final=True), 204, ()),
        (Refused(reason=Reason.METHOD), 405, (("Allow", "POST"),)),
        (Refused(reason=Reason.TOO_LARGE), 413, ()),
        (Refused(reason=Reason.MEDIA_TYPE), 415, ()),
        (Refused(reason=Reason.UNAUTHENTIC), 400, ()),
        (Refused(reason=Reason.AMOUNT), 400, ()),
        (Busy(limited=True, retry_after=7), 429, (("Retry-After", "7"),)),
        (Busy(retry_after=3), 503, (("Retry-After", "3"),)),
    ],
)
def test_each_verdict_has_its_status(verdict: Verdict, status: int, headers: Headers) -> None:
    """Stored callbacks, refusals and faults differ by status, and nothing has a body."""
    answer = status_answer(verdict)
    assert (answer.status, answer.headers, answer.body) == (status, headers, b"")


def test_a_provider_may_want_other_statuses() -> None:
    """Success, refusal, missing proof and allowed methods can be named; 413 stays 413."""
    options = {"stored": 200, "refused": 422, "unauthentic": 401}
    refused = [Refused(reason=reason) for reason in (Reason.NOT_FOUND, Reason.UNAUTHENTIC, Reason.TOO_LARGE)]
    assert [status_answer(verdict, **options).status for verdict in (Recorded(), *refused)] == [200, 422, 401, 413]
    judged = [Reason.NOT_FOUND, Reason.REPEATED_FINAL, Reason.AMOUNT, Reason.UNAUTHENTIC, Reason.WRONG_ACCOUNT]
    answers = [status_answer(Refused(reason=reason), judged=200, **options) for reason in judged]
    assert [answer.status for answer in answers] == [200, 200, 200, 401, 422]
    answer = status_answer(Refused(reason=Reason.METHOD), methods=("GET", "POST"))
    assert (answer.status, answer.headers) == (405, (("Allow", "GET, POST"),))
