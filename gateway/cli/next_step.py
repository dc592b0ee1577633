"""What happens next to a payment without a page to pay on, and what an operator can do about it. Pure."""

from __future__ import annotations

from gateway.core.payment import State
from gateway.core.state_members import EXPIRABLE
from gateway.core.view_types import PaymentView

_REVIEW = "if the customer pays after all, the payment goes to review"
_LATE = {
    State.EXPIRED: "if the customer pays after all, that counts within the late grace, and goes to review after it",
    State.CANCELED: _REVIEW,
    State.FAILED: _REVIEW,
}
"""What a late payment by the customer does, by the state in which the payment ended."""


def next_step(payment: PaymentView) -> str | None:
    """Say it in one sentence; None where an operator need not do anything."""
    if payment.state in _LATE:
        return f"the reference {payment.merchant_reference} is free for a new payment; {_LATE[payment.state]}"
    is_reached = payment.redirect_url is not None or payment.customer_notified
    if payment.state not in EXPIRABLE or is_reached or payment.pending_operation is not None:
        return None
    resolve = f"gateway payments review resolve {payment.id} --reason TEXT"
    return (
        f"the customer's page is unknown: the payment waits for a callback or a lookup until {payment.expires_at}, and"
        f" holds the reference {payment.merchant_reference}. Set the page ({resolve} --redirect-url URL), or end the"
        f" payment so that a new one can be created ({resolve} --state expired)"
    )
