"""What capture, cancel, refund and update share: load the payment, check state and content, begin the operation.

Each of them plans: it reads the payment, checks the command by state and rules, and builds the request. Nothing is
stored before ``idempotency.run`` reserves the operation.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from functools import partial

from msgspec.structs import replace

from gateway.core.card_data import refuse_card_data
from gateway.core.commands import Command, Kind, Order
from gateway.core.errors import ProviderError, TenantError, invalid, refusals_of
from gateway.core.money import quantized
from gateway.core.payment import Operation, Payment, State
from gateway.core.request_bodies import CaptureBody, RefundBody, UpdateBody
from gateway.core.validation import (
    DIFFERS,
    DIFFERS_FROM_STORED,
    Problems,
    amount_problems,
    order_problems,
    total_problems,
)
from gateway.drivers.settings import AccountEntry
from gateway.drivers.telemetry import about_request
from gateway.flows import restore
from gateway.flows.payments import lookup, rejections
from gateway.flows.payments.create_validation import note_charges
from gateway.flows.payments.idempotency import Claim
from gateway.flows.payments.intent import new_operation
from gateway.flows.payments.read import find
from gateway.flows.runtime import Gateway

Body = CaptureBody | UpdateBody | RefundBody


async def load_for(gw: Gateway, tenant: str, payment_id: str, command: type[Command]) -> tuple[Payment, AccountEntry]:
    """The payment a command is for, if its provider can do it and nothing stands in the way.

    Where the store was restored from a backup, the provider is asked first what has happened since.
    """
    loaded = await find(gw, tenant, payment_id)
    payment, open_operation = loaded.payment, loaded.open_operation
    if (about := about_request.get()) is not None:
        about["account"] = payment.account
    entry = gw.entry(payment)
    if command not in entry.provider.commands:
        raise rejections.unsupported(entry, payment_id, command)
    if open_operation is not None:
        raise rejections.open_operation(payment_id, open_operation)
    if payment.review is not None:
        raise rejections.under_review(payment_id, payment.review)
    if restore.must_be_refreshed(gw, payment):
        return await refresh_for(gw, tenant, payment_id, command)
    return payment, entry


async def refresh_for(
    gw: Gateway, tenant: str, payment_id: str, command: type[Command]
) -> tuple[Payment, AccountEntry]:
    """Ask the provider how the payment stands before a command. Raises ``ProviderError`` when it cannot be asked.

    A store that takes no writes is found out first: what was seen could not be kept.
    """
    await gw.store.prove_writable(gw.clock.now(), tenant)
    if not await lookup.refresh(gw, tenant, payment_id, hinted=False):
        raise ProviderError("the provider answered with another payment")
    return await load_for(gw, tenant, payment_id, command)


def must_not_be_replaced(payment: Payment) -> None:
    """While its replacement is live, a payment is neither captured nor updated. Raises ``invalid_state``."""
    if payment.replaced_by is not None:
        raise rejections.replaced(payment)


def amount_or(payment: Payment, given: Decimal | None, absent: Decimal) -> Decimal:
    """The amount a command names, with the currency's digits; ``absent`` where it names none."""
    return absent if given is None else quantized(Decimal(given), payment.money.digits)


def check_content(entry: AccountEntry, payment: Payment, body: Body) -> None:
    """Check what a command says against its payment: amounts, charges, addresses. Raises ``validation_failed``."""
    digits, order = payment.money.digits, getattr(body, "order", None)
    total = payment.money.amount - payment.captured if body.amount is None else body.amount
    if isinstance(body, UpdateBody):
        problems = total_problems("$.amount", body.amount, digits) or charges_problems(payment, order, total)
    else:
        problems = amount_problems("$.amount", body.amount, digits)
    differs = DIFFERS_FROM_STORED if body.amount is None else DIFFERS
    problems += order_problems(order, digits, total, identity=entry.rules.charges_identity, differs=differs)
    if order is not None and order.billing_address not in (None, payment.order.billing_address):
        problems.append(("$.order.billing_address", "cannot change: leave it out"))
    if problems:
        raise invalid(*problems)
    note_charges(entry, order)


def command_refusals(body: Body) -> list[TenantError]:
    """What is wrong with a command before its payment is known; members that are None are not checked."""
    problems = amount_problems("$.amount", body.amount, None)
    problems += order_problems(getattr(body, "order", None), None, body.amount)
    return [*refusals_of(partial(refuse_card_data, body)), *([invalid(*problems)] if problems else [])]


def charges_problems(payment: Payment, order: Order | None, total: Decimal) -> Problems:
    """Where the payment has charges, a new amount needs new charges that come to it."""
    is_given = order is not None and order.charges is not None
    if payment.order.charges is None or is_given or total == payment.money.amount:
        return []
    return [("$.order.charges", f"is required with a new amount: charges whose grand_total is {total:f}")]


def merged(stored: Order, given: Order | None) -> Order:
    """The whole order: members that are given replace the stored ones whole."""
    if given is None:
        return stored
    members = {name: getattr(given, name) for name in given.__struct_fields__}
    return replace(stored, **{name: value for name, value in members.items() if value is not None})


def new_tenant_operation(gw: Gateway, claim: Claim, payment: Payment, kind: Kind, amount: Decimal) -> Operation:
    """The operation of a tenant's command."""
    operation = new_operation(gw, payment, kind, at=gw.clock.now(), idempotency_key=claim.idempotency_key)
    return replace(operation, amount=amount)


def must_be_in_state(
    entry: AccountEntry, payment: Payment, command: type[Command], *, also: Collection[State] = ()
) -> None:
    """Raise ``invalid_state`` unless the payment's state allows a command, or is one of ``also``."""
    if payment.state not in rejections.allowed_in(entry)[command] and payment.state not in also:
        raise rejections.wrong_state(entry, payment, command)
