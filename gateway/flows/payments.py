"""What a tenant asks of a payment: create, capture. Each reads, judges and builds; ``operation.once`` does the rest."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from gateway.core.commands import CapturePayment, Checkout, Command, CreatePayment, Customer, Kind, Order, Urls
from gateway.core.errors import Conflict, TenantError, invalid
from gateway.core.facts import Cause
from gateway.core.ids import uuid_of
from gateway.core.money import Money, currency_digits, quantized
from gateway.core.payment import Operation, Payment, PaymentEvent, State
from gateway.core.requests import CaptureBody, CreateBody
from gateway.core.signing import make_token
from gateway.core.validation import amount_problems, card_fields, order_problems, url_problems
from gateway.drivers.settings import AccountEntry, Tenant
from gateway.drivers.store import statements
from gateway.drivers.store.queries import Loaded
from gateway.drivers.store.statements import milliseconds
from gateway.flows import routing
from gateway.flows.context import Gateway, needs_completion
from gateway.flows.lookup import new_operation
from gateway.flows.operation import Answer, Claim, Intent, build, once
from gateway.flows.record import told


async def create(gw: Gateway, tenant: Tenant, claim: Claim, body: CreateBody) -> Answer:
    """Create a payment. Raises ``TenantError``; afterwards the payment exists, whatever the provider says."""

    async def plan() -> Intent:
        entry, money = judge_create(gw, tenant, body)
        payment = new_payment(gw, entry, body, money)
        operation = replace(
            new_operation(gw, payment, Kind.CREATE, at=payment.created_at), idempotency_key=claim.idempotency_key
        )
        command = create_command(gw, entry, payment, operation)
        request = build(entry, command)
        event = PaymentEvent(
            type="payment.created",
            version=1,
            cause=Cause.TENANT,
            state_before=None,
            state_after=State.CREATED,
            at=payment.created_at,
            details={"operation_id": operation.id},
        )
        grace_began = milliseconds(payment.created_at - gw.settings.clocks.late_grace)
        rows = [
            statements.take_reference(payment, grace_began_before=grace_began),
            statements.insert_payment(payment, operation.id),
            *told(gw, payment, event, operation),
        ]
        return Intent(
            entry=entry,
            command=command,
            request=request,
            operation=operation,
            rows=rows,
            after_commit=lambda: tell(gw, payment, event),
        )

    try:
        return await once(gw, claim, plan)
    except Conflict:
        entry, _ = judge_create(gw, tenant, body)
        holder = await gw.store.holder(tenant.id, entry.name, body.merchant_reference)
        raise TenantError(
            "duplicate_reference", "a live payment already has this merchant_reference", payment_id=holder
        ) from None


def judge_create(gw: Gateway, tenant: Tenant, body: CreateBody) -> tuple[AccountEntry, Money]:
    """Check everything a create says that does not need the store; all wrong members at once."""
    digits = currency_digits(body.currency, gw.settings.currencies)
    if digits is None:
        raise TenantError("currency_not_supported", f"{body.currency} is no currency known here")
    cards = card_fields(body)
    if cards:
        raise TenantError("card_data_refused", f"{', '.join(cards)} seems to hold a card number")
    problems = [
        *amount_problems("$.amount", body.amount, digits),
        *order_problems(body.order, digits, body.amount),
        *url_problems("$.return_url", body.return_url, tenant.return_origins),
        *url_problems("$.cancel_url", body.cancel_url, tenant.return_origins),
    ]
    if problems:
        raise invalid(*problems)
    money = Money.of(Decimal(body.amount), body.currency, digits)
    entry = routing.choose(tenant, body)
    routing.check_limits(tenant, entry, body, money)
    return entry, money


def new_payment(gw: Gateway, entry: AccountEntry, body: CreateBody, money: Money) -> Payment:
    """The payment in version 1."""
    now = gw.clock.now()
    return Payment(
        id=gw.new_id("pay"),
        tenant=entry.tenant,
        account=entry.name,
        provider=entry.provider.name,
        merchant_reference=body.merchant_reference,
        money=money,
        accepted_amount=money.amount,
        completed=not needs_completion(entry),
        expires_at=now + (entry.rules.expires_after or gw.settings.clocks.payment_expiry),
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


def tell(gw: Gateway, payment: Payment, event: PaymentEvent) -> None:
    """Wake the webhooks and the observers after a commit."""
    gw.webhooks_due.set()
    gw.observe(payment, event)


async def capture(gw: Gateway, claim: Claim, payment_id: str, body: CaptureBody) -> Answer:
    """Take the money of an authorized payment: the order shipped."""

    async def plan() -> Intent:
        loaded = await ready(gw, claim.tenant, payment_id, CapturePayment)
        payment, entry = loaded.payment, gw.entry(loaded.payment)
        if payment.state is not State.AUTHORIZED:
            raise wrong_state(payment, "captured")
        amount = amount_of(payment, body.amount)
        order = merged(payment.order, body.order)
        problems = order_problems(body.order, payment.money.digits, amount)
        if problems:
            raise invalid(*problems)
        if amount > payment.money.amount:
            raise TenantError("amount_too_large", f"at most {payment.money.text()} can be captured")
        if amount < payment.money.amount and not entry.rules.partial_capture:
            raise TenantError("unsupported_by_provider", f"{payment.provider} captures the whole amount only")
        if order.charges is not None and order.charges.grand_total != amount:
            order = replace(order, charges=None)
        operation = begin(gw, claim, payment, Kind.CAPTURE, amount)
        command = CapturePayment(
            payment_id=payment.id,
            merchant_reference=payment.merchant_reference,
            provider_reference=payment.provider_reference,
            money=payment.money.with_amount(amount),
            at=operation.created_at,
            operation_id=operation.id,
            order=order,
            merchant_status=body.merchant_status,
        )
        return intend(entry, payment, command, operation)

    return await once(gw, claim, plan)


async def ready(gw: Gateway, tenant: str, payment_id: str, command: type[Command]) -> Loaded:
    """The payment a command is for, if its provider can do it and nothing stands in the way."""
    loaded = await find(gw, tenant, payment_id)
    if command not in gw.entry(loaded.payment).provider.commands:
        raise TenantError("unsupported_by_provider", f"{loaded.payment.provider} has no such command")
    if loaded.pending is not None:
        raise TenantError(
            "operation_outcome_pending",
            f"operation {loaded.pending.id} ({loaded.pending.kind}) has no outcome yet",
            payment_id=payment_id,
            operation_id=loaded.pending.id,
        )
    if loaded.payment.review is not None:
        raise TenantError("under_review", f"under review: {loaded.payment.review.reason}", payment_id=payment_id)
    return loaded


async def find(gw: Gateway, tenant: str, payment_id: str) -> Loaded:
    """A tenant's payment. Raises the same ``not_found`` for one that is missing and one that is another tenant's."""
    loaded = await gw.store.payment(tenant, payment_id)
    if loaded is None:
        raise TenantError("not_found", "there is no such payment")
    return loaded


def amount_of(payment: Payment, given: Decimal | None) -> Decimal:
    """The amount a command names, in the payment's currency; absent = the whole amount."""
    if given is None:
        return payment.money.amount
    problems = amount_problems("$.amount", given, payment.money.digits)
    if problems:
        raise invalid(*problems)
    return quantized(Decimal(given), payment.money.digits)


def merged(stored: Order, given: Order | None) -> Order:
    """The whole order: members that are given replace the stored ones whole."""
    if given is None:
        return stored
    members = {name: getattr(given, name) for name in given.__struct_fields__}
    return replace(stored, **{name: value for name, value in members.items() if value is not None})


def begin(gw: Gateway, claim: Claim, payment: Payment, kind: Kind, amount: Decimal) -> Operation:
    """The operation of a tenant's command."""
    operation = new_operation(gw, payment, kind, at=gw.clock.now())
    return replace(operation, amount=amount, idempotency_key=claim.idempotency_key)


def intend(entry: AccountEntry, payment: Payment, command: Command, operation: Operation) -> Intent:
    """Build the request and open the operation on the payment as it was read."""
    opened = statements.open_operation(payment, operation.id)
    return Intent(entry=entry, command=command, request=build(entry, command), operation=operation, rows=[opened])


def wrong_state(payment: Payment, wish: str) -> TenantError:
    """A state rule refused a command."""
    return TenantError("invalid_state", f"a payment that is {payment.state} cannot be {wish}", payment_id=payment.id)
