"""Create a payment: judge what the tenant sent, make the payment and its first operation, then ``operation.once``."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.core.commands import Checkout, CreatePayment, Customer, Kind, Order, Urls
from gateway.core.errors import Conflict
from gateway.core.event_details import details_of_create
from gateway.core.facts import Cause
from gateway.core.ids import uuid_of
from gateway.core.money import Money
from gateway.core.payment import Operation, Payment, PaymentEvent, State, Status
from gateway.core.request_bodies import CreateBody
from gateway.core.signing import make_token
from gateway.drivers.settings import AccountEntry, Tenant
from gateway.drivers.store import schedule, statements
from gateway.drivers.store.statements import Statement
from gateway.flows import restore
from gateway.flows.commit import next_look_at, tell, told
from gateway.flows.payments import lookup
from gateway.flows.payments.create_validation import judge_create
from gateway.flows.payments.idempotency import Answer, Claim, once
from gateway.flows.payments.rejections import duplicate_reference
from gateway.flows.payments.submit import Intent, build, grace_began, new_operation, on_account
from gateway.flows.runtime import Gateway
from gateway.flows.storage_limits import require_disk


async def create(gw: Gateway, tenant: Tenant, claim: Claim, body: CreateBody) -> Answer:
    """Create a payment. Raises ``TenantError``; afterwards the payment exists, whatever the provider says."""

    async def plan() -> Intent:
        require_disk(gw)
        route, money = judge_create(gw, tenant, body, claim.idempotency_key)
        payment = new_payment(gw, route.entry, body, money)
        forgotten = await find_forgotten(gw, payment, route.entry, *route.fallback)
        entry = forgotten or route.entry
        payment = payment if forgotten is None else on_account(gw, payment, forgotten)
        operation = new_operation(gw, payment, Kind.CREATE, at=payment.created_at)
        operation = replace(operation, idempotency_key=claim.idempotency_key)
        taken = statements.claim_reference(payment, grace_began_before=grace_began(gw))
        intent = await begin_create(gw, entry, payment, operation, rows=[taken])
        return hold(gw, intent) if forgotten else replace(intent, fallback=route.fallback)

    try:
        return await once(gw, claim, plan)
    except Conflict:
        route, _ = judge_create(gw, tenant, body, claim.idempotency_key)
        holder = await gw.store.reference_owner(tenant.id, route.entry.name, body.merchant_reference)
        raise duplicate_reference(route.entry, holder) from None


def new_payment(gw: Gateway, entry: AccountEntry, body: CreateBody, money: Money) -> Payment:
    """The payment in version 1."""
    now = gw.clock.now()
    payment = Payment(
        id=gw.new_id("pay"),
        tenant=entry.tenant,
        account=entry.name,
        provider=entry.provider.name,
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
        created_at=now,
        updated_at=now,
    )
    return on_account(gw, payment, entry)


async def find_forgotten(gw: Gateway, payment: Payment, *entries: AccountEntry) -> AccountEntry | None:
    """After a restore: the account on which the payment's order exists already, by a request the store has forgotten.

    Raises ``ProviderError`` when a provider that answers lookups could not be asked.
    """
    if not restore.keys_may_be_lost(gw):
        return None
    for entry in entries:
        asked = on_account(gw, payment, entry)
        if entry.can_look_up and await lookup.finds_forgotten(gw, entry, asked):
            return entry
    return None


def hold(gw: Gateway, intent: Intent) -> Intent:
    """A create that is not sent: its order exists. Its outcome is unknown, and a lookup takes the order over."""
    operation = replace(intent.operation, status=Status.UNKNOWN, note="the order existed before the store was restored")
    due = schedule.bring_check_forward(operation.tenant, operation.payment_id, gw.clock.now())
    return replace(intent, operation=operation, rows=[*intent.rows, due])


async def begin_create(
    gw: Gateway, entry: AccountEntry, payment: Payment, operation: Operation, *, rows: list[Statement]
) -> Intent:
    """A new payment's first operation, with the rows of its version 1."""
    command = create_command(gw, entry, payment, operation)
    event = PaymentEvent(
        type="payment.created",
        version=1,
        cause=Cause.TENANT,
        state_before=None,
        state_after=State.CREATED,
        at=payment.created_at,
        details=details_of_create(payment, operation),
    )
    return Intent(
        entry=entry,
        command=command,
        request=await build(gw, entry, command),
        operation=operation,
        rows=[
            *rows,
            statements.insert_payment(payment, operation.id, budget=gw.settings.limits.tenant_bytes),
            next_look_at(gw, payment, operation),
            *told(gw, payment, event, operation),
        ],
        after_commit=lambda: tell(gw, payment, event),
        remake=lambda account, following: create_command(gw, account, payment, following),
    )


def create_command(gw: Gateway, entry: AccountEntry, payment: Payment, operation: Operation) -> CreatePayment:
    """The command of a payment's create, with the addresses the provider is told."""
    return CreatePayment(
        payment_id=payment.id,
        merchant_reference=payment.merchant_reference,
        provider_reference=None,
        money=payment.money,
        at=operation.created_at,
        operation_id=operation.id,
        customer=payment.customer,
        order=payment.order,
        checkout=payment.checkout,
        fields=payment.fields,
        metadata=payment.metadata,
        urls=urls_of(gw, entry, payment.id),
    )


def urls_of(gw: Gateway, entry: AccountEntry, payment_id: str) -> Urls:
    """Our addresses for one payment, each with its own unguessable token."""
    base, identifier = gw.callback_url(entry), uuid_of(payment_id)
    if identifier is None:
        raise ValueError(f"{payment_id} is no payment id")
    token = {
        purpose: make_token(gw.settings.server.secret, entry.endpoint_id, identifier, purpose)
        for purpose in ("return", "cancel", "complete")
    }
    return Urls(
        callback=base,
        return_=f"{base}/return/{token['return']}",
        cancel=f"{base}/cancel/{token['cancel']}",
        complete=f"{base}/complete/{token['complete']}",
    )
