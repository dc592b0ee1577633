"""The callbacks of a simulated provider: sent, held, released late, repeated byte for byte, forged."""

from __future__ import annotations

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
    """A callback with one digit of its body, or else its last byte, changed; with each header of its own
    written backwards; and without these headers."""
    place = next((at for at, byte in enumerate(request.body) if 0x30 <= byte < 0x39), len(request.body) - 1)
    other = (
        request.body[:place] + bytes([request.body[place] + 1]) + request.body[place + 1 :] if request.body else b"0"
    )
    kept = tuple(pair for pair in request.headers if pair[0].lower() in USUAL)
    proofs = tuple(pair for pair in request.headers if pair not in kept)
    replace: Any = msgspec.structs.replace
    forged = [replace(request, body=other)]
    if proofs:
        turned = tuple((name, value[::-1]) for name, value in proofs)
        forged += [replace(request, headers=kept + turned), replace(request, headers=kept)]
    return forged
