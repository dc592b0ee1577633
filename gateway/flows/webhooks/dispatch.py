"""Deliver webhooks to tenants: which go out when, until each is delivered or a dead letter.

A webhook was made in the transaction of the change it tells, so none is lost. Tenants are served side by side, each
by a task of its own: a dead endpoint delays nobody else. The store keeps the order: what may not go out yet does not
stand in the line it shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.core.errors import Unavailable
from gateway.core.signing import sha256_hex
from gateway.drivers.settings import Webhook
from gateway.drivers.store import webhooks
from gateway.drivers.store.statements import Statement, milliseconds
from gateway.drivers.store.webhooks import DeliveryRow
from gateway.flows.runtime import Gateway, doubling, log
from gateway.flows.webhooks.attempt import attempt

AT_ONCE = 8
"""Tries under way at one endpoint."""

LONGEST_PAUSE = 300.0
"""Seconds after which a tenant's line is looked at again, whatever was told."""

SICK_PAUSE = 60.0
"""The most seconds between tries to reach a store that fails; what failed for a fault of ours waits so long."""

NEWCOMERS = 60.0
"""Seconds after which a tenant that came with new settings is served."""

BURIED_AT_ONCE = 500
"""Dead letters made in one transaction, which others wait for."""


class Outbox:
    """What the tenants' tasks share. ``is_store_doubted``: its last write failed, or none was seen to succeed yet."""

    def __init__(self, gw: Gateway) -> None:
        self.gw = gw
        self.is_store_doubted = True


async def run(gw: Gateway) -> None:
    """Deliver for all tenants until cancelled; also for one that comes with new settings."""
    outbox = Outbox(gw)
    served: set[str] = set()
    async with asyncio.TaskGroup() as group:
        while True:
            for tenant in sorted(set(gw.settings.tenants) - served):
                served.add(tenant)
                group.create_task(Line(outbox, tenant).serve(group), name=f"webhooks of {tenant}")
            await gw.clock.sleep(NEWCOMERS)


def webhook_of(gw: Gateway, tenant: str) -> Webhook | None:
    """Where a tenant listens; what waits for one that does not (any more) is kept until it does."""
    return gw.settings.tenants[tenant].webhook if tenant in gw.settings.tenants else None


class Line:
    """One tenant's webhooks. ``under_way``: ids of those being tried, until their outcomes are stored."""

    def __init__(self, outbox: Outbox, tenant: str) -> None:
        self.outbox, self.gw, self.tenant = outbox, outbox.gw, tenant
        self.alarm = outbox.gw.webhook_alarms[tenant]
        self.under_way: set[str] = set()

    async def serve(self, group: asyncio.TaskGroup) -> None:
        """Look, start what is due, wait until something is; forever."""
        pauses = doubling(SICK_PAUSE)
        while True:
            self.alarm.set(self._now() + int(LONGEST_PAUSE * 1000))
            try:
                due, later = await self.look()
                for webhook, row in due:
                    self.under_way.add(row.id)
                    group.create_task(self._try(webhook, row))
                pauses = doubling(SICK_PAUSE)
            except Exception as fault:  # a worker's loop: one tenant's fault must not stop the others' deliveries
                trace = None if isinstance(fault, Unavailable) else fault
                log.error(
                    "a tenant's webhooks wait",
                    extra={"tenant": self.tenant, "kind": type(fault).__name__},
                    exc_info=trace,
                )
                await self.gw.clock.sleep(next(pauses))
            else:
                await self.gw.rest(self.alarm, later)

    async def look(self) -> tuple[list[tuple[Webhook, DeliveryRow]], int]:
        """What goes out now, as much as there is room for, and when the next will be due (Unix milliseconds)."""
        webhook, far = webhook_of(self.gw, self.tenant), self.alarm.at
        room = AT_ONCE - len(self.under_way)
        if webhook is None or room == 0:
            return [], far
        before = frozenset(self.under_way)  # one that ends while we read is shown as it was
        endpoint = sha256_hex(webhook.url)
        rows = await self.gw.store.webhooks.line(self.tenant, endpoint, AT_ONCE + 1)
        if not rows:
            await self._bury(endpoint)
        now = self._now()
        moments = [(row.next_attempt_at or 0, row) for row in rows if row.id not in before]
        due = [row for at, row in moments if at <= now][:room]
        await self._prove_store(due)
        return [(webhook, row) for row in due], min((at for at, _ in moments if at > now), default=far)

    async def _prove_store(self, due: Sequence[DeliveryRow]) -> None:
        """Send nothing whose outcome could not be kept. A first try follows a write that has just succeeded."""
        if due and (self.outbox.is_store_doubted or any(row.attempts for row in due)):
            await self.gw.store.prove_writable(self.gw.clock.now())
            self.outbox.is_store_doubted = False

    async def _try(self, webhook: Webhook, row: DeliveryRow) -> None:
        try:
            await self._keep(await attempt(self.gw, webhook, row))
        except Exception:  # a fault of ours in one webhook: it waits, the others go on
            log.exception("a delivery failed", extra={"tenant": self.tenant, "payment_id": row.payment_id})
            await self.gw.clock.sleep(SICK_PAUSE)
        finally:
            self.under_way.discard(row.id)
            self.alarm.no_later_than(0)

    async def _keep(self, outcome: list[Statement]) -> None:
        """Store an outcome however long that takes: what was sent is not sent again because the store is sick."""
        for pause in doubling(SICK_PAUSE):
            try:
                await self.gw.store.commit(outcome)
            except Unavailable as problem:
                self.outbox.is_store_doubted = True
                log.error("an outcome cannot be stored", extra={"tenant": self.tenant, "problem": str(problem)})
                await self.gw.clock.sleep(pause)
            else:
                return

    async def _bury(self, endpoint: str) -> None:
        """Make dead letters of what waits for an endpoint that was disabled, also of what a stop left waiting."""
        while await self._is_disabled(endpoint) and await self.gw.store.webhooks.are_waiting(self.tenant):
            log.warning("a webhook endpoint is disabled", extra={"tenant": self.tenant})
            await self.gw.store.commit([webhooks.bury(self.tenant, endpoint, BURIED_AT_ONCE)])

    async def _is_disabled(self, endpoint: str) -> bool:
        """Asked before every step: it may be enabled meanwhile."""
        known = await self.gw.store.webhooks.endpoint(self.tenant, endpoint)
        return known is not None and known.disabled_at is not None

    def _now(self) -> int:
        return milliseconds(self.gw.clock.now())
