"""Begin a successor: a second payment under the same reference, for a total above the provider's limit.

The old payment makes way in the transaction that reserves the successor's create. What becomes of the two later is
worked out in ``succession.py``; canceling the old one is the agenda's work (``reconcile.py``).
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.core.commands import Kind, Order
from gateway.core.money import Money
from gateway.core.payment import Payment, State
from gateway.core.replacement import mark_replaced
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import statements
from gateway.flows.commit import tell, told
from gateway.flows.payments.create import begin_create, find_forgotten, hold
from gateway.flows.payments.idempotency import Claim
from gateway.flows.payments.submit import Intent, new_operation, on_account
from gateway.flows.runtime import Gateway
from gateway.flows.storage_limits import require_disk


async def plan(gw: Gateway, claim: Claim, entry: AccountEntry, old: Payment, *, money: Money, order: Order) -> Intent:
    """The create of a successor for the new total. Its answer is the old payment's, so the PATCH is answered by it."""
    require_disk(gw)
    payment = successor_of(gw, entry, old, money=money, order=order)
    operation = new_operation(gw, payment, Kind.CREATE, at=payment.created_at)
    operation = replace(operation, idempotency_key=claim.idempotency_key, answers_with=old.id)
    made_way = mark_replaced(old, payment.id, rules=entry.rules, at=payment.created_at)
    rows = [
        statements.update_payment(old, made_way.payment, open_before=None, open_after=None),
        statements.move_reference(payment, holder=old.id),
    ]
    if made_way.event is not None:
        rows += told(gw, made_way.payment, made_way.event, None)
    intent = await begin_create(gw, entry, payment, operation, rows=rows)

    def tell_both() -> None:
        if made_way.event is not None:
            tell(gw, made_way.payment, made_way.event)
        intent.after_commit()

    both = replace(intent, after_commit=tell_both)
    return hold(gw, both) if await find_forgotten(gw, payment, entry) else both


def successor_of(gw: Gateway, entry: AccountEntry, old: Payment, *, money: Money, order: Order) -> Payment:
    """The old payment begun anew: same tenant, account, reference and customer, the new total and order."""
    now = gw.clock.now()
    fresh = Payment(
        id=gw.new_id("pay"),
        tenant=old.tenant,
        account=old.account,
        provider=old.provider,
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
        created_at=now,
        updated_at=now,
    )
    return on_account(gw, fresh, entry)
