"""Deliver webhooks to tenants: which go out when, until each is delivered or a dead letter.

A webhook is made in the transaction of the change it reports, so none is lost. Tenants are served side by side, each by
a task of its own: a dead endpoint delays nobody else. The store keeps the order: it returns only the webhooks whose
predecessors are done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from gateway.core.errors import Conflict, Unavailable
from gateway.core.signing import sha256_hex
from gateway.drivers.clock import Clock, milliseconds
from gateway.drivers.settings import WebhookTarget
from gateway.drivers.store import deliveries
from gateway.drivers.store.deliveries import DeliveryRow
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import Statement
from gateway.flows import claims
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.runtime import Current, Gateway, log
from gateway.flows.tasks import backoff, described, first_of
from gateway.flows.webhooks import due
from gateway.flows.webhooks.attempt import Outcome, attempt

MAX_CONCURRENT_ATTEMPTS = 8
"""Attempts under way at one endpoint."""

MAX_IDLE_SECONDS = 300.0
"""A tenant's queue is read again after this time, even if nothing woke it."""

STORE_RETRY_MAX_SECONDS = 60.0
"""The longest pause between attempts to reach a store that fails, and after an error of the gateway itself."""


async def run(current: Current) -> None:
    """Deliver until cancelled, for each tenant from its first webhook on; also for one that comes with new settings."""
    store_check, timers = StoreCheck(current.gateway.store, current.gateway.clock), current.gateway.webhook_timers
    served: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        group.create_task(_look(current), name="tenants with webhooks")
        while True:
            current.changed.clear()
            timers.added.clear()
            served = {tenant: task for tenant, task in served.items() if not task.done()}
            for tenant in sorted(one for one in timers if one not in served and has_owner(current.gateway, one)):
                queue = TenantQueue(current, tenant, store_check)
                served[tenant] = group.create_task(queue.serve(group), name=f"webhooks of {tenant}")
            await first_of(current.changed.wait(), timers.added.wait())


async def wake(gw: Gateway) -> None:
    """Wake those who have webhooks in the store. Raises ``Unavailable``."""
    for owner, due_at in (await gw.store.queues.webhooks_due()).items():
        gw.webhook_timers[owner].no_later_than(due_at)


async def _look(current: Current) -> None:
    """Wake whom nothing else wakes, until cancelled: at the start all who have webhooks, and now and then."""
    pauses = backoff(STORE_RETRY_MAX_SECONDS)
    while True:
        try:
            await wake(current.gateway)
            pauses, pause = backoff(STORE_RETRY_MAX_SECONDS), MAX_IDLE_SECONDS
        except Exception as fault:  # a worker's loop: it looks again
            log.error("cannot look for webhooks that are due", extra=described(fault))
            pause = next(pauses)
        await current.gateway.clock.sleep(pause)


def has_owner(gw: Gateway, owner: str) -> bool:
    """Whether webhooks of this owner are delivered: a tenant, or operators under a name for each of their addresses."""
    return owner in gw.settings.tenants or owner in gw.settings.operator_webhooks


def webhook_of(gw: Gateway, owner: str) -> WebhookTarget | None:
    """Where an owner listens; None for one without an endpoint, whose webhooks are kept until it has one."""
    settings = gw.settings
    return settings.tenants[owner].webhook if owner in settings.tenants else settings.operator_webhooks.get(owner)


