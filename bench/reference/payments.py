"""What a create and a callback do: the intent is committed before the provider is asked, its outcome after it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import HTTPException, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.reference.accounts import Tenant, is_same_money, psp_request, signature
from bench.reference.bodies import CallbackBody, Create, PaymentView
from bench.reference.tables import Callback, Event, IdempotencyKey, Operation, Payment, Webhook, new_id


async def create(
    session: AsyncSession,
    send: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
    tenant: Tenant,
    claim: IdempotencyKey,
    body: Create,
) -> Response:
    """Reserve, send, store the outcome with the answer."""
    said = body.model_dump(mode="json")
    payment = Payment(
        id=new_id(),
        tenant=tenant.name,
        merchant_reference=body.merchant_reference,
        amount=body.amount,
        currency=body.currency,
        state="created",
        version=1,
        customer=said["customer"],
        extra=said["metadata"],
    )
    request = psp_request(tenant.account, payment.id, said)
    operation = Operation(id=new_id(), payment_id=payment.id, kind="create", status="sending", request=request)
    claim.operation_id = operation.id
    session.add(payment)
    await session.flush()  # gives the payment its times, which the webhook shows
    session.add_all([operation, claim, *version_of(payment)])
    await session.commit()

    answer = await send(request)

    payment.state, payment.version, payment.redirect_url = "awaiting_customer", 2, answer["data"]["url"]
    operation.status = "succeeded"
    claim.answer_status, claim.answer = 201, PaymentView.model_validate(payment).model_dump_json()
    session.add_all(version_of(payment))
    await session.commit()
    return Response(claim.answer, 201, media_type="application/json")


def repeated(known: IdempotencyKey, fingerprint: str) -> Response:
    """The stored answer again."""
    if known.fingerprint != fingerprint:
        raise HTTPException(422, "the key was used for another request")
    if known.answer_status is None:
        raise HTTPException(409, "the first request is not done")
    return Response(known.answer, known.answer_status, media_type="application/json")


async def captured(session: AsyncSession, tenant: Tenant, body: CallbackBody, raw: bytes) -> None:
    """Check the signature and the amount, and store callback, state, event and webhook together."""
    members = json.loads(raw)
    if not hmac.compare_digest(members.pop("sign"), signature(tenant.account, members)):
        raise HTTPException(401)
    seen = await session.scalar(select(Callback.id).filter_by(tenant=tenant.name, event_id=body.transaction_id))
    if seen is not None:
        return
    payment = await session.scalar(select(Payment).filter_by(tenant=tenant.name, id=body.order_no))
    if payment is None or not is_same_money(body.amount, body.currency, payment.amount, payment.currency):
        raise HTTPException(422)
    payment.state, payment.version, payment.provider_reference = "captured", payment.version + 1, body.transaction_id
    received = Callback(tenant=tenant.name, event_id=body.transaction_id, payment_id=payment.id, body=raw.decode())
    session.add_all([received, *version_of(payment)])
    await session.commit()


def version_of(payment: Payment) -> list[Event | Webhook]:
    """The event of a payment's new version, and the webhook that reports it."""
    event = Event(id=new_id(), payment_id=payment.id, version=payment.version, state=payment.state)
    view = PaymentView.model_validate(payment).model_dump(mode="json")
    body = json.dumps({"id": event.id, "type": f"payment.{payment.state}", "data": view})
    return [event, Webhook(event_id=event.id, tenant=payment.tenant, body=body)]
