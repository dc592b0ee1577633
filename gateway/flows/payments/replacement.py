"""Begin a replacement: a second payment under the same reference, for a total above the provider's limit.

The old payment is replaced in the transaction that reserves the new one's create. What the two mean to each other later
is decided in ``cascade.py``; canceling the old one is the background's work (``reconcile.py``).
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.core.commands import Kind, Order
from gateway.core.money import Money
from gateway.core.payment import Payment, State
from gateway.core.replacement import mark_replaced
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import statements
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows.cascade import Version
from gateway.flows.payments.create import find_order_from_before_restore, mark_unknown
from gateway.flows.payments.idempotency import Claim
from gateway.flows.payments.intent import Submission, account_members, new_operation, submission_of_create
from gateway.flows.runtime import Gateway
from gateway.flows.storage import require_disk


async def plan_replacement(
    gw: Gateway, claim: Claim, entry: AccountEntry, old: Payment, *, money: Money, order: Order
) -> Submission:
    """The create of a replacement for the new total. The PATCH that asked for it is answered with the old payment."""
    require_disk(gw, gw.tenant(entry.tenant))
    payment = replacement_of(gw, entry, old, money=money, order=order)
    key, at = claim.idempotency_key, payment.created_at
    operation = new_operation(gw, payment, Kind.CREATE, at=at, idempotency_key=key)
    operation = replace(operation, answers_with=old.id)
    if await find_order_from_before_restore(gw, payment, entry) is not None:
        operation = mark_unknown(operation)
    submission = await submission_of_create(gw, entry, payment, operation)
    change = mark_replaced(old, payment.id, rules=entry.rules, at=payment.created_at)
    passed_on = statements.move_reference(payment, holder=old.id)
    of_old = Version(PaymentSnapshot(old, None), change, gives_reference=passed_on)
    return replace(submission, versions=[of_old, *submission.versions])


def replacement_of(gw: Gateway, entry: AccountEntry, old: Payment, *, money: Money, order: Order) -> Payment:
    """The old payment begun again: same tenant, account, reference and customer; the new total and order."""
    now = gw.clock.now()
    return Payment(
        id=gw.new_id("pay"),
        tenant=old.tenant,
        merchant_reference=old.merchant_reference,
        money=money,
        accepted_amount=money.amount,
        state=State.CREATED,
        replaces=old.id,
        deposit_method=old.deposit_method,
        customer=old.customer,
        order=order,
        checkout=old.checkout,
        fields=old.fields,
        metadata=old.metadata,
        return_url=old.return_url,
        cancel_url=old.cancel_url,
        capture=old.capture,
        created_at=now,
        updated_at=now,
        **account_members(gw, entry, now),
    )
