"""Three tenants in one stack, each with one resource of every kind that has an id, and words of its own."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import sqlite3
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from yarl import URL

from gateway.flows import approvals
from gateway.flows.audit import Act, Actor
from tests.support.clients.psp_callbacks import post, signed_body
from tests.support.stack import GatewayStack, Reply, creditkey_body, key_of, psp_body, running_stack

TENANTS = ("acme", "globex", "initech")
OPERATORS_KEY = "gw_admin_test-key-of-the-operators"
LATER = ("refused_requests", "search_payments")
"""Tables that are written a while after what caused it."""
REQUEST_ID = "one-id-for-all"
"""Sent with every request, so that two answers can be equal to the last byte."""

VARYING = frozenset({"date"})
"""Headers that may differ between two equal answers."""


def word_of(tenant: str) -> str:
    """Return a word that is in every text of this tenant, and in no other tenant's."""
    return f"secret{hashlib.sha256(tenant.encode()).hexdigest()[:12]}word"


def three_tenants(settings: dict[str, Any]) -> None:
    """Make a third tenant; give each an account, a deposit method and a reference that no other tenant has."""
    server, tenants = settings["server"], settings["tenants"]
    server["admin"]["key_sha256"] = hashlib.sha256(OPERATORS_KEY.encode()).hexdigest()
    hooks = tenants["acme"]["webhook"]["url"].removesuffix("/acme")
    creditkey = tenants["acme"]["accounts"]["creditkey-main"]
    tenants["initech"] = copy.deepcopy(tenants["globex"])
    for name in TENANTS:
        tenant, word = tenants[name], word_of(name)
        tenant["name"] = f"{name} {word}"
        tenant["keys"] = [{"id": "k1", "sha256": hashlib.sha256(key_of(name).encode()).hexdigest()}]
        tenant["webhook"]["url"] = f"{hooks}/{name}"
        tenant["accounts"]["creditkey-main"] = copy.deepcopy(creditkey)
        tenant["accounts"]["creditkey-main"]["config"]["public_key"] = f"pk_{name}"
        tenant["accounts"][word] = copy.deepcopy(tenants["globex"]["accounts"]["psp-main"])
        tenant["deposit_methods"][f"by-{word}"] = {"label": {"en": f"Pay {word}"}, "account": word}
        tenant["request_maps"] = {f"from-{word}": {"amount": "total"}}
        tenant["reply_maps"] = {f"to-{word}": {"number": "id"}}
    settings["clocks"]["webhook_retry"] = ["0s", "1h"]


