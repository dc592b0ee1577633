"""A tenant's program that takes nothing for granted: what has no whole answer is asked again under the same key.

Its journal holds every request and every whole answer: what the gateway may never take back.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.crash.pulse import Beat
from tests.crash.world import World
from tests.house import Reply, key_of

PATIENCE = 3.0
"""Seconds for a whole answer: longer than the gateway lets a repeated request wait."""

PAUSE = 0.02
"""Seconds between two tries: a client is no flood."""

TRY_AGAIN = frozenset(
    {"request_in_progress", "operation_outcome_pending", "provider_error", "store_unavailable", "shutting_down"}
)
"""Refusals that ask for a repetition; any other one is a surprise in these stories."""


@dataclass
class Asked:
    """One changing request of a tenant and every whole answer it ever had."""

    tenant: str
    method: str
    path: str
    key: str
    body: Any
    answers: list[Reply] = field(default_factory=list)

    @property
    def settled(self) -> list[Reply]:
        """Answers that say how it ended."""
        return [answer for answer in self.answers if answer.status in (200, 201)]

    @property
    def is_taken(self) -> bool:
        """Whether the gateway ever said that it took the request."""
        return any(answer.status < 300 for answer in self.answers)

    @property
    def outcome(self) -> Any:
        """The settled answer's body, None while there is none."""
        return self.settled[-1].json if self.settled else None


@dataclass
class Client:
    """One of the tenants' programs. ``views``: payments it read, which are promises as well."""

    name: str
    world: World
    dice: random.Random
    journal: list[Asked] = field(default_factory=list)
    views: list[Any] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    unanswered: int = 0
    """Requests without a whole answer, each asked again."""
    stories: int = 0
    doing: str = ""

    async def ask(
        self, method: str, path: str, body: Any, *, tenant: str = "acme", takes_open: bool = False
    ) -> Any | None:
        """Ask for a change until it is settled; None for a refusal. ``takes_open``: a 202 is enough."""
        key = f"key-{self.name}-{self.stories}-{len(self.journal)}"
        asked = Asked(tenant, method, path, key, body)
        self.journal.append(asked)
        while True:
            self.doing = f"{method} {path} under {key}"
            reply = await self.send(asked)
            if reply.status in (200, 201) or (reply.status == 202 and takes_open):
                return reply.json
            if reply.status >= 300 and reply.json["code"] not in TRY_AGAIN:
                self.surprises.append(f"{self.doing}: {reply.text}")
                return None
            await asyncio.sleep(PAUSE)

    async def send(self, asked: Asked) -> Reply:
        """Send a journaled request until there is a whole answer, and journal it."""
        headers = {"Idempotency-Key": asked.key, "Content-Type": "application/json"}
        data = json.dumps(asked.body).encode()
        reply = await self.call(asked.method, asked.path, tenant=asked.tenant, headers=headers, data=data)
        asked.answers.append(reply)
        return reply

    async def read(self, path: str, *, tenant: str = "acme") -> Any:
        """Read something until there is a whole answer."""
        reply = await self.call("GET", path, tenant=tenant)
        if reply.status != 200:
            self.surprises.append(f"GET {path}: {reply.text}")
        return reply.json

    async def call(self, method: str, path: str, *, tenant: str, **request: Any) -> Reply:
        """One whole answer of the gateway, however often that takes."""
        headers = {"Authorization": f"Bearer {key_of(tenant)}", **request.pop("headers", {})}
        while True:
            reply = await self.visit(method, self.world.url + path, headers=headers, **request)
            if reply is not None:
                return reply
            self.unanswered += 1
            await asyncio.sleep(PAUSE)

    async def visit(self, method: str, url: str, **request: Any) -> Reply | None:
        """One try at an address of the gateway's; None when no whole answer came."""
        await self.world.up.wait()
        limit = aiohttp.ClientTimeout(total=PATIENCE)
        try:
            async with self.world.http.request(
                method, url, timeout=limit, allow_redirects=False, **request
            ) as response:
                return Reply(response.status, response.headers, await response.text())
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        finally:
            self.world.pulse.beat(Beat.ANSWERED)

    async def until(self, payment: Any, states: Collection[str]) -> Any:
        """Read a payment until it stands in one of these states."""
        while True:
            self.doing = f"waiting for {payment['id']} to be {' or '.join(states)}"
            seen = await self.read(f"/v1/payments/{payment['id']}", tenant=payment["tenant"])
            self.views.append(seen)
            if seen["state"] in states and seen["pending_operation"] is None:
                return seen
            await asyncio.sleep(PAUSE)
