"""A simulator of mobile money for development. What the customer does on the phone is ``POST /_sim/customer``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aiohttp import web

import gateway
from gateway.testing import Call, Effect, ProviderSimulator, Refusal, SimulatedPayment, route

WORDS = {"open": "PENDING", "processing": "PENDING", "captured": "SUCCESSFUL", "declined": "FAILED"}
STATUS = {"done": "SUCCESSFUL", "pending": "PENDING", "declined": "FAILED"}


class MomoSimulator(ProviderSimulator[SimulatedPayment]):
    """Collections and Disbursements."""

    provider = "momo"
    port = 9202
    title = "Mobile money"
    words = WORDS

    @route("POST", "/{product}/token/")
    def token(self, call: Call) -> Any:
        owner = self.owner(lambda one: call.basic == (one.account.config.api_user, one.account.config.api_key.reveal()))
        return {
            "access_token": self.tokens.issue(f"{owner} {call.path['product']}"),
            "token_type": "access_token",
            "expires_in": 3600,
        }

    @route("POST", "/collection/v1_0/requesttopay")
    def ask(self, call: Call) -> Any:
        owner, body = self._owner(call, "collection"), call.json()
        if body["payer"]["partyId"].endswith("0000"):
            raise Refusal(400, "PAYER_NOT_FOUND")
        self.ledger.open(owner, body["externalId"], body["amount"], body["currency"], id=_uuid(call))
        return web.Response(status=202)

    @route("GET", "/collection/v1_0/requesttopay/{id}")
    def status(self, call: Call) -> Any:
        payment = self.ledger.get(call.path["id"], self._owner(call, "collection"))
        paid = payment.captured or payment.asked
        shown = {"amount": paid, "currency": payment.currency, "externalId": payment.payment_id}
        reason = {"reason": "APPROVAL_REJECTED"} if payment.state == "declined" else {}
        return {**shown, "status": self.word(payment, call), **reason}

    @route("POST", "/disbursement/v1_0/refund")
    def refund(self, call: Call) -> Any:
        owner, body, ident = self._owner(call, "disbursement"), call.json(), _uuid(call)
        if self._refund(ident, owner) is not None:
            raise Refusal(409, "RESOURCE_ALREADY_EXIST")
        payment = self.ledger.get(body["referenceIdToRefund"], owner)
        self.ledger.refund(payment, body["amount"], id=ident, pending=call.fault.pending)
        payment.said[ident] = body["externalId"]
        return web.Response(status=202)

    @route("GET", "/disbursement/v1_0/refund/{id}")
    def refund_status(self, call: Call) -> Any:
        found = self._refund(call.path["id"], self._owner(call, "disbursement"))
        if found is None:
            raise Refusal(404, "RESOURCE_NOT_FOUND")
        payment, effect = found
        reason = {"reason": "PAYEE_NOT_FOUND"} if effect.state == "declined" else {}
        shown = {"amount": effect.amount, "currency": payment.currency, "externalId": payment.said[effect.id]}
        return {**shown, "status": call.fault.status_word or STATUS[effect.state], **reason}

    def refused(self, refusal: Refusal) -> web.Response:
        return web.json_response({"code": refusal.code}, status=refusal.status)

    def _owner(self, call: Call, product: str) -> str:
        owner, _, allowed = self.tokens.owner(call.bearer).rpartition(" ")
        if allowed != product:
            raise Refusal(401, "ACCESS_DENIED")
        key: gateway.Secret = self.accounts[owner].account.config.subscription_key
        if call.header("Ocp-Apim-Subscription-Key") != key.reveal():
            raise Refusal(401, "ACCESS_DENIED")
        return owner

    def _refund(self, ident: str, owner: str) -> tuple[SimulatedPayment, Effect] | None:
        mine = (payment for payment in self.ledger if payment.owner == owner)
        return next(((payment, one) for payment in mine for one in payment.effects if one.id == ident), None)


def _uuid(call: Call) -> str:
    given = call.header("X-Reference-Id")
    try:
        if UUID(given).version == 4:
            return given
    except ValueError:
        pass
    raise Refusal(400, "INVALID_REFERENCE")
