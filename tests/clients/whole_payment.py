"""A whole payment with the client that openapi-python-client makes of the document.

The generated package is ``build/gateway_client``; GATEWAY and KEY stand in the environment.
"""

from __future__ import annotations

import os
import time

import httpx
from gateway_client import AuthenticatedClient
from gateway_client.api.payments import capture_payment, create_payment, get_payment, list_payments
from gateway_client.api.refunds import create_refund
from gateway_client.models import (
    Address,
    Charges,
    Checkout,
    CheckoutModeType0,
    Item,
    OperationStatus,
    Order,
    PaymentCapture,
    PaymentCreate,
    PaymentList,
    PaymentState,
    PaymentWithOperation,
    Problem,
    ProblemCode,
    RefundCreate,
    RefundWithPayment,
)

REFERENCE = f"SO-py-{time.time_ns()}"
CLIENT = AuthenticatedClient(base_url=os.environ["GATEWAY"], token=os.environ["KEY"])

ORDER = Order(
    items=[Item(merchant_id="PJ-1", name="Pallet jack", price="50.00", quantity=2)],
    charges=Charges(total="100.00", grand_total="100.00"),
    billing_address=Address(first_name="Dana", last_name="Reyes", email="dana@reyes.example"),
)
CREATE = PaymentCreate(
    merchant_reference=REFERENCE,
    amount="100.00",
    currency="USD",
    account="creditkey-main",
    order=ORDER,
    checkout=Checkout(mode=CheckoutModeType0.LINK),
    return_url="https://erp.acme.example/paid",
    cancel_url="https://erp.acme.example/gave-up",
)


def accept(payment: PaymentWithOperation) -> None:
    """Be the customer: accept at the simulator, and let the browser come back."""
    accepted = httpx.post(f"{payment.redirect_url}/approve", headers={"Accept": "application/json"})
    httpx.get(accepted.json()["redirect"])


def main() -> None:
    """Create, pay, capture, refund, read, list; and one mistake."""
    created = create_payment.sync(client=CLIENT, body=CREATE, idempotency_key=f"create-{REFERENCE}")
    assert isinstance(created, PaymentWithOperation), created
    assert created.operation.status is OperationStatus.SUCCEEDED
    assert created.state is PaymentState.AWAITING_CUSTOMER
    accept(created)
    captured = capture_payment.sync(
        created.id, client=CLIENT, body=PaymentCapture(), idempotency_key=f"capture-{REFERENCE}"
    )
    assert isinstance(captured, PaymentWithOperation), captured
    assert captured.state is PaymentState.CAPTURED
    refund = create_refund.sync(
        created.id, client=CLIENT, body=RefundCreate(amount="25.00"), idempotency_key=f"refund-{REFERENCE}"
    )
    assert isinstance(refund, RefundWithPayment), refund
    assert refund.payment.amount_refunded == "25.00"
    listed = list_payments.sync(client=CLIENT, merchant_reference=REFERENCE, state=PaymentState.PARTIALLY_REFUNDED)
    assert isinstance(listed, PaymentList), listed
    assert [one.id for one in listed.data] == [created.id]
    missing = get_payment.sync("pay_none", client=CLIENT)
    assert isinstance(missing, Problem), missing
    assert missing.code is ProblemCode.NOT_FOUND
    print(f"Python: payment {created.id} created, captured, refunded, listed")


if __name__ == "__main__":
    main()
