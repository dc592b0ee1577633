"""Tenants' programs: they ask, ask again until there is an answer, and keep a journal of every answer they got."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec

from tests.simulation.api import Reply, Request
from tests.simulation.deployment import Deployment
from tests.simulation.environment import Environment

TRIES = 60
"""How often a program asks before it gives up."""

OPEN_TRIES = 6
"""How often it asks again after a 202."""

RETRIED_CODES = frozenset({"request_in_progress", "store_unavailable", "shutting_down", "provider_error"})
"""Problems after which the same request is sent again."""


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One answer in the journal; ``misuse``: the request used a key that belonged to another one."""

    request: Request
    reply: Reply
    misuse: bool = False

    @property
    def said(self) -> dict[str, Any]:
        """The answer's members."""
        said: dict[str, Any] = json.loads(self.reply.body)
        return said


class Tenants:
    """All programs of all tenants, and their journal."""

    def __init__(self, env: Environment, deployment: Deployment) -> None:
        self._env = env
        self._deployment = deployment
        self._dice = env.dice("tenants")
        self._keys = 0
        self.journal: list[JournalEntry] = []

    def key(self) -> str:
        """A fresh idempotency key."""
        self._keys += 1
        return f"key-{self._keys:06}"

    async def request_until_answered(self, request: Request) -> Reply | None:
        """Ask until there is an answer, sometimes from several programs at once; sometimes misuse the key later."""
        rates = self._env.rates
        copies = self._dice.randint(2, 5) if self._dice.random() < rates.copies else 1
        replies = await asyncio.gather(*(self._ask_until_answered(request) for _ in range(copies)))
        if self._dice.random() < rates.copies / 4:
            await self._misuse(request)
        return next((reply for reply in replies if reply is not None), None)

    async def read(self, tenant: str, payment_id: str) -> dict[str, Any] | None:
        """How a payment stands; None when nobody answers."""
        reply = await self._deployment.send_request(Request(tenant=tenant, kind="read", payment_id=payment_id))
        return json.loads(reply.body) if reply is not None and reply.status == 200 else None

    async def sync(self, tenant: str, payment_id: str) -> Reply | None:
        """Have the provider asked."""
        return await self._deployment.send_request(Request(tenant=tenant, kind="sync", payment_id=payment_id))

    async def _ask_until_answered(self, request: Request) -> Reply | None:
        open_tries = 0
        for number in range(TRIES):
            reply = await self._ask(request)
            if reply is not None and reply.code not in RETRIED_CODES:
                open_tries += reply.status == 202
                if reply.status != 202 or open_tries == OPEN_TRIES:
                    return reply
            await asyncio.sleep(self._dice.uniform(0.2, 1.5) * min(number + 1, 10))
        return None

    async def _ask(self, request: Request, *, misuse: bool = False) -> Reply | None:
        reply = await self._deployment.send_request(request)
        if reply is not None:
            self._env.note(f"answer {request.key} {request.kind} {reply.status} {reply.code}")
            self.journal.append(JournalEntry(request=request, reply=reply, misuse=misuse))
        return reply

    async def _misuse(self, request: Request) -> None:
        body = {**json.loads(request.body), "metadata" if request.kind == "create" else "merchant_status": "other"}
        if request.kind == "create":
            body["metadata"] = {"other": "body"}
        elif request.kind in ("cancel", "refund"):
            body = {"reason": "another one"} if request.kind == "refund" else {"other": "member"}
        changed = msgspec.structs.replace(request, body=json.dumps(body).encode())
        await self._ask(changed, misuse=True)
