"""A small provider for tests of the simulator kit: everything that a simulator may do, in few lines."""

from __future__ import annotations

import hmac
import json
from typing import Any, ClassVar

import gateway
from gateway.testing import Call, ProviderSimulator, SimulatedPayment, route


class TinySimulator(ProviderSimulator[SimulatedPayment]):
    """Bearer tokens by login, one page, captures and refunds, signed callbacks."""

    provider, port, title = "tiny", 9103, "Tiny"
    words: ClassVar = {"captured": "paid"}

    @route("POST", "/token")
    def token(self, call: Call) -> Any:
        owner = self.owner(lambda one: call.basic == ("user", one.credentials["key"]))
        return {"access_token": self.tokens.issue(owner)}

    @route("POST", "/payments", repeats="Idempotency-Key")
    def create(self, call: Call) -> Any:
        owner = self.tokens.owner(call.bearer)
        wire = call.json()
        payment = self.ledger.open(
            owner,
            wire["order"],
            wire["amount"],
            wire["currency"],
            captures=wire.get("capture", True),
            return_url=wire.get("return"),
            said=wire,
        )
        return 201, {**self.shown(call, payment), "page": self.page_url(call, payment)}

    @route("GET", "/payments/{id}")
    def fetch(self, call: Call) -> Any:
        return self.shown(call, self.ledger.get(call.path["id"], self.tokens.owner(call.bearer)))

    @route("POST", "/payments/{id}/{verb:capture|refund|cancel}")
    async def change(self, call: Call) -> Any:
        payment = self.ledger.get(call.path["id"], self.tokens.owner(call.bearer))
        verb = call.path["verb"]
        if verb == "cancel":
            self.ledger.cancel(payment)
        else:
            act = self.ledger.capture if verb == "capture" else self.ledger.refund
            act(payment, call.json().get("amount"), pending=call.fault.pending)
        call.notify(payment, verb)
        return 202, self.shown(call, payment)

    def shown(self, call: Call, payment: SimulatedPayment) -> dict[str, Any]:
        return {"id": payment.id, "order": payment.payment_id, "status": self.word(payment, call)}

    def callback(self, payment: SimulatedPayment, what: str) -> gateway.HttpRequest:
        owner = self.accounts[payment.owner]
        body = json.dumps({"order": payment.payment_id, "what": what, "at": self.now().isoformat()}).encode()
        sign = hmac.digest(str(owner.credentials["key"]).encode(), body, "sha256").hex()
        headers = (("Content-Type", "application/json"), ("Tiny-Signature", sign))
        return gateway.HttpRequest(method="POST", url=owner.callback_url, headers=headers, body=body)
