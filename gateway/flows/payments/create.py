"""Create a payment: ``idempotency.run`` calls ``plan_create``, which checks it and makes its first operation."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from gateway.core.commands import Checkout, Customer, Kind, Order
from gateway.core.errors import Conflict
from gateway.core.money import Money
from gateway.core.payment import Operation, Payment, Status
from gateway.core.request_bodies import CreateBody
from gateway.drivers.settings import AccountEntry, Tenant
from gateway.drivers.store import statements
from gateway.flows import restore
from gateway.flows.payments import idempotency, lookup
from gateway.flows.payments.create_validation import check_create, note_charges
from gateway.flows.payments.idempotency import Answer, Claim
from gateway.flows.payments.intent import (
    Submission,
    account_members,
    new_operation,
    on_account,
    submission_of_create,
)
from gateway.flows.payments.rejections import duplicate_reference
from gateway.flows.runtime import Gateway
from gateway.flows.storage import require_disk


async def create(gw: Gateway, tenant: Tenant, claim: Claim, body: CreateBody) -> Answer:
    """Create a payment; once it is answered the payment exists, whatever the provider says.

    Raises ``TenantError``, ``ProviderError`` or ``Unavailable``, and then there is no payment."""
    # Only a login, or a restored store, makes planning ask a provider.
    asks = tenant.logs_in or gw.restored_at is not None
    try:
        return await idempotency.run(gw, claim, partial(plan_create, gw, tenant, claim, body), asks_provider=asks)
    except Conflict:  # the reference belongs to another payment; every other conflict is tried again by ``run``
        route, _ = check_create(gw, tenant, body, claim.idempotency_key)
        holder = await gw.store.reference_owner(tenant.id, route.entry.name, body.merchant_reference)
        raise duplicate_reference(route.entry, holder) from None


async def plan_create(gw: Gateway, tenant: Tenant, claim: Claim, body: CreateBody) -> Submission:
    """Choose the account and make the payment's first operation. Raises ``TenantError`` or ``ProviderError``."""
    require_disk(gw, tenant)
    route, money = check_create(gw, tenant, body, claim.idempotency_key)
    note_charges(route.entry, body.order)
    payment = new_payment(gw, route.entry, body, money)
    found_on = None
    if gw.restored_at is not None:
        found_on = await find_order_from_before_restore(gw, payment, route.entry, *route.fallback)
        payment = payment if found_on is None else on_account(gw, payment, found_on)
    key, at = claim.idempotency_key, payment.created_at
    operation = new_operation(gw, payment, Kind.CREATE, at=at, idempotency_key=key)
    rows = [statements.claim_reference(payment, grace_began_before=gw.settings.clocks.grace_began(at))]
    if found_on is not None:
        return await submission_of_create(gw, found_on, payment, mark_unknown(operation), rows=rows)
    return await submission_of_create(gw, route.entry, payment, operation, rows=rows, fallback=route.fallback)


def new_payment(gw: Gateway, entry: AccountEntry, body: CreateBody, money: Money) -> Payment:
    """The payment in version 1."""
    now = gw.clock.now()
    return Payment(
        id=gw.new_id("pay"),
        tenant=entry.tenant,
        merchant_reference=body.merchant_reference,
        money=money,
        accepted_amount=money.amount,
        deposit_method=body.deposit_method,
        customer=body.customer or Customer(),
        order=body.order or Order(),
        checkout=body.checkout or Checkout(),
        fields=body.fields or {},
        metadata=body.metadata or {},
        return_url=body.return_url,
        cancel_url=body.cancel_url,
        capture=body.capture,
        created_at=now,
        updated_at=now,
        **account_members(gw, entry, now),
    )


async def find_order_from_before_restore(gw: Gateway, payment: Payment, *entries: AccountEntry) -> AccountEntry | None:
    """After a restore: find the account at which the payment's order exists already, from before the restore.

    Raises ``ProviderError`` when a provider that answers lookups could not be asked.
    """
    if not restore.keys_may_be_lost(gw):
        return None
    for entry in entries:
        asked = on_account(gw, payment, entry)
        if entry.can_look_up and await lookup.order_exists_from_before_restore(gw, entry, asked):
            return entry
    return None


def mark_unknown(operation: Operation) -> Operation:
    """A create that is not sent: its order exists. Its outcome is unknown, and a lookup takes the order over."""
    return replace(operation, status=Status.UNKNOWN, note="the order existed before the store was restored")
