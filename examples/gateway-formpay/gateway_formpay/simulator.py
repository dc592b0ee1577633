"""A simulator of Form Pay for development: the page that a form leads to, and the service."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

import gateway
from gateway.testing import Call, ProviderSimulator, Refusal, SimulatedPayment, route

WORDS = {"open": "pending", "processing": "pending", "captured": "success", "declined": "failure"}


class FormPaySimulator(ProviderSimulator[SimulatedPayment]):
    """The page and the service."""

    provider = "formpay"
    port = 9204
    title = "Form Pay"
    words = WORDS

    @route("POST", "/pay")
    def begin(self, call: Call) -> Any:
        """The customer's browser arrives; the page is where the buttons are."""
        owner, form = self._proved(call)
        said = self.named(owner, form)
        made = self.ledger.find(owner, payment_id=said["txnid"]) or self.ledger.open(
            owner,
            said["txnid"],
            form["amount"],
            form["currency"],
            id=f"fp_{uuid.uuid4().hex}",
            return_url=form["surl"],
            cancel_url=form["curl"],
            said={"notify": form["notify"]},
        )
        return web.Response(status=303, headers={"Location": self.page_url(call, made)})

    @route("POST", "/verify")
    def verify(self, call: Call) -> Any:
        payment, _ = self._asked(call)
        return self._shown(payment, self.word(payment, call))

    @route("POST", "/refund")
    def refund(self, call: Call) -> Any:
        payment, form = self._asked(call)
        if all(one.id != form["token"] for one in payment.effects):
            self.ledger.refund(payment, form["amount"], id=form["token"])
        return self._shown(payment, self.word(payment, call))

    def back(self, payment: SimulatedPayment, does: str) -> str | gateway.Form | None:
        """The browser posts the signed outcome to the address of the return."""
        if does == "abandon" or payment.return_url is None:
            return payment.cancel_url
        return gateway.Form(url=payment.return_url, fields=self._signed(payment))

    def callback(self, payment: SimulatedPayment, what: str) -> gateway.HttpRequest | None:  # noqa: ARG002  # one form
        headers = (("Content-Type", "application/x-www-form-urlencoded"),)
        body = urlencode(self._signed(payment)).encode()
        return gateway.HttpRequest(method="POST", url=payment.said["notify"], headers=headers, body=body)

    def _shown(self, payment: SimulatedPayment, word: str) -> dict[str, str]:
        return {
            "txnid": payment.payment_id,
            "payment": payment.id,
            "status": word,
            "amount": str(payment.captured or payment.asked),
            "currency": payment.currency,
            "refunded": str(payment.refunded),
        }

    def _signed(self, payment: SimulatedPayment) -> dict[str, str]:
        shown = self._shown(payment, WORDS[payment.state])
        return {**shown, "hash": _hash(self.accounts[payment.owner], shown)}

    def _asked(self, call: Call) -> tuple[SimulatedPayment, dict[str, str]]:
        owner, form = self._proved(call)
        payment = self.ledger.find(owner, payment_id=form["txnid"])
        if payment is None:
            raise Refusal(404, "no_transaction")
        return payment, form

    def _proved(self, call: Call) -> tuple[str, dict[str, str]]:
        """The account and the values of a signed form."""
        form = call.form()
        given = form.pop("hash", "")
        return self.owner(lambda one: given == _hash(one, form)), form


def _hash(one: gateway.SimulatedAccount, values: Mapping[str, str]) -> str:
    key: gateway.Secret = one.account.config.key
    return hmac.digest(key.reveal().encode(), urlencode(sorted(values.items())).encode(), "sha512").hex()
