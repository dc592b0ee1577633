"""Deliver webhooks to tenants: Standard Webhooks 1.0, the same bytes and id on every try, until delivered or dead.

A webhook was made in the transaction of the change it tells, so none is lost. Each tenant's are sent in the order
they were made, apart from every other tenant's: a dead endpoint delays nobody else.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta

import standardwebhooks

from gateway.core.errors import NotSent, OutcomeUnknown, Unavailable
from gateway.core.outcome import retry_after
from gateway.core.views import rfc3339
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.settings import Webhook
from gateway.drivers.store import statements
from gateway.drivers.store.queries import DeliveryRow
from gateway.drivers.store.statements import milliseconds
from gateway.flows.context import Gateway, log

AT_ONCE = 20
"""Rows of one tenant read at a time."""

LONGEST_PAUSE = 60.0
"""Seconds after which the outbox looks again, whatever it was told."""

LONGEST_WISH = 86400.0
"""Seconds a ``Retry-After`` is obeyed for: an absurd one must neither bury a webhook nor leave the calendar."""

JITTER = 0.2
"""Each pause is longer or shorter by at most this part."""


async def run(gw: Gateway) -> None:
    """Deliver for all tenants until cancelled."""
    busy: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            gw.webhooks_due.clear()
            pause = LONGEST_PAUSE
            try:
                now = milliseconds(gw.clock.now())
                for tenant, due in await gw.store.tenants_with_deliveries():
                    if webhook_of(gw, tenant) is None or (tenant in busy and not busy[tenant].done()):
                        continue
                    if due <= now:
                        busy[tenant] = group.create_task(_deliver_for(gw, tenant))
                    else:
                        pause = min(pause, (due - now) / 1000)
            except Unavailable as problem:
                log.error("the outbox cannot read the store", extra={"problem": str(problem)})
                pause = 1.0
            await gw.until(gw.webhooks_due, pause)


async def deliver_due(gw: Gateway, tenant: str) -> int:
    """Send what is due for one tenant, once; return how many tries were made."""
    webhook = webhook_of(gw, tenant)
    if webhook is None:
        return 0
    rows = await gw.store.due_deliveries(tenant, gw.clock.now(), AT_ONCE)
    for row in rows:
        await attempt(gw, webhook, row)
    return len(rows)


def webhook_of(gw: Gateway, tenant: str) -> Webhook | None:
    """Where a tenant listens; what waits for one that does not (any more) is kept until it does."""
    return gw.settings.tenants[tenant].webhook if tenant in gw.settings.tenants else None


async def attempt(gw: Gateway, webhook: Webhook, row: DeliveryRow) -> None:
    """Make one try and store its outcome."""
    request = signed(webhook, row, gw.clock.now())
    timeouts = gw.settings.timeouts
    response: HttpResponse | None = None
    error: str | None = None
    try:
        response = await gw.send(request, total=timeouts.webhook_total, connect=timeouts.provider_connect)
    except (NotSent, OutcomeUnknown) as problem:
        error = str(problem)
    now = gw.clock.now()
    tried = {
        "at": rfc3339(now),
        "status_code": response.status if response is not None else None,
        "error": error,
    }
    attempts = [*row.attempts, tried]
    status, due = outcome_of(gw, response, len(attempts), now)
    await gw.store.commit(
        [statements.update_delivery(row.tenant, row.id, status=status, next_attempt_at=due, attempts=attempts)]
    )


def outcome_of(gw: Gateway, response: HttpResponse | None, tries: int, now: datetime) -> tuple[str, datetime | None]:
    """What a try means: delivered on any 2xx, the next try by the schedule, dead after the last one."""
    if response is not None and 200 <= response.status < 300:
        return "delivered", None
    schedule = gw.settings.clocks.webhook_retry
    if tries >= len(schedule):
        return "dead", None
    pause = schedule[tries].total_seconds() * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # spreads load, hides nothing
    wished = retry_after(response) if response is not None else None
    return "pending", now + timedelta(seconds=max(pause, min(wished or 0, LONGEST_WISH)))


def signed(webhook: Webhook, row: DeliveryRow, at: datetime) -> HttpRequest:
    """The request of one try: stored bytes, the event's id, this moment, one signature per active secret."""
    signatures = " ".join(
        standardwebhooks.Webhook(secret.reveal()).sign(row.event_id, at, row.body) for secret in webhook.secrets
    )
    headers: Mapping[str, str] = {
        "content-type": "application/json",
        "webhook-id": row.event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures,
    }
    return HttpRequest(method="POST", url=webhook.url, headers=tuple(headers.items()), body=row.body.encode())


async def _deliver_for(gw: Gateway, tenant: str) -> None:
    try:
        while await deliver_due(gw, tenant):
            pass
    except Unavailable as problem:
        log.error("a delivery's outcome could not be stored", extra={"tenant": tenant, "problem": str(problem)})
        await gw.clock.sleep(1.0)
    except Exception:  # a worker's loop: one tenant's fault must not stop the others' deliveries
        log.exception("delivering failed", extra={"tenant": tenant})
        await gw.clock.sleep(1.0)
    finally:
        gw.webhooks_due.set()
