"""Sandbox: a provider of nobody's, written as an outside author would, from the gateway's public door alone.

It takes a payment and a refund as signed JSON and says by a signed callback that a payment was paid. The signature is
HMAC-SHA-256 in hex over the raw body, in the header ``X-Sandbox-Sign``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import assert_never

import msgspec

import gateway

SIGN = "X-Sandbox-Sign"
STAGES = {"paid": gateway.Stage.CAPTURED, "failed": gateway.Stage.FAILED}


class SandboxConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account's ``config``: where the provider is, and the key both sides sign with."""

    base_url: str
    key: gateway.Secret


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider answers: its id of the payment, the customer's page, the refunded total."""

    id: str
    page: str | None = None
    refunded: str | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider calls back with."""

    notice: str
    id: str
    order: str
    status: str
    amount: str
    currency: str


def sign(body: bytes, key: gateway.Secret) -> str:
    """Return the signature of a body."""
    return hmac.new(key.reveal().encode(), body, hashlib.sha256).hexdigest()


class Sandbox:
    """The adapter."""

    name = "sandbox"
    account_type: type[msgspec.Struct] = SandboxConfig
    commands: frozenset[type[gateway.Command]] = frozenset({gateway.CreatePayment, gateway.RefundPayment})
    fields: Mapping[str, gateway.FieldRule] = {
        "order": gateway.FieldRule(mandatory=True, locked=True, source="payment_id"),
        "email": gateway.FieldRule(source="customer.email"),
    }
    secret_headers = frozenset({SIGN.lower()})

    def rules(self, account: gateway.Account) -> gateway.Rules:  # noqa: ARG002  # the protocol's signature
        """Allow whatever the gateway allows."""
        return gateway.Rules()

    def credentials(self, account: gateway.Account) -> Mapping[str, str | gateway.Secret]:
        """The provider must know the key."""
        return {"key": account.config.key}

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        """Sign a payment or a refund."""
        members = {"amount": command.money.text(), "currency": command.money.currency}
        if isinstance(command, gateway.CreatePayment):
            own = {member.key: member.value for member in gateway.fill(account.fields, command)}
            return _post("payments", {**own, **members, "callback": command.urls.callback}, account)
        return _post("refunds", {"id": command.provider_reference, **members}, account)

    def parse(
        self,
        command: gateway.Command,
        response: gateway.HttpResponse,
        account: gateway.Account,  # noqa: ARG002  # the protocol's signature
    ) -> gateway.Observation | gateway.Declined:
        """Read an answer; a refusal is JSON too."""
        try:
            if response.status != 200:
                return gateway.Declined(code=str(response.status), message="the sandbox says no")
            answer = msgspec.json.decode(response.body, type=Answer)
        except msgspec.MsgspecError:
            raise gateway.OutcomeUnknown("the answer cannot be read") from None
        is_create = isinstance(command, gateway.CreatePayment)
        return gateway.Observation(
            stage=gateway.Stage.AWAITING_CUSTOMER if is_create else gateway.Stage.CAPTURED,
            provider_reference=answer.id,
            redirect_url=answer.page,
            refunded=None if answer.refunded is None else gateway.Amount.read(answer.refunded),
        )

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Event:
        """Believe a callback whose signature is right."""
        given = gateway.header(callback.headers, SIGN)
        if len(given) != 1 or not gateway.same(given[0], sign(callback.body, account.config.key)):
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC)
        told = msgspec.json.decode(callback.body, type=Told)
        stage = STAGES.get(told.status)
        seen = gateway.Observation(
            stage=stage or gateway.Stage.UNKNOWN,
            payment_id=told.order,
            provider_reference=told.id,
            currency=told.currency,
            amount=gateway.Amount.read(told.amount),
        )
        return gateway.Event(
            event_id=told.notice, observation=seen, problem=gateway.Reason.STATUS if stage is None else None
        )

    def answer(
        self,
        verdict: gateway.Verdict,
        callback: gateway.Callback,  # noqa: ARG002  # the protocol's signature
    ) -> gateway.HttpResponse:
        """Answer by status alone."""
        match verdict:
            case gateway.Recorded() | gateway.Repeated():
                return gateway.HttpResponse(status=200)
            case gateway.Refused():
                return gateway.HttpResponse(status=400)
            case gateway.Busy():
                return gateway.HttpResponse(status=503)
        assert_never(verdict)


def _post(path: str, members: Mapping[str, str | None], account: gateway.Account) -> gateway.HttpRequest:
    body = gateway.dumps(members)
    headers = (("Content-Type", "application/json"), (SIGN, sign(body, account.config.key)))
    return gateway.HttpRequest(method="POST", url=f"{account.config.base_url}/{path}", headers=headers, body=body)


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    """Offer the sandbox."""
    return [Sandbox()]
