"""What becomes of a payment that its customer cannot pay, and what an operator can do about it. Pure."""

from __future__ import annotations

from gateway.core.payment import State
from gateway.core.state_members import EXPIRABLE
from gateway.core.view_types import PaymentView

_REVIEW = "should it be paid after all, a person must look at it (review)"
_LATE = {
    State.EXPIRED: "should it be paid after all, that counts within the late grace and is put under review after it",
    State.CANCELED: _REVIEW,
    State.FAILED: _REVIEW,
}
"""What money that comes late does, by the state that ended the payment."""


def what_next(payment: PaymentView) -> str | None:
    """Say it in one sentence; None for a payment that needs nobody."""
    if payment.state in _LATE:
        return f"the reference {payment.merchant_reference} is free for a new payment; {_LATE[payment.state]}"
    is_reached = payment.redirect_url is not None or payment.customer_notified
    if payment.state not in EXPIRABLE or is_reached or payment.pending_operation is not None:
        return None
    resolve = f"gateway payments review resolve {payment.id} --reason TEXT"
    return (
        f"nobody here knows the customer's page: it waits for a callback or a lookup until {payment.expires_at}, and"
        f" holds the reference {payment.merchant_reference}. Name the page ({resolve} --redirect-url URL), or end the"
        f" payment so that a new one can be made ({resolve} --state expired)"
    )
