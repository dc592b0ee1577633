"""Samples as what a plugin is given: placeholders filled in, bodies as bytes, callbacks signed."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.core.secret import Secret
from gateway.core.strictjson import dumps
from gateway.core.wire import Headers, HttpResponse
from gateway.provider import Account
from gateway.testing.calls import Received
from gateway.testing.recipes import AT, ids_of
from gateway.testing.samples import Reply, SampleCallback, UnusableSamples, pairs_of
from gateway.testing.trees import text

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_HMAC = re.compile(r"\$\{hmac:(\w+):(hex|base64):(\w+)\}")
JSON: Headers = (("Content-Type", "application/json"),)


def filled(value: Any, payment: int = 1) -> Any:
    """A value of a sample with its placeholders filled in. Raises ``UnusableSamples`` for an unknown one."""
    if isinstance(value, Mapping):
        return {filled(name, payment): filled(inner, payment) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, payment) for inner in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    known = ids_of(payment)

    def instead(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise UnusableSamples(
                f"${{{found[1]}}} is not known; there are {', '.join(known)} and hmac:HASH:hex:MEMBER"
            )
        return known[found[1]]

    return _PLACEHOLDER.sub(instead, value)


def body_of(value: Any) -> bytes:
    """A body: text as it stands, anything else as compact JSON."""
    return value.encode() if isinstance(value, str) else dumps(value)


def response_of(reply: Reply, payment: int = 1) -> HttpResponse:
    """The answer of a sample; one in JSON says so unless the sample has headers."""
    body = body_of(filled(reply.body, payment))
    headers = pairs_of(filled(reply.headers, payment)) or (JSON if body[:1] in (b"{", b"[") else ())
    return HttpResponse(status=int(text(reply.status)), headers=headers, body=body)


def received_of(sample: SampleCallback, account: Account, payment: int = 1, body: bytes | None = None) -> Received:
    """The callback of a sample, signed where it asks for it; ``body`` takes the place of its own."""
    if body is None:
        body = body_of(filled(sample.body, payment))
    named = sample.payment_id and filled(sample.payment_id, payment)
    return Received(
        method=sample.method,
        suffix=sample.suffix,
        query=_signed(filled(sample.query, payment), body, account),
        headers=tuple(
            (name, _signed(value, body, account)) for name, value in pairs_of(filled(sample.headers, payment))
        ),
        body=body,
        at=datetime.fromisoformat(sample.at) if sample.at else AT,
        payment_id=named or None,
    )


def is_signed_here(sample: SampleCallback) -> bool:
    """Whether the kit makes the signature of a sample, and so can make one for another body."""
    return any(_HMAC.search(value) for _, value in (*pairs_of(sample.headers), ("", sample.query)))


def _signed(text: str, body: bytes, account: Account) -> str:
    def instead(found: re.Match[str]) -> str:
        key = getattr(account.config, found[3], None)
        if not isinstance(key, Secret | str):
            raise UnusableSamples(f"{found[0]}: config has no member {found[3]} to sign with")
        made = hmac.new((key.reveal() if isinstance(key, Secret) else key).encode(), body, found[1]).digest()
        return made.hex() if found[2] == "hex" else base64.b64encode(made).decode()

    return _HMAC.sub(instead, text)