class ThreeTenants:
    """The stack, the resources of each tenant, and every answer to a tenant.

    ``ids_by_kind``: by tenant and kind. ``answers``: (tenant, request, whole answer).
    """

    def __init__(self, stack: GatewayStack) -> None:
        self.stack = stack
        self.ids_by_kind: dict[str, dict[str, list[str]]] = {}
        self.answers: list[tuple[str, str, str]] = []

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
        admin: bool = False,
    ) -> Reply:
        """Call a listener with the path unchanged; ``tenant`` sends its key, with a new idempotency key."""
        sent = {"X-Request-Id": REQUEST_ID, "Idempotency-Key": f"key-{uuid.uuid4().hex}", **(headers or {})}
        if tenant is not None:
            sent["Authorization"] = f"Bearer {key_of(tenant)}"
        url = URL((self.stack.admin_url if admin else self.stack.url) + path, encoded=True)
        async with self.stack.http.request(method, url, json=body, headers=sent, allow_redirects=False) as answer:
            reply = Reply(answer.status, answer.headers, await answer.text())
        if tenant is not None:
            self.answers.append((tenant, f"{path}{body}", f"{sorted(reply.headers.items())}{reply.text}"))
        return reply

    async def populate(self, tenant: str) -> None:
        """Give a tenant one resource of every kind: payments in several states, webhooks, operations, callbacks."""
        word = word_of(tenant)
        customer = {"id": f"C {word}", "name": f"Dana {word}"}
        texts = {"customer": customer, "metadata": {"note": word}}
        waiting = await self._new(tenant, creditkey_body(merchant_reference=f"W-{word}", **texts))
        held = await self._new(tenant, creditkey_body(merchant_reference=f"H-{word}", **texts))
        await self.stack.visit(await self.stack.approve(held))
        await self.stack.gateway.tasks.drain(10)
        await self.ask("POST", f"/v1/payments/{held['id']}/capture", {}, tenant=tenant)
        refund = await self.ask("POST", f"/v1/payments/{held['id']}/refunds", {"amount": "1.00"}, tenant=tenant)
        ended = await self._new(tenant, psp_body(merchant_reference=f"E-{word}", account=word, **texts))
        await self._call_back(tenant, ended)
        await self.stack.faults("psp", silence="after_effect", times=1)
        lost = await self.ask("POST", "/v1/payments", psp_body(account=word, **texts), tenant=tenant)
        self.ids_by_kind[tenant] = {
            "tenant": [tenant],
            "payment": [waiting["id"], held["id"], ended["id"]],
            "refund": [refund.json["id"]],
            "open operation": [lost.json["operation"]["id"]],
            "reference": [f"W-{word}", f"E-{word}"],
            "account": [word],
            "request map": [f"from-{word}"],
            "reply map": [f"to-{word}"],
            "deposit_method": [f"by-{word}"],
            "approval": [await self._approval(held["id"])],
            **await asyncio.to_thread(self._stored_ids, tenant),
        }

    async def _approval(self, payment_id: str) -> str:
        """What an operator who is gone asked for."""
        act = Act(name="approvals.request", by=Actor(key_id="gone"))
        path = "/admin/v1/reviews/{payment_id}/resolve"
        body = b'{"reason":"looked into it"}'
        gw = self.stack.gateway
        return (await approvals.request(gw, act, method="POST", path=path, target=payment_id, body=body)).id

    async def _new(self, tenant: str, body: dict[str, Any]) -> Any:
        reply = await self.ask("POST", "/v1/payments", body, tenant=tenant)
        assert reply.status == 201, reply.text
        return reply.json

    async def _call_back(self, tenant: str, payment: Any) -> None:
        """Send one valid callback and one invalid one."""
        for changes in ({}, {"sign": "0" * 40}):
            body = signed_body(self.stack, payment, tenant=tenant, account=payment["account"], **changes)
            await post(self.stack, body, tenant=tenant, account=payment["account"])

    def _stored_ids(self, tenant: str) -> dict[str, list[str]]:
        """Return the newest ids of what only the store knows; delete the oldest webhook, as retention does."""
        with closing(sqlite3.connect(self.stack.store_file)) as database, database:
            select = "SELECT {} FROM {} WHERE tenant = ? ORDER BY 1"
            kinds = {
                "operation": ("id", "operations"),
                "event": ("id", "events"),
                "delivery": ("delivery_id", "events"),
                "callback": ("id", "inbox"),
            }
            found = {
                kind: [row[0] for row in database.execute(select.format(*of), (tenant,))] for kind, of in kinds.items()
            }
            del found["operation"][-1]  # the open one
            forgotten, *found["delivery"] = found["delivery"]
            database.execute("UPDATE events SET delivery_id = NULL, status = NULL WHERE delivery_id = ?", (forgotten,))
        return {**{kind: ids[-2:] for kind, ids in found.items()}, "forgotten delivery": [forgotten]}

    def words_of_others(self, tenant: str) -> set[str]:
        """Everything that belongs to the other tenants alone: words, names, ids."""
        others = [other for other in TENANTS if other != tenant]
        named = [(kind, ids) for other in others for kind, ids in self.ids_by_kind[other].items()]
        ids = {identifier for kind, ids in named if kind != "tenant" for identifier in ids}
        return ids | {word_of(other) for other in others} | {f'"{other}"' for other in others}

    def rows(self) -> dict[str, list[Any]]:
        """Every stored row of each tenant, but for those that are written a while later."""
        with closing(sqlite3.connect(self.stack.store_file)) as database:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            owned = [table for table in tables if "tenant" in _columns(database, table) and table not in LATER]
            return {
                tenant: [
                    [table, *row]
                    for table in owned
                    for row in database.execute(f"SELECT * FROM {table} WHERE tenant = ?", (tenant,))  # noqa: S608
                ]
                for tenant in TENANTS
            }

    async def calls_to_providers(self) -> int:
        """Return how many requests the providers have received."""
        return sum([len(await self.stack.provider_requests(side)) for side in ("psp", "creditkey")])


@asynccontextmanager
async def running_three_tenants(folder: Path) -> AsyncIterator[ThreeTenants]:
    """Run a stack with three populated tenants, idle again."""
    async with running_stack(folder, change=three_tenants) as stack:
        tenants = ThreeTenants(stack)
        for tenant in TENANTS:
            await tenants.populate(tenant)
        await wait_until_idle(stack)
        yield tenants


async def wait_until_idle(stack: GatewayStack) -> None:
    """Wait until all background work is done and every webhook has arrived."""
    async with asyncio.timeout(10):
        await stack.gateway.tasks.drain(10)
        while not _is_all_delivered(stack):  # noqa: ASYNC110  # the store has no event for it
            await asyncio.sleep(0.01)


def adjacent_id(identifier: str) -> str:
    """Return an id that does not exist: the same but for its last character."""
    return identifier[:-1] + ("0" if identifier[-1] != "0" else "1")


def shown(reply: Reply) -> tuple[int, list[tuple[str, str]], str]:
    """Return an answer in comparable form: all of it but the date."""
    return (
        reply.status,
        sorted((name.lower(), value) for name, value in reply.headers.items() if name.lower() not in VARYING),
        reply.text,
    )


def webhooks_of(stack: GatewayStack, tenant: str) -> str:
    """Return everything sent to a tenant's webhook endpoint, as one text."""
    return "\n".join(
        f"{json.dumps(dict(headers))}{body.decode()}" for to, headers, body in stack.webhook_attempts if to == tenant
    )


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in database.execute(f"PRAGMA table_info({table})")}


def _is_all_delivered(stack: GatewayStack) -> bool:
    with closing(sqlite3.connect(stack.store_file)) as database:
        return database.execute("SELECT 1 FROM events WHERE status = 'pending' LIMIT 1").fetchone() is None
