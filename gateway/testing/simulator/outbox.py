"""The callbacks of a simulated provider: sent, held, released late, repeated byte for byte, forged."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from yarl import URL

import gateway
from gateway.testing.simulator.ledger import Refusal

TIMEOUT = ClientTimeout(total=10)
USUAL = frozenset({"accept", "accept-encoding", "content-type", "user-agent"})
"""Headers that prove nothing: every client sends them."""

_LONG = re.compile(rb"[0-9A-Za-z+/_-]{19,}[0-9A-Za-z]")
"""An id or a signature. Its middle is changed: the last character of an encoding may count for nothing."""


class Answered(msgspec.Struct, kw_only=True):
    """How a callback was answered. ``status`` None: nobody answered, and ``body`` names the error."""

    status: int | None
    body: str


class OutgoingCallback(msgspec.Struct, kw_only=True):
    """A callback about a payment, by the provider's id of it, and how each copy was answered; held ones have no answer
    yet."""

    number: int
    about: str
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: str
    answers: list[Answered] = []


class Outbox:
    """What was made to be sent, oldest first."""

    def __init__(self) -> None:
        self.callbacks: list[OutgoingCallback] = []
        self._requests: list[gateway.HttpRequest] = []
        self._http: ClientSession

    async def client(self, _: web.Application) -> AsyncIterator[None]:
        """Keep one client while the application runs."""
        async with ClientSession(timeout=TIMEOUT) as self._http:
            yield

    def add(self, about: str, request: gateway.HttpRequest) -> int:
        """Take a callback in; returns its number."""
        number = len(self.callbacks)
        self._requests.append(request)
        self.callbacks.append(
            OutgoingCallback(
                number=number,
                about=about,
                method=request.method,
                url=request.url,
                headers=list(request.headers),
                body=request.body.decode("utf-8", "replace"),
            )
        )
        return number

    async def send(self, number: int) -> Answered:
        """Send a callback, the first time or byte for byte again. Raises ``Refusal`` for an unknown one."""
        answered = await self.post(self._known(number))
        self.callbacks[number].answers.append(answered)
        return answered

    async def release(self, numbers: Sequence[int] | None = None) -> list[Answered]:
        """Send those that are held, in their order or in the one that is given."""
        held = [one.number for one in self.callbacks if not one.answers]
        return [await self.send(number) for number in (held if numbers is None else numbers)]

    async def forge(self, number: int) -> list[Answered]:
        """Send copies that nobody may believe: another body, other headers, no headers."""
        return [await self.post(one) for one in forgeries(self._known(number))]

    async def post(self, request: gateway.HttpRequest) -> Answered:
        """Send a request; redirects are not followed."""
        url = URL(request.url, encoded=True)
        try:
            async with self._http.request(
                request.method, url, data=request.body or None, headers=list(request.headers), allow_redirects=False
            ) as answer:
                return Answered(status=answer.status, body=await answer.text(errors="replace"))
        except (ClientError, TimeoutError) as problem:
            return Answered(status=None, body=type(problem).__name__)

    def _known(self, number: int) -> gateway.HttpRequest:
        if not 0 <= number < len(self._requests):
            raise Refusal(404, "there is no such callback")
        return self._requests[number]


def forgeries(request: gateway.HttpRequest) -> list[gateway.HttpRequest]:
    """A callback with one character of its body changed, at several places; with each header of its own written
    backwards; and without these headers."""
    kept = tuple(pair for pair in request.headers if pair[0].lower() in USUAL)
    proofs = tuple(pair for pair in request.headers if pair not in kept)
    replace: Any = msgspec.structs.replace
    forged = [replace(request, body=body) for body in _changed(request.body)]
    if proofs:
        turned = tuple((name, value[::-1]) for name, value in proofs)
        forged += [replace(request, headers=kept + turned), replace(request, headers=kept)]
    return forged


def _changed(body: bytes) -> list[bytes]:
    """The body with another first, middle or last digit, and with another character inside each id and signature."""
    long = [found.span() for found in _LONG.finditer(body)]
    digits = [at for at in range(len(body)) if body[at : at + 1].isdigit() and not any(a <= at < b for a, b in long)]
    inside = [next(at for at in range((a + b) // 2, b) if body[at : at + 1].isalnum()) for a, b in long]
    places = {*inside, *(digits[at] for at in (0, len(digits) // 2, -1) if digits)} or {len(body) - 1}
    return [body[:at] + _another(body[at]) + body[at + 1 :] for at in sorted(places)] if body else [b"0"]


def _another(byte: int) -> bytes:
    """Another character of the same kind: a hex digit stays one."""
    return bytes([byte ^ 1 if byte < ord("A") else (byte - 1 ^ 1) + 1])
