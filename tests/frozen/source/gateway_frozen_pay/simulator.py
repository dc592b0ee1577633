"""A simulator of Frozen Pay.

It counts and signs with code of its own: a mistake shared with the adapter would hide.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import gateway
from gateway.testing import Call, ProviderSimulator, Refusal, SimulatedPayment, route

SIGNATURE = "Frozen-Pay-Signature"
DIGITS = {"JPY": 0, "KWD": 3}
REFUNDS = {"done": "done", "pending": "pending", "declined": "refused"}


class Simulator(ProviderSimulator[SimulatedPayment]):
    """Cards on a page, and signed callbacks. The fault ``pending`` makes refunds wait for ``POST /_sim/effects``."""

    provider = "frozen_pay"
    title = "Frozen Pay"
    port = 9120
    words: ClassVar[Mapping[str, str]] = {"declined": "open", "canceled": "voided"}  # a customer may try again

    @route("POST", "/payments", repeats="Idempotency-Key")
    def create(self, call: Call) -> tuple[int, Any]:
        """Begin a payment."""
        owner, body = self._owner(call), call.json()
        asked = _major(body["amount"], body["currency"])
        payment = self.ledger.open(
            owner, body["order"], asked, body["currency"], captures=False, return_url=body["return_url"], said=body
        )
        return 201, {**self._shown(payment, self.word(payment, call)), "page": self.page_url(call, payment)}

    @route("GET", "/payments/{order}")
    def show(self, call: Call) -> Any:
        """A payment by the merchant's id of it."""
        payment = self._payment(call, payment_id=call.path["order"])
        return self._shown(payment, self.word(payment, call))

    @route("POST", "/payments/{order}/capture", repeats="Idempotency-Key")
    def capture(self, call: Call) -> Any:
        """Take the money, or a part of it."""
        payment = self._payment(call, payment_id=call.path["order"])
        self.ledger.capture(payment, _major(call.json()["amount"], payment.currency))
        return self._told(call, payment, "capture")

    @route("POST", "/payments/{order}/void", repeats="Idempotency-Key")
    def void(self, call: Call) -> Any:
        """Give up an authorization."""
        payment = self._payment(call, payment_id=call.path["order"])
        self.ledger.cancel(payment)
        return self._told(call, payment, "cancel")

    @route("POST", "/captures/{capture}/refunds", repeats="Idempotency-Key")
    def refund(self, call: Call) -> tuple[int, Any]:
        """Return money, at once or later."""
        body, payment = call.json(), self._payment(call, id=call.path["capture"].removeprefix("ca_"))
        amount = _major(body["amount"], payment.currency)
        self.ledger.refund(payment, amount, id=f"re_{body['reference']}", pending=call.fault.pending)
        return 202 if call.fault.pending else 201, self._told(call, payment, "refund")

    def callback(self, payment: SimulatedPayment, what: str) -> gateway.HttpRequest:  # noqa: ARG002  # the whole payment
        """The payment as it is now, signed with the time."""
        account = self.accounts[payment.owner]
        shown = self._shown(payment, self.word(payment))
        states = "-".join(f"{one.id}-{one.state}" for one in payment.effects)
        body = gateway.dumps({"id": f"evt_{payment.id}-{payment.state}-{states}", "payment": shown})
        stamp = int(self.clock.now().timestamp())
        key = account.account.config.webhook_secret.reveal().encode()
        mac = hmac.digest(key, f"{stamp}.".encode() + body, "sha256").hex()
        headers = (("Content-Type", "application/json"), (SIGNATURE, f"t={stamp},v1={mac}"))
        return gateway.HttpRequest(method="POST", url=account.callback_url, headers=headers, body=body)

    def _owner(self, call: Call) -> str:
        return self.owner(lambda one: call.bearer == one.account.config.api_key.reveal())

    def _payment(self, call: Call, **members: str) -> SimulatedPayment:
        found = self.ledger.find(self._owner(call), **members)
        if found is None:
            raise Refusal(404, "not_found")
        return found

    def _told(self, call: Call, payment: SimulatedPayment, what: str) -> dict[str, Any]:
        """The answer, with a callback behind it."""
        call.notify(payment, what)
        return self._shown(payment, self.word(payment, call))

    def _shown(self, payment: SimulatedPayment, status: str) -> dict[str, Any]:
        units = {
            "amount": payment.asked,
            "captured": payment.captured,
            "refunded": payment.refunded,
        }
        return {
            "id": payment.id,
            "order": payment.payment_id,
            "status": status,
            "currency": payment.currency,
            **{name: _minor(amount, payment.currency) for name, amount in units.items()},
            "capture_id": f"ca_{payment.id}" if payment.captured else None,
            "refunds": [
                {"id": one.id, "reference": one.id.removeprefix("re_"), "status": REFUNDS[one.state]}
                for one in payment.effects
                if one.kind == "refund"
            ],
        }


def _major(units: gateway.JsonNumber, currency: str) -> Decimal:
    return units.decimal().scaleb(-DIGITS.get(currency, 2))


def _minor(amount: Decimal, currency: str) -> int:
    return int(amount.scaleb(DIGITS.get(currency, 2)))
