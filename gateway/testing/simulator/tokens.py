"""Tokens that a simulated provider issues, and the answers that it repeats under an idempotency key."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import web

from gateway.testing.simulator.ledger import Refusal

LIFETIME = timedelta(hours=1)


class Tokens:
    """The tokens that are valid, each with the account that it was issued to."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._valid: dict[str, tuple[str, datetime]] = {}

    def issue(self, owner: str, lifetime: timedelta = LIFETIME) -> str:
        """A new token for an account, by the key of the account."""
        token = secrets.token_urlsafe(24)
        self._valid[token] = (owner, self._now() + lifetime)
        return token

    def owner(self, token: str) -> str:
        """The account that a token was issued to. Raises ``Refusal`` 401 for one that is not valid, or no longer."""
        owner, until = self._valid.get(token, ("", self._now()))
        if self._now() >= until:
            raise Refusal(401, "unauthorized")
        return owner

    def end(self) -> None:
        """End them all early."""
        self._valid.clear()


class Repeats:
    """The answers by route and idempotency key, each with the request that it answered."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], tuple[str, int, bytes, str]] = {}

    def answer(self, operation: str, key: str, body: bytes) -> web.Response | None:
        """The answer that this key has had. Raises ``Refusal`` 422 where it came with another body."""
        found = self._answers.get((operation, key))
        if found is None:
            return None
        seen, status, answered, kind = found
        if seen != hashlib.sha256(body).hexdigest():
            raise Refusal(422, "the idempotency key was used for another request")
        return web.Response(status=status, body=answered, headers={"Content-Type": kind})

    def keep(self, operation: str, key: str, body: bytes, answer: web.Response) -> None:
        """Keep an answer to be repeated."""
        kept = answer.body if isinstance(answer.body, bytes) else b""
        kind = answer.headers.get("Content-Type", answer.content_type)
        self._answers[operation, key] = (hashlib.sha256(body).hexdigest(), answer.status, kept, kind)
