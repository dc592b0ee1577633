"""Change a payment at its provider: capture, cancel, update, refund. Each plans; ``idempotency.run`` does the rest.

Every plan reads the payment, checks the command by state and rules, and builds the request; nothing is stored before.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from functools import partial

from msgspec.structs import replace

from gateway.core.card_data import refuse_card_data
from gateway.core.commands import (
    CancelPayment,
    CapturePayment,
    Command,
    Kind,
    Order,
    RefundPayment,
    UpdatePayment,
)
from gateway.core.errors import ProviderError, TenantError, invalid, refusals_of
from gateway.core.money import quantized
from gateway.core.payment import Operation, Payment, State
from gateway.core.request_bodies import CaptureBody, RefundBody, UpdateBody
from gateway.core.states import PAST_GRACE, row_of
from gateway.core.validation import (
    DIFFERS,
    DIFFERS_FROM_STORED,
    Problems,
    amount_problems,
    order_problems,
    total_problems,
)
from gateway.drivers.settings import AccountEntry
from gateway.flows import restore
from gateway.flows.cascade import ENDED
from gateway.flows.payments import idempotency, lookup, rejections
from gateway.flows.payments.create_validation import note_charges
from gateway.flows.payments.idempotency import Answer, Claim
from gateway.flows.payments.intent import Submission, members_of, new_operation, submission_of
from gateway.flows.payments.read import find
from gateway.flows.payments.replacement import plan_replacement
from gateway.flows.runtime import Gateway

Body = CaptureBody | UpdateBody | RefundBody


async def capture(gw: Gateway, claim: Claim, payment_id: str, body: CaptureBody) -> Answer:
    """Take the money of an authorized payment: the order shipped. Once; what is not captured is released."""
    return await idempotency.run(gw, claim, partial(plan_capture, gw, claim, payment_id, body))


async def cancel(gw: Gateway, claim: Claim, payment_id: str) -> Answer:
    """Give a payment up before capture."""
    return await idempotency.run(gw, claim, partial(plan_cancel, gw, claim, payment_id))


async def refund(gw: Gateway, claim: Claim, payment_id: str, body: RefundBody) -> Answer:
    """Return money after capture. Where the provider can be asked, the refunded total is read first."""
    return await idempotency.run(gw, claim, partial(plan_refund, gw, claim, payment_id, body))


async def update(gw: Gateway, claim: Claim, payment_id: str, body: UpdateBody) -> Answer:
    """Change amount or order before capture; above the limit, on request, begin a replacement for the new total."""
    check_update(body)
    return await idempotency.run(gw, claim, partial(plan_update, gw, claim, payment_id, body))


async def plan_capture(gw: Gateway, claim: Claim, payment_id: str, body: CaptureBody) -> Submission:
    """Check a capture by state, rules and amount, and build it."""
    refuse_card_data(body, claim.idempotency_key)
    payment, entry = await load_for(gw, claim.tenant, payment_id, CapturePayment)
    is_accepted = await lookup.is_accepted_uncompleted(gw, payment, entry)
    also = lookup.WAITING if is_accepted else frozenset[State]()
    must_be_in_state(entry, payment, CapturePayment, also=also)
    must_not_be_replaced(payment)
    if entry.can_look_up and (entry.rules.read_before_capture or is_past_deadline(gw, payment)):
        payment, entry = await refresh_for(gw, claim.tenant, payment_id, CapturePayment)
        must_be_in_state(entry, payment, CapturePayment, also=also)
    check_content(entry, payment, body)
    amount = amount_or(payment, body.amount, payment.money.amount)
    check_captured(entry, payment, amount)
    order = merged(payment.order, body.order)
    if order.charges is not None and order.charges.grand_total != amount:
        order = replace(order, charges=None)  # charges of the whole order would contradict a part of it
    operation = new_tenant_operation(gw, claim, payment, Kind.CAPTURE, amount)
    command = CapturePayment(**members_of(payment, operation), order=order, merchant_status=body.merchant_status)
    return await submission_of(gw, entry, payment, command, operation)


async def plan_cancel(gw: Gateway, claim: Claim, payment_id: str) -> Submission:
    """Check a cancel by state, and build it."""
    refuse_card_data(None, claim.idempotency_key)
    payment, entry = await load_for(gw, claim.tenant, payment_id, CancelPayment)
    must_be_in_state(entry, payment, CancelPayment)
    if row_of(payment, entry.policy, gw.clock.now()) == PAST_GRACE:
        raise rejections.past_grace(payment)
    operation = new_tenant_operation(gw, claim, payment, Kind.CANCEL, payment.money.amount)
    return await submission_of(gw, entry, payment, CancelPayment(**members_of(payment, operation)), operation)


async def plan_refund(gw: Gateway, claim: Claim, payment_id: str, body: RefundBody) -> Submission:
    """Check a refund by state and by what is left, and build it."""
    refuse_card_data(body, claim.idempotency_key)
    payment, entry = await load_for(gw, claim.tenant, payment_id, RefundPayment)
    must_be_in_state(entry, payment, RefundPayment)
    if entry.can_look_up:
        payment, entry = await refresh_for(gw, claim.tenant, payment_id, RefundPayment)
    check_content(entry, payment, body)
    left = payment.captured - payment.refunded
    amount = amount_or(payment, body.amount, left)
    if left <= 0 or amount > left:
        raise rejections.too_large(payment, left, "refunded")
    operation = replace(new_tenant_operation(gw, claim, payment, Kind.REFUND, amount), reason=body.reason)
    command = RefundPayment(**members_of(payment, operation), reason=body.reason)
    return await submission_of(gw, entry, payment, command, operation)


async def plan_update(gw: Gateway, claim: Claim, payment_id: str, body: UpdateBody) -> Submission:
    """Check an update by state, rules and limit, and build it, or the create of a replacement."""
    refuse_card_data(body, claim.idempotency_key)
    payment, entry = await load_for(gw, claim.tenant, payment_id, UpdatePayment)
    must_be_in_state(entry, payment, UpdatePayment)
    must_not_be_replaced(payment)
    check_content(entry, payment, body)
    amount = amount_or(payment, body.amount, payment.money.amount)
    order = merged(payment.order, body.order)
    limit = entry.rules.max_increase
    if limit is not None and amount - payment.accepted_amount > limit.amount:
        if not body.allow_new_checkout:
            raise rejections.over_limit(entry, payment, limit, amount)
        await must_not_be_live_replacement(gw, payment)
        money = payment.money.with_amount(amount)
        return await plan_replacement(gw, claim, entry, payment, money=money, order=order)
    operation = replace(new_tenant_operation(gw, claim, payment, Kind.UPDATE, amount), order=order)
    command = UpdatePayment(**members_of(payment, operation), order=order, merchant_status=body.merchant_status)
    return await submission_of(gw, entry, payment, command, operation)


async def load_for(gw: Gateway, tenant: str, payment_id: str, command: type[Command]) -> tuple[Payment, AccountEntry]:
    """The payment a command is for, if its provider can do it and nothing stands in the way.

    Where the store was restored from a backup, the provider is asked first what has happened since.
    """
    loaded = await find(gw, tenant, payment_id)
    payment, open_operation, entry = loaded.payment, loaded.open_operation, gw.entry(loaded.payment)
    if command not in entry.provider.commands:
        raise rejections.unsupported(entry, payment_id, command)
    if open_operation is not None:
        raise rejections.open_operation(payment_id, open_operation)
    if payment.review is not None:
        raise rejections.under_review(payment_id, payment.review)
    if restore.must_be_refreshed(gw, payment):
        return await refresh_for(gw, tenant, payment_id, command)
    return payment, entry


def is_past_deadline(gw: Gateway, payment: Payment) -> bool:
    """Whether the provider may have canceled by itself what was not captured in time."""
    return payment.capture_by is not None and gw.clock.now() >= payment.capture_by


async def refresh_for(
    gw: Gateway, tenant: str, payment_id: str, command: type[Command]
) -> tuple[Payment, AccountEntry]:
    """Ask the provider how the payment stands before a command. Raises ``ProviderError`` when it cannot be asked.

    A store that takes no writes is found out first: what was seen could not be kept.
    """
    await gw.store.prove_writable(gw.clock.now())
    if not await lookup.refresh(gw, tenant, payment_id, hinted=False):
        raise ProviderError("the provider showed another payment")
    return await load_for(gw, tenant, payment_id, command)


def check_captured(entry: AccountEntry, payment: Payment, amount: Decimal) -> None:
    """A capture takes at most the payment's amount, and all of it where the provider takes no part."""
    if amount > payment.money.amount:
        raise rejections.too_large(payment, payment.money.amount, "captured")
    if amount < payment.money.amount and not entry.rules.partial_capture:
        raise rejections.captures_all(payment)


