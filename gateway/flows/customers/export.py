"""Everything kept about one payment of a customer, read together."""

from __future__ import annotations

import msgspec

from gateway.core.payment import Operation, PaymentEvent
from gateway.drivers.store.deliveries import DeliveryRow
from gateway.drivers.store.inbox import StoredCallback
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows.runtime import Gateway


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A payment and all that was recorded about it, each list oldest first."""

    snapshot: PaymentSnapshot
    operations: list[Operation]
    events: list[tuple[str, PaymentEvent]]
    webhooks: list[DeliveryRow]
    callbacks: list[StoredCallback]


async def kept_about(gw: Gateway, snapshot: PaymentSnapshot) -> Kept:
    """Read what is kept about a payment."""
    tenant, payment_id = snapshot.payment.tenant, snapshot.payment.id
    found = [await gw.store.inbox.find([tenant], row[0]) for row in await gw.store.inbox.of_payment(tenant, payment_id)]
    return Kept(
        snapshot=snapshot,
        operations=await gw.store.operations(tenant, payment_id),
        events=await gw.store.events(tenant, payment_id),
        webhooks=await gw.store.deliveries.of_payment(tenant, payment_id),
        callbacks=[row for row in found if row is not None],
    )
