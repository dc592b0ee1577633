"""Read a provider's refusal in JSON, so that no proxy's or other server's answer is taken for one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gateway.core.errors import OutcomeUnknown
from gateway.core.facts import Declined
from gateway.core.masking import clean_message
from gateway.core.response_body import json_object
from gateway.core.secret import Secret
from gateway.core.wire import HttpResponse, media_type

REFUSING = frozenset({400, 401, 403, 404, 422})
"""Statuses that refuse at every provider. A 409 may mean that the same request is still being worked on."""

MAX_CODE = 64
"""Characters of a text that serves as the code."""


def read_refusal(
    response: HttpResponse,
    member: str,
    secrets: Iterable[Secret],
    by: str = "the provider",
    statuses: Collection[int] = REFUSING,
) -> Declined:
    """Read a definite no: one of ``statuses`` with a JSON object, whose ``member`` says why, under its media type.

    Raises ``OutcomeUnknown`` for everything else. Any object is enough for a no, so the media type has to show that it
    is the provider's, not a proxy's. Without a text the code is the status, and ``by`` names the provider.
    """
    said = f"{by} answered {response.status}"
    if response.status not in statuses or media_type(response.headers) != "application/json":
        raise OutcomeUnknown(f"{said}, and not with a refusal in application/json")
    message = clean_message(json_object(response).get(member), secrets)
    return Declined(code=message[:MAX_CODE].strip() or str(response.status), message=message or said)
