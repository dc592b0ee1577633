"""Reads of payments, where more is to be said than the store does. They change nothing and ask no provider."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from gateway.core.facts import OperationOutcome
from gateway.core.named_outcomes import names
from gateway.core.payment import Operation
from gateway.drivers.settings import Settings
from gateway.drivers.store.reads import (
    ListedPayment,
    PaymentFilter,
    PaymentSnapshot,
    SilentFilter,
    Store,
)
from gateway.drivers.store.rows import PageRequest
from gateway.flows.payments import rejections
from gateway.flows.runtime import Gateway


async def find(gw: Gateway, tenant: str, payment_id: str) -> PaymentSnapshot:
    """A tenant's payment. Raises the same ``not_found`` for one that is missing and one that is another tenant's."""
    found = await gw.store.payment(tenant, payment_id)
    if found is None:
        raise rejections.not_found()
    return found


async def find_summary(gw: Gateway, tenant: str, payment_id: str) -> ListedPayment:
    """What is shown of a tenant's payment. Raises as ``find``."""
    listed = await gw.store.summary(tenant, payment_id)
    if listed is None:
        raise rejections.not_found()
    return listed


async def newest(
    store: Store, settings: Settings, tenants: Iterable[str], wanted: PaymentFilter
) -> Sequence[ListedPayment]:
    """A page of several tenants' payments, newest first: ids are time-ordered, so they sort across tenants as well."""
    found = [
        listed
        for tenant in tenants
        for part in _by_account(settings, tenant, wanted)
        for listed in await store.payments(tenant, part)
    ]
    return sorted(found, key=lambda listed: listed.payment.id, reverse=True)[: wanted.limit]


def _by_account(settings: Settings, tenant: str, wanted: PaymentFilter) -> Iterator[PaymentFilter]:
    """The index of a provider's references is by account: each account is read by itself."""
    if wanted.provider_reference is None or wanted.account is not None:
        yield wanted
        return
    for account in settings.tenants[tenant].accounts:
        yield replace(wanted, account=account)


async def ended_operations(
    gw: Gateway, before: PaymentSnapshot, outcomes: Sequence[OperationOutcome]
) -> Sequence[Operation]:
    """A payment's operations, where another one is reported than the open one; else none is read."""
    operation, payment = before.open_operation, before.payment
    if operation is not None and all(names(operation, one) for one in outcomes):
        return ()
    return await gw.store.operations(payment.tenant, payment.id)


async def reviews(gw: Gateway, wanted: PageRequest) -> Sequence[ListedPayment]:
    """A page of the payments under review, of all tenants in the settings, newest first."""
    return await gw.store.reviews(list(gw.settings.tenants), wanted)


async def silent(gw: Gateway, wanted: SilentFilter) -> Sequence[ListedPayment]:
    """A page of the payments that expired without a word of their provider, which cannot be asked; newest first."""
    entries = [entry for one in gw.settings.tenants.values() for entry in one.accounts.values()]
    providers = sorted({entry.provider.name for entry in entries if not entry.can_look_up})
    return await gw.store.silent(providers, wanted)
