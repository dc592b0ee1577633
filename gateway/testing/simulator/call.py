"""One request that a simulator serves, and the routes that serve it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

import gateway
from gateway.testing.simulator.ledger import Refusal, SimulatedPayment

Outgoing = Callable[[Any, str, "Call"], list[int]]
Handler = TypeVar("Handler", bound=Callable[..., Any])


class Route(NamedTuple):
    """Where a method of a simulator is served; ``repeats``: the header with the provider's idempotency key."""

    method: str
    paths: tuple[str, ...]
    repeats: str | None


def route(method: str, *paths: str, repeats: str | None = None) -> Callable[[Handler], Handler]:
    """Serve an aiohttp path by the method below, which takes a ``Call``. Its name is the fault's ``operation``.

    It returns an aiohttp response, a JSON value (200), or a status and a JSON value. ``repeats`` names a header: a
    second call with the same value of it gets the first answer and has no effect.
    """

    def marked(handler: Handler) -> Handler:
        handler.route = Route(method, paths, repeats)  # type: ignore[attr-defined]  # read by ``routes_of``
        return handler

    return marked


def routes_of(simulator: object) -> dict[str, tuple[Route, Callable[..., Any]]]:
    """The routes of a simulator by the name of their method."""
    marked = ((name, getattr(getattr(type(simulator), name), "route", None)) for name in dir(type(simulator)))
    return {name: (route, getattr(simulator, name)) for name, route in marked if isinstance(route, Route)}


class Call:
    """A request of the gateway, the fault that it meets, and the callbacks that it causes."""

    def __init__(self, request: web.Request, body: bytes, operation: str, fault: Any, outgoing: Outgoing) -> None:
        self.request, self.body, self.operation = request, body, operation
        self.fault = fault
        """The fault that this call meets, of the simulator's ``fault_type``."""
        self.callbacks: list[int] = []
        """The numbers of the callbacks that follow the answer."""
        self._outgoing = outgoing

    def notify(self, payment: SimulatedPayment, what: str) -> None:
        """Let the callback of a payment, made now, follow this call's answer."""
        self.callbacks += self._outgoing(payment, what, self)

    @property
    def path(self) -> Mapping[str, str]:
        """The named parts of the path."""
        return self.request.match_info

    @property
    def query(self) -> Mapping[str, str]:
        """The query by name."""
        return self.request.query

    @property
    def origin(self) -> str:
        """The simulator's own address as it was called, such as ``http://127.0.0.1:9103``."""
        return str(self.request.url.origin())

    def header(self, name: str) -> str:
        """One header; empty if it is absent."""
        return self.request.headers.get(name, "")

    def json(self) -> dict[str, Any]:
        """The body as a JSON object, numbers as ``JsonNumber``. Raises ``Refusal`` 400."""
        try:
            found = gateway.loads(self.body)
        except gateway.NotStrictJson:
            found = None
        if not isinstance(found, dict):
            raise Refusal(400, "the body must be a JSON object")
        return found

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @property
    def bearer(self) -> str:
        """The token of ``Authorization: Bearer``; empty without it."""
        scheme, _, token = self.header("Authorization").partition(" ")
        return token if scheme == "Bearer" else ""

    @property
    def basic(self) -> tuple[str, str]:
        """User name and password of ``Authorization: Basic``; empty without it."""
        scheme, _, encoded = self.header("Authorization").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded if scheme == "Basic" else "").decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