class StoreCheck:
    """Whether outcomes can be stored now; all tenants share what was learnt."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._is_doubted = True

    def failed(self) -> None:
        """A write has failed: prove the store before the next attempt."""
        self._is_doubted = True

    async def prove(self, due: Sequence[DeliveryRow]) -> None:
        """Raise ``Unavailable`` where the outcome of an attempt could not be stored: it is not made then.

        A first attempt needs no proof: the write that made the webhook has just succeeded.
        """
        if due and (self._is_doubted or any(row.attempts for row in due)):
            await self._store.prove_writable(self._clock.now(), due[0].tenant)
            self._is_doubted = False


class TenantQueue:
    """One tenant's webhooks. ``under_way``: ids of those being sent, until their outcomes are stored.

    ``line``: what is due and was read, and waits for one of them to end; ``erasures``: how many payments had been
    erased when it was read.
    """

    def __init__(self, current: Current, tenant: str, store_check: StoreCheck) -> None:
        self.current, self.tenant, self.store_check = current, tenant, store_check
        self.timer = current.gateway.webhook_timers[tenant]
        self.under_way: set[str] = set()
        self.line: deque[DeliveryRow] = deque()
        self.erasures = 0

    async def serve(self, group: asyncio.TaskGroup) -> None:
        """Read the queue, start what is due, wait until something is; until the tenant has left the settings.

        What is under way then ends first: for a tenant that comes back nothing is sent twice.
        """
        pauses = backoff(STORE_RETRY_MAX_SECONDS)
        while has_owner(self.gw, self.tenant) or self.under_way:
            self.timer.reset(self._now() + int(MAX_IDLE_SECONDS * 1000))
            try:
                later = await self._start_due(self.gw, group)
                pauses = backoff(STORE_RETRY_MAX_SECONDS)
            except Exception as fault:  # a worker's loop: one tenant's fault must not stop the others' deliveries
                trace = None if isinstance(fault, Unavailable) else fault
                extra = {"tenant": self.tenant, **described(fault)}
                log.error("a tenant's webhooks wait", extra=extra, exc_info=trace)
                await self.gw.clock.sleep(next(pauses))
            else:
                await self.gw.tasks.rest(self.timer, later)

    @property
    def gw(self) -> Gateway:
        """The gateway as it is now."""
        return self.current.gateway

    async def _start_due(self, gw: Gateway, group: asyncio.TaskGroup) -> int:
        """Start what is due; return when more is (Unix milliseconds)."""
        due, later = await self.read_due(gw)
        for webhook, row in due:
            self.under_way.add(row.id)
            group.create_task(self._deliver(gw, webhook, row))
        return later

    async def read_due(self, gw: Gateway) -> tuple[list[tuple[WebhookTarget, DeliveryRow]], int]:
        """What goes out now, as far as the concurrency allows, and when the next is due (Unix milliseconds)."""
        webhook, latest = webhook_of(gw, self.tenant), self.timer.at
        room = MAX_CONCURRENT_ATTEMPTS - len(self.under_way)
        if webhook is None or room == 0:
            return [], latest
        if self.erasures != gw.memory.erasures:
            self.line.clear()  # what was read may still name a customer who is erased
        if not self.line:
            self.erasures = gw.memory.erasures
            latest = await self._read_line(sha256_hex(webhook.url), room, latest)
        rows = [self.line.popleft() for _ in range(min(room, len(self.line)))]
        if not gw.node.is_shared:  # a claim was a write
            await self.store_check.prove(rows)
        return [(webhook, row) for row in rows], latest

    async def _read_line(self, url_sha256: str, room: int, latest: int) -> int:
        """Read what is due; return when more is, ``latest`` at the latest (Unix milliseconds)."""
        # Under way before the read: it shows an attempt that ends meanwhile as it was, and it would be sent again.
        endpoint = due.Endpoint(self.tenant, url_sha256, tuple(self.under_way))
        rows, later = await due.find(self.gw, endpoint, room)
        if not rows and later is None and not self.under_way:
            await self._mark_dead(url_sha256)
        self.line.extend(rows)
        return latest if later is None else later

    async def _deliver(self, gw: Gateway, webhook: WebhookTarget, row: DeliveryRow) -> None:
        try:
            outcome = await _traced_attempt(gw, webhook, row)
            released = claims.release(gw, "webhook", self.tenant, row.id, otherwise="claim")
            await self._store([*outcome.rows, *released])
            if not outcome.is_delivered:
                self.line.clear()  # the endpoint may be disabled now
                await self._report_disabled(gw, webhook, outcome)
        except Exception:  # an error of the gateway in one webhook: it waits, the others go on
            log.exception("a delivery failed", extra={"tenant": self.tenant, "payment_id": row.payment_id})
            await self.gw.clock.sleep(STORE_RETRY_MAX_SECONDS)
        finally:
            self.under_way.discard(row.id)
            self.timer.no_later_than(0)

    async def _store(self, outcome: list[Statement]) -> None:
        """Store an outcome, however long that takes: nothing is sent twice because the store fails."""
        for pause in backoff(STORE_RETRY_MAX_SECONDS):
            try:
                await self.gw.store.commit(self.tenant, outcome)
            except Conflict:  # this process could not renew its lease in time: another has the webhook, and its outcome
                log.warning("an outcome came too late", extra={"tenant": self.tenant})
                return
            except Unavailable as problem:
                self.store_check.failed()
                log.error("an outcome cannot be stored", extra={"tenant": self.tenant, "problem": str(problem)})
                await self.gw.clock.sleep(pause)
            else:
                return

    async def _report_disabled(self, gw: Gateway, webhook: WebhookTarget, outcome: Outcome) -> None:
        """Report the endpoint if this attempt has disabled it."""
        known = await gw.store.deliveries.endpoint(self.tenant, sha256_hex(webhook.url))
        if known is not None and known.disabled_at == milliseconds(outcome.at):
            report(gw, Occurrence.ENDPOINT_DISABLED, tenant=self.tenant, reason=known.reason)

    async def _mark_dead(self, endpoint: str) -> None:
        """Make dead letters of what waits for a disabled endpoint, also of what a restart left waiting."""
        while await self._is_disabled(endpoint) and await self.gw.store.deliveries.has_pending(self.tenant):
            held = deliveries.hold_disabled(self.tenant, endpoint)
            await self.gw.store.commit(self.tenant, [held, deliveries.mark_dead(self.tenant, endpoint)])

    async def _is_disabled(self, endpoint: str) -> bool:
        """Asked before every batch: the tenant may enable it meanwhile."""
        known = await self.gw.store.deliveries.endpoint(self.tenant, endpoint)
        return known is not None and known.disabled_at is not None

    def _now(self) -> int:
        return milliseconds(self.gw.clock.now())


async def _traced_attempt(gw: Gateway, webhook: WebhookTarget, row: DeliveryRow) -> Outcome:
    """One attempt, in a span where somebody wants one."""
    made = attempt(gw, webhook, row)
    if gw.traces is None:
        return await made
    about = {"tenant": row.tenant, "payment_id": row.payment_id}
    return await gw.traces.over("webhook delivery", made, _outcome_word, **about)


def _outcome_word(made: Outcome) -> str:
    return "delivered" if made.is_delivered else "failed"
