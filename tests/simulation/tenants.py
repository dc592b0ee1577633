"""The tenants' programs: they repeat each request until it is answered, and keep a journal of every answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec

from tests.simulation.api import Reply, Request
from tests.simulation.cluster import Cluster
from tests.simulation.environment import Environment

TRIES = 60
"""Number of attempts before a program gives up."""

OPEN_TRIES = 6
"""Number of 202 answers after which it stops asking."""

RETRIED_CODES = frozenset({"request_in_progress", "store_unavailable", "shutting_down", "provider_error"})
"""Problem codes after which the same request is repeated."""


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. ``misuse``: the request used the key of another request."""

    request: Request
    reply: Reply
    misuse: bool = False

    @property
    def body(self) -> dict[str, Any]:
        """The body of the answer."""
        body: dict[str, Any] = json.loads(self.reply.body)
        return body


class Tenants:
    """The programs of all tenants, with one journal."""

    def __init__(self, env: Environment, deployment: Cluster) -> None:
        self._env = env
        self._deployment = deployment
        self._dice = env.dice("tenants")
        self._keys = 0
        self.journal: list[JournalEntry] = []

    def key(self) -> str:
        """Return a new idempotency key."""
        self._keys += 1
        return f"key-{self._keys:06}"

    async def request_until_answered(self, request: Request) -> Reply | None:
        """Repeat a request until it is answered, sometimes from several programs; sometimes misuse its key later."""
        rates = self._env.rates
        copies = self._dice.randint(2, 5) if self._dice.random() < rates.copies else 1
        replies = await asyncio.gather(*(self._ask_until_answered(request) for _ in range(copies)))
        if self._dice.random() < rates.copies / 4:
            await self._misuse(request)
        return next((reply for reply in replies if reply is not None), None)

    async def read(self, tenant: str, payment_id: str) -> dict[str, Any] | None:
        """Return a payment; None without an answer."""
        reply = await self._deployment.send_request(Request(tenant=tenant, kind="read", payment_id=payment_id))
        return json.loads(reply.body) if reply is not None and reply.status == 200 else None

    async def sync(self, tenant: str, payment_id: str) -> Reply | None:
        """Request a sync of a payment."""
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
