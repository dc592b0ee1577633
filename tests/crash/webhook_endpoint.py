"""The tenants' webhook endpoint: it refuses some webhooks, hangs up on some, and records every attempt."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import standardwebhooks
from aiohttp import web

from tests.crash.crash_points import CrashPoint, CrashPoints
from tests.support.stack import WEBHOOK_SECRET

REFUSES, HANGS_UP = 0.1, 0.05
"""Probability of answering 500, and of accepting a webhook and closing the connection without an answer."""


class ReceivedWebhook(NamedTuple):
    """One attempt as it arrived, ``at`` by ``time.monotonic()``, from a process if that can be told.

    ``was_accepted``: it was answered with success.
    """

    id: str
    tenant: str
    body: bytes
    is_signed: bool
    was_accepted: bool
    at: float
    sender: int | None


@dataclass
class WebhookEndpoint:
    """The endpoint of all tenants."""

    dice: random.Random
    crash_points: CrashPoints
    arrived: list[ReceivedWebhook] = field(default_factory=list)
    faults_ended: bool = False
    """Whether it accepts everything from now on."""
    sender_of: Callable[[web.Request], int | None] = lambda _: None

    def app(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application()
        app.router.add_post("/{tenant}", self._receive)
        return app

    async def _receive(self, request: web.Request) -> web.Response:
        at, sender, body = time.monotonic(), self.sender_of(request), await request.read()
        fate = 1.0 if self.faults_ended else self.dice.random()
        was_accepted = fate >= REFUSES + HANGS_UP
        self.crash_points.reached(CrashPoint.WEBHOOK_RECEIVED)
        hook_id, tenant = request.headers["webhook-id"], request.match_info["tenant"]
        is_signed = _is_signed(request.headers, body)
        self.arrived.append(ReceivedWebhook(hook_id, tenant, body, is_signed, was_accepted, at, sender))
        if fate < HANGS_UP and request.transport is not None:
            request.transport.abort()
        return web.Response(status=204 if was_accepted else 500)


def _is_signed(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the reference library verifies the signature now."""
    try:
        standardwebhooks.Webhook(WEBHOOK_SECRET).verify(body, {name.lower(): text for name, text in headers.items()})
    except standardwebhooks.WebhookVerificationError:
        return False
    return True
