"""What is read of payments: one, a list, its refunds, its events. Changes nothing and asks no provider."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.payment import Operation, PaymentEvent
from gateway.drivers.store.reads import ListedPayment, PaymentFilter, PaymentSnapshot
from gateway.drivers.store.rows import PageRequest
from gateway.flows.payments import rejections
from gateway.flows.runtime import Gateway


async def find(gw: Gateway, tenant: str, payment_id: str) -> PaymentSnapshot:
    """A tenant's payment. Raises the same ``not_found`` for one that is missing and one that is another tenant's."""
    loaded = await gw.store.payment(tenant, payment_id)
    if loaded is None:
        raise rejections.not_found()
    return loaded


async def find_summary(gw: Gateway, tenant: str, payment_id: str) -> ListedPayment:
    """What is shown of a tenant's payment. Raises as ``find``."""
    listed = await gw.store.summary(tenant, payment_id)
    if listed is None:
        raise rejections.not_found()
    return listed


async def payments(gw: Gateway, tenant: str, wanted: PaymentFilter) -> Sequence[ListedPayment]:
    """A page of a tenant's payments, newest first."""
    return await gw.store.payments(tenant, wanted)


async def refunds(gw: Gateway, tenant: str, payment_id: str, wanted: PageRequest) -> Sequence[Operation]:
    """A page of a payment's refunds, oldest first."""
    return await gw.store.refunds(tenant, payment_id, wanted)


async def events(gw: Gateway, tenant: str, payment_id: str, wanted: PageRequest) -> Sequence[tuple[str, PaymentEvent]]:
    """A page of a payment's timeline, oldest first: ids and events."""
    return await gw.store.events(tenant, payment_id, wanted)
