"""Fake webhook endpoints of the tenants: what arrived, the order of first attempts, and the answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import standardwebhooks

from gateway.core.wire import HttpRequest, HttpResponse, header
from tests.simulation.environment import Environment
from tests.simulation.process import Process, running_process

SECRET = "whsec_c2ltdWxhdGVkLXdlYmhvb2stc2VjcmV0LTAwMDAwMDE="
FAILURES = ((6, 500), (3, 503), (3, 429), (2, 302), (2, 404), (1, 410))
"""(weight, status) of an endpoint that fails."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that arrived, and its answer."""

    body: bytes
    status: int


class FakeEndpoints:
    """The endpoints of all tenants. ``first_sent``: by payment, versions in the order of their first attempts.

    ``attempts``: by webhook, when each was made and by which process, whether it arrived or not.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._dice = env.dice("endpoints")
        self._verifier = standardwebhooks.Webhook(SECRET)
        self.arrived: dict[str, list[Arrival]] = {}
        self.sent: dict[str, bytes] = {}
        self.first_sent: dict[str, list[int]] = {}
        self.attempts: dict[str, list[tuple[float, Process]]] = {}

    def admit(self, request: HttpRequest, *, leaves: bool) -> str:  # noqa: ARG002  # an attempt without a connection counts too
        """Check the signature of an attempt, and that a repetition has the same bytes."""
        identifier = header(request.headers, "webhook-id")[0]
        at = datetime.fromtimestamp(int(header(request.headers, "webhook-timestamp")[0]), UTC)
        if (
            self._verifier.sign(identifier, at, request.body.decode())
            != header(request.headers, "webhook-signature")[0]
        ):
            self._env.violated(f"webhook {identifier} has a wrong signature")
        self.attempts.setdefault(identifier, []).append((self._env.loop.time(), running_process()))
        if self.sent.setdefault(identifier, request.body) is not request.body:
            if self.sent[identifier] != request.body:
                self._env.violated(f"promise 8: webhook {identifier} changed its bytes")
            return identifier
        payment = json.loads(request.body)["data"].get("payment")
        if payment is not None:
            self.first_sent.setdefault(payment["id"], []).append(payment["version"])
        return identifier

    def handle(self, request: HttpRequest, tag: str) -> HttpResponse:
        """Accept a webhook, or fail."""
        status = 204
        if self._dice.random() < self._env.rates.webhook:
            status = self._dice.choices([status for _, status in FAILURES], [weight for weight, _ in FAILURES])[0]
        self.arrived.setdefault(tag, []).append(Arrival(body=request.body, status=status))
        headers = (("Retry-After", "3"),) if status == 429 else ()
        return HttpResponse(status=status, headers=headers)
