"""Verify a webhook with the reference library, as a tenant's server does, and explain why it cannot be verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import standardwebhooks

NEEDED = ("webhook-id", "webhook-timestamp", "webhook-signature")

TOO_OLD, TOO_NEW = "Message timestamp too old", "Message timestamp too new"
"""What the library says of a timestamp that is more than five minutes away."""


class NotVerified(Exception):
    """A webhook could not be verified. The message says why, and what to check."""


def verified(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> Any:
    """Return the parsed body of a webhook that one of the ``whsec_`` secrets signed. Raises ``NotVerified``."""
    given = {name.lower(): value for name, value in headers.items()}
    why = ""
    for secret in secrets:
        try:
            return standardwebhooks.Webhook(secret).verify(body, given)
        except standardwebhooks.WebhookVerificationError as problem:
            why = str(problem)
        except ValueError as problem:  # a signature that is not base64, a body that is not JSON
            why = type(problem).__name__
    raise NotVerified(_explained(why, given, len(secrets)))


def _explained(why: str, headers: Mapping[str, str], secrets: int) -> str:
    missing = [name for name in NEEDED if not headers.get(name)]
    if missing:
        return f"{', '.join(missing)} missing: the sender is not a gateway, or a proxy on the way drops headers"
    if why in (TOO_OLD, TOO_NEW):
        return "webhook-timestamp is more than five minutes away: compare the clocks; an old webhook must be sent again"
    if why == "Invalid Signature Headers":
        return "webhook-timestamp is not a number of seconds"
    known = "the tenant's secret" if secrets == 1 else f"any of the tenant's {secrets} secrets"
    return f"webhook-signature was not made with {known} over this body: another secret, or the body was changed"
