"""Redeliver webhooks at the request of tenants and operators, test an endpoint, enable it again.

A webhook that is sent again keeps its id, its bytes and the log of its attempts, and begins a new schedule.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.core.errors import TenantError
from gateway.core.ids import delivery_id
from gateway.core.payment import WEBHOOK_TEST
from gateway.core.signing import sha256_hex
from gateway.core.views import webhook_test_body
from gateway.drivers.clock import milliseconds
from gateway.drivers.settings import WebhookTarget
from gateway.drivers.store import deliveries, statements
from gateway.drivers.store.deliveries import DeliveryRow, Endpoint, RedeliveryFilter
from gateway.drivers.store.statements import NewWebhook, Statement
from gateway.flows import audit
from gateway.flows.audit import Act
from gateway.flows.runtime import Gateway
from gateway.flows.storage import require_room
from gateway.flows.webhooks.dispatch import webhook_of

DISABLED = "the webhook endpoint is disabled; enable it first: "

BATCH_SIZE = 200
"""Deliveries restarted in one transaction."""

HEALTHY = Endpoint(failing_since=None, disabled_at=None, reason=None)


class TenantEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's endpoint: its address and secrets, and whether it works."""

    webhook: WebhookTarget
    state: Endpoint

    @property
    def key(self) -> str:
        """What the store knows it by."""
        return sha256_hex(self.webhook.url)


class Redelivery(msgspec.Struct, frozen=True, kw_only=True):
    """How many webhooks of a tenant are sent again, or would be; ``problem``: why they are not."""

    tenant: str
    count: int
    problem: str | None = None


async def endpoint_of(gw: Gateway, tenant: str) -> TenantEndpoint:
    """A tenant's endpoint. Raises ``not_found`` when the settings name none."""
    webhook = webhook_of(gw, tenant)
    if webhook is None:
        raise TenantError("not_found", "this tenant has no webhook endpoint: the operators add one to its settings")
    return TenantEndpoint(
        webhook=webhook, state=await gw.store.deliveries.endpoint(tenant, sha256_hex(webhook.url)) or HEALTHY
    )


async def redeliver_one(gw: Gateway, tenant: str, delivery_id: str, act: Act | None = None) -> DeliveryRow:
    """Send one webhook again, delivered or not. ``act``: for the audit trail, where an operator asked for it.

    Raises ``not_found`` and ``invalid_state``.
    """
    found = await _find(gw, tenant, delivery_id)
    await _open_endpoint(gw, tenant, act)
    about = {"tenant": tenant, "payment_id": found.payment_id, "subject": delivery_id}
    await _send(gw, tenant, [delivery_id], *([] if act is None else [audit.entry(gw, act, **about)]))
    return await _find(gw, tenant, delivery_id)


async def redeliver_many(gw: Gateway, tenant: str, wanted: RedeliveryFilter, act: Act | None = None) -> int:
    """Send all wanted webhooks again; return how many. ``act`` as of ``redeliver_one``.

    Raises ``not_found`` and ``invalid_state``.
    """
    await _open_endpoint(gw, tenant, act)
    count, after = 0, ""
    audited = [] if act is None else [audit.entry(gw, act, tenant=tenant)]
    while page := await gw.store.deliveries.ids_of(tenant, wanted, after=after, limit=BATCH_SIZE):
        await _send(gw, tenant, page, *audited)
        count, after, audited = count + len(page), page[-1], []
    return count


async def redeliver_range(
    gw: Gateway, tenants: Sequence[str], wanted: RedeliveryFilter, act: Act, *, dry_run: bool
) -> list[Redelivery]:
    """Send the wanted webhooks of several tenants again; a tenant that cannot take them says why."""
    done = []
    for tenant in tenants:
        count, problem = await gw.store.deliveries.count(tenant, wanted), None
        try:
            if count and not dry_run:
                count = await redeliver_many(gw, tenant, wanted, act)
            elif count:
                await _open_endpoint(gw, tenant, act)
        except TenantError as refusal:
            problem = refusal.detail
        if count:
            done.append(Redelivery(tenant=tenant, count=count, problem=problem))
    return done


async def send_test(gw: Gateway, tenant: str) -> DeliveryRow:
    """Send a test webhook the way all go. Raises ``not_found``, ``invalid_state``, and where there is no room."""
    await require_room(gw, gw.tenant(tenant))
    await _open_endpoint(gw, tenant, None)
    now, event_id = gw.clock.now(), gw.new_id("evt")
    at, body = milliseconds(now), webhook_test_body(WEBHOOK_TEST, now).decode()
    webhook = NewWebhook(body=body, due_at=at, created_at=at)
    await gw.store.commit(tenant, [statements.insert_test(event_id, tenant, WEBHOOK_TEST, webhook)])
    gw.webhook_timers[tenant].no_later_than(0)
    return await _find(gw, tenant, delivery_id(event_id))


async def enable(gw: Gateway, tenant: str, *, redeliver: bool, act: Act | None = None) -> int:
    """Send to a disabled endpoint again. ``redeliver``: also what it missed meanwhile; returns how many.

    ``act`` as of ``redeliver_one``. Raises ``not_found``.
    """
    endpoint = await endpoint_of(gw, tenant)
    held = deliveries.hold_disabled(tenant, endpoint.key)
    missed = deliveries.mark_dead(tenant, endpoint.key)  # also what was made a moment ago
    audited = [] if act is None else [audit.entry(gw, act, tenant=tenant)]
    await gw.store.commit(tenant, [held, missed, deliveries.enable_endpoint(tenant, endpoint.key), *audited])
    gw.webhook_timers[tenant].no_later_than(0)
    return await redeliver_many(gw, tenant, RedeliveryFilter(status="dead", died_of="disabled")) if redeliver else 0


async def _send(gw: Gateway, tenant: str, delivery_ids: Sequence[str], *rows: Statement) -> None:
    await gw.store.commit(tenant, [deliveries.restart_schedule(tenant, delivery_ids, gw.clock.now()), *rows])
    gw.webhook_timers[tenant].no_later_than(0)


async def _find(gw: Gateway, tenant: str, delivery_id: str) -> DeliveryRow:
    found = await gw.store.deliveries.find(tenant, delivery_id)
    if found is None:
        raise TenantError("not_found", "there is no such delivery")
    return found


async def _open_endpoint(gw: Gateway, tenant: str, act: Act | None) -> TenantEndpoint:
    endpoint = await endpoint_of(gw, tenant)
    if endpoint.state.disabled_at is not None:
        how = "POST /v1/webhooks/enable" if act is None else f"gateway endpoints enable {tenant}"
        raise TenantError("invalid_state", f"{DISABLED}{how}")
    return endpoint
