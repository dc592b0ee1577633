"""A tenant's program: it repeats a request under the same key until it has a complete answer.

Its journal holds every request and every complete answer, which the gateway may never contradict.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.crash.crash_points import CrashPoint
from tests.crash.testbed import Testbed
from tests.support.stack import Reply, key_of

PATIENCE = 3.0
"""Seconds to wait for an answer: longer than the gateway lets a repeated request wait."""

PAUSE = 0.02
"""Seconds between two attempts, so that the client does not flood the gateway."""

TRY_AGAIN = frozenset(
    {"request_in_progress", "operation_outcome_pending", "provider_error", "store_unavailable", "shutting_down"}
)
"""Problem codes that ask for a repetition; no other one is expected."""


@dataclass
class JournalEntry:
    """One changing request of a tenant and every complete answer to it."""

    tenant: str
    method: str
    path: str
    key: str
    body: Any
    answers: list[Reply] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    """When its outcome was known to the tenant, repetitions included."""

    @property
    def final_answers(self) -> list[Reply]:
        """Answers that report the outcome."""
        return [answer for answer in self.answers if answer.status in (200, 201)]

    @property
    def was_accepted(self) -> bool:
        """Whether any answer was a success."""
        return any(answer.status < 300 for answer in self.answers)

    @property
    def outcome(self) -> Any:
        """The body of the last final answer, else None."""
        return self.final_answers[-1].json if self.final_answers else None


@dataclass
class Client:
    """A program of a tenant. ``shown_payments``: payments it read, which are promises as well."""

    name: str
    testbed: Testbed
    dice: random.Random
    journal: list[JournalEntry] = field(default_factory=list)
    shown_payments: list[Any] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    unanswered: int = 0
    """Requests without a complete answer; each was repeated."""
    workloads_started: int = 0
    doing: str = ""

    async def ask(
        self, method: str, path: str, body: Any, *, tenant: str = "acme", takes_open: bool = False
    ) -> Any | None:
        """Request a change until its outcome is known; None for a refusal. ``takes_open``: a 202 is enough."""
        key = f"key-{self.name}-{self.workloads_started}-{len(self.journal)}"
        entry = JournalEntry(tenant, method, path, key, body)
        self.journal.append(entry)
        while True:
            self.doing = f"{method} {path} under {key}"
            reply = await self.send(entry)
            if reply.status in (200, 201) or (reply.status == 202 and takes_open):
                entry.ended = time.monotonic()
                return reply.json
            if reply.status >= 300 and reply.json["code"] not in TRY_AGAIN:
                self.unexpected.append(f"{self.doing}: {reply.text}")
                return None
            await asyncio.sleep(PAUSE)

    async def send(self, entry: JournalEntry) -> Reply:
        """Send a request of the journal until it has a complete answer, and record the answer."""
        headers = {"Idempotency-Key": entry.key, "Content-Type": "application/json"}
        data = json.dumps(entry.body).encode()
        reply = await self.call(entry.method, entry.path, tenant=entry.tenant, headers=headers, data=data)
        entry.answers.append(reply)
        return reply

    async def read(self, path: str, *, tenant: str = "acme") -> Any:
        """Read until there is a complete answer; a database that is down is one that asks for a repetition."""
        while (reply := await self.call("GET", path, tenant=tenant)).status == 503:  # noqa: ASYNC110  # another process
            await asyncio.sleep(PAUSE)
        if reply.status != 200:
            self.unexpected.append(f"GET {path}: {reply.text}")
        return reply.json

    async def call(self, method: str, path: str, *, tenant: str, **request: Any) -> Reply:
        """Repeat a request until the gateway answers it completely."""
        headers = {"Authorization": f"Bearer {key_of(tenant)}", **request.pop("headers", {})}
        while True:
            reply = await self.visit(method, self.testbed.url + path, headers=headers, **request)
            if reply is not None:
                return reply
            self.unanswered += 1
            await asyncio.sleep(PAUSE)

    async def visit(self, method: str, url: str, **request: Any) -> Reply | None:
        """Send one request to the gateway; None without a complete answer."""
        await self.testbed.up.wait()
        limit = aiohttp.ClientTimeout(total=PATIENCE)
        try:
            async with self.testbed.http.request(
                method, url, timeout=limit, allow_redirects=False, **request
            ) as response:
                return Reply(response.status, response.headers, await response.text())
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        finally:
            self.testbed.crash_points.reached(CrashPoint.CLIENT_ANSWERED)

    async def until(self, payment: Any, states: Collection[str]) -> Any:
        """Read a payment until it is in one of these states."""
        while True:
            self.doing = f"waiting for {payment['id']} to be {' or '.join(states)}"
            seen = await self.read(f"/v1/payments/{payment['id']}", tenant=payment["tenant"])
            self.shown_payments.append(seen)
            if seen["state"] in states and seen["pending_operation"] is None:
                return seen
            await asyncio.sleep(PAUSE)
