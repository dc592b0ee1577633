"""The answer to a callback for a provider that looks at the HTTP status alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.errors import Reason
from gateway.core.facts import Busy, Recorded, Refused, Repeated, Verdict
from gateway.core.wire import HttpResponse

STATUSES = {Reason.TOO_LARGE: 413, Reason.MEDIA_TYPE: 415}
"""HTTP statuses of the refusals that mean the same to every provider."""


BEFORE_JUDGEMENT = frozenset(
    {Reason.METHOD, Reason.MEDIA_TYPE, Reason.TOO_LARGE, Reason.UNAUTHENTIC, Reason.WRONG_ACCOUNT}
)
"""Reasons of a callback that was never proved to be this account's; with any other reason the core evaluated it."""


def status_answer(
    verdict: Verdict,
    *,
    stored: int = 204,
    refused: int = 400,
    unauthentic: int | None = None,
    judged: int | None = None,
    methods: Sequence[str] = ("POST",),
) -> HttpResponse:
    """Answer by status: ``stored``, 405 with Allow, 413, 415, else ``refused``; 429 and 503 with Retry-After.

    ``unauthentic`` is the status for what could not be proved, ``judged`` for what was proved and then refused; None:
    that of any other refusal. A repetition gets the same verdict, so a provider that repeats whatever is not answered
    2xx needs a 2xx for ``judged``. ``methods`` are allowed at the callback's address.
    """
    match verdict:
        case Recorded() | Repeated():
            return HttpResponse(status=stored)
        case Busy(limited=limited, retry_after=seconds):
            return HttpResponse(status=429 if limited else 503, headers=(("Retry-After", str(seconds)),))
        case Refused(reason=Reason.METHOD):
            return HttpResponse(status=405, headers=(("Allow", ", ".join(methods)),))
        case Refused(reason=Reason.UNAUTHENTIC) if unauthentic is not None:
            return HttpResponse(status=unauthentic)
        case Refused(reason=reason) if judged is not None and reason not in BEFORE_JUDGEMENT:
            return HttpResponse(status=judged)
        case Refused(reason=reason):
            return HttpResponse(status=STATUSES.get(reason, refused))
