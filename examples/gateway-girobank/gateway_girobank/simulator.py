"""A simulator of Giro Bank for development. It signs with its own code; customers transfer by ``POST /_sim/customer``.

Giro Bank knows the tenant's reference and no id of the gateway's, so the reference is what its books are kept by.
"""

from __future__ import annotations

import hmac
import uuid
from typing import Any
from urllib.parse import urlencode

import gateway
from gateway.testing import Call, ProviderSimulator, Refusal, SimulatedPayment, route


class GiroBankSimulator(ProviderSimulator[SimulatedPayment]):
    """Collections, payouts, and callbacks about both."""

    provider = "girobank"
    port = 9203
    title = "Giro Bank"

    @route("POST", "/collections", repeats="Idempotency-Key")
    def collect(self, call: Call) -> Any:
        owner, body = self._owner(call), call.json()
        said = self.named(owner, body)
        if not said["reference"].isascii():
            raise Refusal(422, "reference_invalid")
        made = self.ledger.open(owner, said["reference"], body["amount"], body["currency"], said={"to": body["notify"]})
        where = {"iban": "DE02120300000000202051", "bic": "GIRODEMM", "holder": "Giro Bank for Acme"}
        return 201, {**where, "remittance": made.payment_id}

    @route("POST", "/payouts", repeats="Idempotency-Key")
    def pay_out(self, call: Call) -> Any:
        owner, body = self._owner(call), call.json()
        payment = self.ledger.find(owner, payment_id=body["reference"])
        if payment is None:
            raise Refusal(422, "reference_unknown")
        effect = self.ledger.refund(payment, body["amount"], id=body["refund"])
        call.notify(payment, "refund")
        return 201, {"payout": f"po_{uuid.uuid4().hex}", "id": effect.id}

    def callback(self, payment: SimulatedPayment, what: str) -> gateway.HttpRequest | None:  # noqa: ARG002  # the books say it
        """Money that came in or went out, or a payout that came back (``POST /_sim/effects`` with ``declined``)."""
        if not payment.effects:
            return None
        last = payment.effects[-1]
        entry = {"type": "credit", "amount": last.amount}
        if last.kind == "refund":
            kind = "debit" if last.state == "done" else "bounced"
            entry |= {"type": kind, "refund": last.id, "reason": "" if kind == "debit" else "account_closed"}
        entry = {"entry": uuid.uuid4().hex, "reference": payment.payment_id, "currency": payment.currency, **entry}
        body = urlencode(entry).encode()
        key: gateway.Secret = self.accounts[payment.owner].account.config.signing_key
        signed = ("Giro-Signature", hmac.digest(key.reveal().encode(), body, "sha256").hex())
        headers = (("Content-Type", "application/x-www-form-urlencoded"), signed)
        return gateway.HttpRequest(method="POST", url=payment.said["to"], headers=headers, body=body)

    def _owner(self, call: Call) -> str:
        return self.owner(lambda one: call.bearer == one.account.config.api_key.reveal())