def must_not_be_replaced(payment: Payment) -> None:
    """While its replacement is live, a payment is neither captured nor updated. Raises ``invalid_state``."""
    if payment.replaced_by is not None:
        raise rejections.replaced(payment)


async def must_not_be_live_replacement(gw: Gateway, payment: Payment) -> None:
    """One replacement at a time: while the payment that this one replaces may still be paid, no third order begins.

    Raises ``invalid_state``.
    """
    replaced = await gw.store.payment(payment.tenant, payment.replaces) if payment.replaces is not None else None
    if replaced is not None and replaced.payment.replaced_by == payment.id and replaced.payment.state not in ENDED:
        raise rejections.still_replacing(payment)


def amount_or(payment: Payment, given: Decimal | None, absent: Decimal) -> Decimal:
    """The amount a command names, with the currency's digits; ``absent`` where it names none."""
    return absent if given is None else quantized(Decimal(given), payment.money.digits)


def check_content(entry: AccountEntry, payment: Payment, body: Body) -> None:
    """Check what a command says against its payment: amounts, charges, addresses. Raises ``validation_failed``."""
    digits, order = payment.money.digits, getattr(body, "order", None)
    total = payment.money.amount if body.amount is None else body.amount
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
    note_charges(entry, order, payment.merchant_reference)


def content_refusals(body: Body) -> list[TenantError]:
    """What is wrong with a command before its payment is known; members that are None are not checked."""
    problems = amount_problems("$.amount", body.amount, None)
    problems += order_problems(getattr(body, "order", None), None, body.amount)
    return [*refusals_of(partial(refuse_card_data, body)), *([invalid(*problems)] if problems else [])]


def check_update(body: UpdateBody) -> None:
    """An update says at least one thing. Raises ``validation_failed``."""
    if not any((body.amount is not None, body.order is not None, body.merchant_status, body.allow_new_checkout)):
        raise invalid(("$", "needs at least one of amount, order, merchant_status, allow_new_checkout"))


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
    operation = new_operation(gw, payment, kind, at=gw.clock.now())
    return replace(operation, amount=amount, idempotency_key=claim.idempotency_key)


def must_be_in_state(
    entry: AccountEntry, payment: Payment, command: type[Command], *, also: Collection[State] = ()
) -> None:
    """Raise ``invalid_state`` unless the payment's state allows a command, or is one of ``also``."""
    if payment.state not in rejections.allowed_in(entry)[command] and payment.state not in also:
        raise rejections.wrong_state(entry, payment, command)
