"""Sandbox: a whole provider in one file, written as an outside author would write it, from ``import gateway`` alone.

It takes a payment and a refund as signed JSON, and reports by a signed callback that a payment was paid or has failed.
The signature is HMAC-SHA-256 in hex over the raw body, in the header ``X-Sandbox-Sign``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

import msgspec

import gateway

SIGN = "X-Sandbox-Sign"
STAGES = {"paid": gateway.Stage.CAPTURED, "failed": gateway.Stage.FAILED}


class SandboxConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account's ``config``: where the provider is, and the key that both sides sign with."""

    base_url: str
    key: gateway.Secret

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for an address that paths cannot be appended to."""
        gateway.base_url(self.base_url, "base_url")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider answers: its id of the payment, the customer's page, the sum of all refunds."""

    id: str
    page: str | None = None
    refunded: gateway.Amount | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider calls back with. ``notice`` is the id of the callback, ``order`` the gateway's payment id."""

    notice: str
    id: str
    order: str
    status: str
    amount: gateway.Amount
    currency: str


def sign(body: bytes, key: gateway.Secret) -> str:
    """Return the signature of a body."""
    return hmac.new(key.reveal().encode(), body, hashlib.sha256).hexdigest()


class Sandbox(gateway.Provider):
    """The adapter. Which settings an account has, what is allowed and what is sent where: each is one member."""

    name = "sandbox"
    account_type = SandboxConfig
    commands = frozenset({gateway.CreatePayment, gateway.RefundPayment})
    fields: Mapping[str, gateway.FieldRule] = {
        "order": gateway.FieldRule(mandatory=True, locked=True, source="payment_id"),
        "email": gateway.FieldRule(source="customer.email"),
    }

    def credentials(self, account: gateway.Account) -> Mapping[str, str | gateway.Secret]:
        """The provider must know the key."""
        return {"key": account.config.key}

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        """Sign a payment or a refund."""
        money = {"amount": command.money.text(), "currency": command.money.currency}
        if isinstance(command, gateway.CreatePayment):
            own = {member.key: member.value for member in gateway.fill(account.fields, command)}
            return _post("payments", {**own, **money, "callback": command.urls.callback}, account)
        return _post("refunds", {"id": command.provider_reference, **money}, account)

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined:
        """Read an answer. What is not the provider's JSON raises ``OutcomeUnknown``: it proves nothing."""
        if response.status != 200:
            return gateway.read_refusal(response, "error", [account.config.key], by="the sandbox")
        answer = gateway.read_answer(response, Answer)
        is_create = isinstance(command, gateway.CreatePayment)
        return gateway.Observation(
            stage=gateway.Stage.AWAITING_CUSTOMER if is_create else gateway.Stage.CAPTURED,
            provider_reference=answer.id,
            redirect_url=answer.page,
            refunded=answer.refunded,
        )

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Event:
        """Prove the signature first, then read the body. The gateway compares amount and currency with the payment."""
        given = gateway.header(callback.headers, SIGN)
        if len(given) != 1 or not gateway.same(given[0], sign(callback.body, account.config.key)):
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the signature is wrong")
        try:
            notice = gateway.read_json(callback.body, Notice)
        except ValueError:
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the body is not a notice") from None
        stage = STAGES.get(notice.status)
        observation = gateway.Observation(
            stage=stage or gateway.Stage.UNKNOWN,
            payment_id=notice.order,
            provider_reference=notice.id,
            currency=notice.currency,
            amount=notice.amount,
            raw_status=notice.status,
        )
        problem = gateway.Reason.STATUS if stage is None else None
        return gateway.Event(event_id=notice.notice, observation=observation, problem=problem)

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:  # noqa: ARG002
        """Answer by status alone. What is not answered 200 is repeated, and what was proved would be judged alike."""
        return gateway.status_answer(verdict, stored=200, refused=200, unauthentic=401)


def _post(path: str, members: Mapping[str, str | None], account: gateway.Account) -> gateway.HttpRequest:
    body = gateway.dumps(members)
    headers = (("Content-Type", "application/json"), (SIGN, sign(body, account.config.key)))
    url = f"{gateway.base_url(account.config.base_url)}/{path}"
    return gateway.HttpRequest(method="POST", url=url, headers=headers, body=body)


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    """Offer the sandbox."""
    return [Sandbox()]
