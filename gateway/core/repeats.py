"""Requests that may be sent again because their answer was lost (``Rules.repeatable``). Pure.

The provider carries such a request out once, however often it comes; so a repetition is a question, like a lookup. It
is the same request to the byte, for the same account, or it is not sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway.core.commands import COMMAND_OF, Kind
from gateway.core.payment import ACCEPTED, Operation, Payment, State, Status
from gateway.core.rules import Policy
from gateway.core.secret import Secret
from gateway.core.signing import keyed_hash
from gateway.core.wire import HttpRequest

REPEATED_FOR = timedelta(hours=12)
"""After the first sending. The least that providers promise to keep an idempotency key is a day."""

REST = timedelta(minutes=5)
"""After a repetition that ended in silence lookups have this time to show what there is, before the next one."""


def may_repeat(payment: Payment, operation: Operation, policy: Policy, at: datetime) -> bool:
    """Whether the answer to an operation was lost and may be asked for again.

    What a lookup has begun to rule out is left to lookups, and what a person must look at is left to that person.
    """
    if operation.repeatable is None or operation.status is not Status.UNKNOWN or operation.note == ACCEPTED:
        return False
    if operation.contrary_since is not None or payment.review is not None:
        return False
    is_over = operation.kind is Kind.CREATE and payment.state is not State.CREATED
    is_recent = at < operation.created_at + REPEATED_FOR
    return is_recent and not is_over and COMMAND_OF[operation.kind] in policy.rules.repeatable


def is_under_way(operation: Operation, at: datetime, *, rest: timedelta = timedelta(0)) -> bool:
    """Whether a repetition may still have its effect: a lookup that shows none proves nothing before that.

    ``rest``: or whether the last one ended in silence not longer ago than that.
    """
    kept = operation.repeatable
    return kept is not None and kept.under_way_until is not None and at < kept.under_way_until + rest


def digest_of(request: HttpRequest, config: object, *, certificate: str, token: str, key: Secret) -> str:
    """The keyed hash of a request and of the account that it is for, from which no secret can be read.

    ``certificate`` tells the account's client certificate from others. ``token`` is that of the session, which is left
    out: it changes by the hour.
    """
    account = msgspec.json.encode(config, enc_hook=_plainly, order="deterministic").decode()
    headers = [f"{name}: {value}" for name, value in request.headers]
    body = request.body.decode("utf-8", "surrogateescape")
    text = "\n".join([request.method, request.url, *headers, account, certificate, body])
    return keyed_hash(key, text.replace(token, "") if token else text)


def _plainly(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)
