"""A simulator of AcquireLite for development. It signs and counts minor units with code of its own."""

from __future__ import annotations

import hmac
import uuid
from decimal import Decimal
from typing import Any

import gateway
from gateway.testing import Call, Effect, ProviderSimulator, Refusal, SimulatedPayment, route

WORDS = {"authorized": "Authorized", "captured": "Captured", "canceled": "Voided"}
DIGITS = {"JPY": 0, "KWD": 3}
TYPES = {"capture": "payment_captured", "cancel": "payment_voided", "refund": "payment_refunded"}
APPROVED = {"done": True, "pending": None, "declined": False}


class Session(SimulatedPayment, kw_only=True):
    """A page, and the attempt on it that succeeded."""

    attempt: str | None = None


class AcquireLiteSimulator(ProviderSimulator[Session]):
    """Sessions, payments, actions, webhooks."""

    provider = "acquirelite"
    port = 9201
    title = "AcquireLite"
    payment_type = Session
    many_captures = True
    words = WORDS

    @route("POST", "/oauth/token")
    def token(self, call: Call) -> Any:
        owner = self.owner(lambda one: call.basic == (one.account.config.client_id, _reveal(one, "client_secret")))
        return {"access_token": self.tokens.issue(owner), "token_type": "Bearer", "expires_in": 3600}

    @route("POST", "/payment-sessions", repeats="Acq-Idempotency-Key")
    def create(self, call: Call) -> Any:
        owner = self.tokens.owner(call.bearer)
        body = call.json()
        said = self.named(owner, body)
        if body["processing_channel_id"] != self.accounts[owner].account.config.channel:
            raise Refusal(422, "processing_channel_invalid")
        made = self.ledger.open(
            owner,
            said["reference"],
            _major(said["amount"], said["currency"]),
            said["currency"],
            id=f"ses_{uuid.uuid4().hex}",
            captures=body["capture"],
            return_url=body["success_url"],
            cancel_url=body["cancel_url"],
        )
        return 201, self._session(call, made)

    @route("GET", "/payment-sessions/{id}")
    def session(self, call: Call) -> Any:
        owner, ident = self.tokens.owner(call.bearer), call.path["id"]
        found = self.ledger.find(owner, id=ident) or self.ledger.find(owner, payment_id=ident)
        if found is None:
            raise Refusal(404, "not_found")
        return self._session(call, found)

    @route("GET", "/payments/{id}")
    def payment(self, call: Call) -> Any:
        payment = self._attempt(call)
        totals = {"captured": payment.captured, "refunded": payment.refunded, "disputed": payment.disputed}
        word = "Partially Captured" if payment.state == "authorized" and payment.captured else None
        return {
            "id": payment.attempt,
            "reference": payment.payment_id,
            "status": call.fault.status_word or word or self.word(payment, call),
            "amount": _minor(payment.total("authorize", "done") or payment.captured, payment.currency),
            "currency": payment.currency,
            "balances": {name: _minor(total, payment.currency) for name, total in totals.items()},
            "actions": [_action(one) for one in payment.effects if one.id.startswith("act_")],
        }

    @route("POST", "/payments/{id}/captures", repeats="Acq-Idempotency-Key")
    def capture(self, call: Call) -> Any:
        payment, body = self._attempt(call), call.json()
        amount, name = _major(body["amount"], payment.currency), f"act_{body['reference']}"
        pending = call.fault.pending
        return self._accepted(
            call, payment, self.ledger.capture(payment, amount, id=name, pending=pending, last=body["final"])
        )

    @route("POST", "/payments/{id}/voids", repeats="Acq-Idempotency-Key")
    def void(self, call: Call) -> Any:
        payment = self._attempt(call)
        return self._accepted(call, payment, self.ledger.cancel(payment, id=f"act_{call.json()['reference']}"))

    @route("POST", "/payments/{id}/refunds", repeats="Acq-Idempotency-Key")
    def refund(self, call: Call) -> Any:
        payment, body = self._attempt(call), call.json()
        amount, name = _major(body["amount"], payment.currency), f"act_{body['reference']}"
        return self._accepted(call, payment, self.ledger.refund(payment, amount, id=name, pending=call.fault.pending))

    @route("POST", "/portal/{reference}/disputes")
    async def dispute(self, call: Call) -> Any:
        """A cardholder takes money back; not a route of the gateway's."""
        payment = self.ledger.find(payment_id=call.path["reference"])
        if payment is None:
            raise Refusal(404, "not_found")
        self.ledger.dispute(payment, call.json().get("amount"))
        return await self.notify(payment, "dispute")

    def act(self, payment: Session, does: str) -> None:
        super().act(payment, does)
        if does.startswith("pay"):
            payment.attempt = f"pmt_{uuid.uuid4().hex}"

    def refused(self, refusal: Refusal) -> Any:
        return super().refused(refusal) if refusal.status == 401 else _refusal(refusal)

    def callback(self, payment: Session, what: str) -> gateway.HttpRequest | None:
        """What happened, as a batch; a payment that is captured at once brings two entries."""
        if what == "decline":
            entries = [self._entry(payment, "payment_declined", payment.asked)]
        elif what.startswith("pay"):
            paid = payment.effects[-1].amount
            entries = [self._entry(payment, "payment_approved", paid)]
            if payment.captures:
                entries.append(self._entry(payment, "payment_captured", paid))
        elif what == "dispute":
            entries = [self._entry(payment, "payment_disputed", payment.disputed)]
        else:
            effect = next(one for one in reversed(payment.effects) if one.kind == what)
            if effect.state == "pending":
                return None
            suffix = "" if effect.state == "done" else "_declined"
            entries = [{**self._entry(payment, TYPES[what] + suffix, effect.amount), "action": _action(effect)}]
        body = gateway.dumps({"events": entries})
        owner = self.accounts[payment.owner]
        signed = hmac.digest(_reveal(owner, "webhook_key").encode(), body, "sha256").hex()
        headers = (("Content-Type", "application/json"), ("Acq-Signature", signed))
        return gateway.HttpRequest(method="POST", url=owner.callback_url, headers=headers, body=body)

    def _entry(self, payment: Session, kind: str, amount: Decimal) -> dict[str, Any]:
        return {
            "id": f"evt_{uuid.uuid4().hex}",
            "type": kind,
            "created_on": self.clock.now().isoformat(),
            "payment": payment.attempt or "pmt_declined",
            "reference": payment.payment_id,
            "amount": _minor(amount, payment.currency),
            "currency": payment.currency,
        }

    def _attempt(self, call: Call) -> Session:
        found = self.ledger.find(self.tokens.owner(call.bearer), attempt=call.path["id"])
        if found is None:
            raise Refusal(404, "not_found")
        return found

    def _session(self, call: Call, made: Session) -> dict[str, Any]:
        page = self.page_url(call, made)
        return {"id": made.id, "reference": made.payment_id, "page": page, "payment": made.attempt}

    def _accepted(self, call: Call, payment: Session, effect: Effect) -> Any:
        call.notify(payment, effect.kind)
        return 202, {**_action(effect), "approved": None}


def _action(effect: Effect) -> dict[str, Any]:
    approved = APPROVED[effect.state]
    reason = "issuer_declined" if approved is False else ""
    return {"id": effect.id, "reference": effect.id.removeprefix("act_"), "approved": approved, "reason": reason}


def _refusal(refusal: Refusal) -> Any:
    from aiohttp import web

    return web.json_response({"error_type": refusal.code}, status=refusal.status)


def _major(units: gateway.JsonNumber, currency: str) -> Decimal:
    return units.decimal().scaleb(-DIGITS.get(currency, 2))


def _minor(amount: Decimal, currency: str) -> int:
    return int(amount.scaleb(DIGITS.get(currency, 2)))


def _reveal(one: gateway.SimulatedAccount, name: str) -> str:
    secret: gateway.Secret = getattr(one.account.config, name)
    return secret.reveal()
