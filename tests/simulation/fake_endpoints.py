"""The tenants' webhook endpoints: what arrived, in which order it was first sent, and what was answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import standardwebhooks

from gateway.core.wire import HttpRequest, HttpResponse, header
from tests.simulation.environment import Environment

SECRET = "whsec_c2ltdWxhdGVkLXdlYmhvb2stc2VjcmV0LTAwMDAwMDE="
FAILURES = ((6, 500), (3, 503), (3, 429), (2, 302), (2, 404), (1, 410))
"""(weight, status) of an endpoint in a bad mood."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One try that arrived and how it was answered."""

    body: bytes
    status: int


class FakeEndpoints:
    """Every tenant's endpoint. ``first_sent``: versions in the order of their first tries, by payment."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._dice = env.dice("endpoints")
        self._verifier = standardwebhooks.Webhook(SECRET)
        self.arrived: dict[str, list[Arrival]] = {}
        self.sent: dict[str, bytes] = {}
        self.first_sent: dict[str, list[int]] = {}

    def admit(self, request: HttpRequest, *, leaves: bool) -> str:  # noqa: ARG002  # without a connection it is a try as well
        """Check what leaves: its signature, and that a repetition is the same bytes."""
        identifier = header(request.headers, "webhook-id")[0]
        at = datetime.fromtimestamp(int(header(request.headers, "webhook-timestamp")[0]), UTC)
        if (
            self._verifier.sign(identifier, at, request.body.decode())
            != header(request.headers, "webhook-signature")[0]
        ):
            self._env.violated(f"webhook {identifier} is signed wrongly")
        if self.sent.setdefault(identifier, request.body) is not request.body:
            if self.sent[identifier] != request.body:
                self._env.violated(f"promise 8: webhook {identifier} changed its bytes")
            return identifier
        payment = json.loads(request.body)["data"].get("payment")
        if payment is not None:
            self.first_sent.setdefault(payment["id"], []).append(payment["version"])
        return identifier

    def handle(self, request: HttpRequest, tag: str) -> HttpResponse:
        """Take a webhook, or be in a bad mood."""
        status = 204
        if self._dice.random() < self._env.rates.webhook:
            status = self._dice.choices([status for _, status in FAILURES], [weight for weight, _ in FAILURES])[0]
        self.arrived.setdefault(tag, []).append(Arrival(body=request.body, status=status))
        headers = (("Retry-After", "3"),) if status == 429 else ()
        return HttpResponse(status=status, headers=headers)
