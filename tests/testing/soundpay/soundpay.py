"""Sound Pay: a provider without a fault, to plant faults in. OAuth, minor units, several commands, signed callbacks."""

# ruff: noqa: ARG002

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlencode

import msgspec

import gateway

SIGNATURE = "Sound-Signature"
STAGES = {
    "open": gateway.Stage.AWAITING_CUSTOMER,
    "authorized": gateway.Stage.AUTHORIZED,
    "captured": gateway.Stage.CAPTURED,
    "voided": gateway.Stage.CANCELED,
    "failed": gateway.Stage.FAILED,
}
PATHS = {gateway.CapturePayment: "captures", gateway.CancelPayment: "voids", gateway.RefundPayment: "refunds"}


class SoundConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``config`` of an account."""

    base_url: str
    client_id: str
    client_secret: gateway.Secret
    webhook_key: gateway.Secret

    def __post_init__(self) -> None:
        gateway.base_url(self.base_url, "base_url")


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as answers show it; amounts in minor units."""

    id: str
    reference: str
    status: str
    currency: str
    amount: int
    captured: int | None = None
    refunded: int | None = None
    page: str | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A callback."""

    event: str
    payment: Payment


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a login."""

    access_token: str
    lasts: int


class SoundPay(gateway.Provider):
    """The adapter."""

    name = "soundpay"
    account_type = SoundConfig
    commands = frozenset({gateway.CreatePayment, gateway.FetchPayment, *PATHS})
    fields: Mapping[str, gateway.FieldRule] = {
        "reference": gateway.FieldRule(mandatory=True, locked=True, meaning="our payment id"),
        "email": gateway.FieldRule(source="customer.email", meaning="where the receipt goes"),
        "name": gateway.FieldRule(source="customer.name", meaning="the customer's name"),
    }

    def rules(self, account: gateway.Account) -> gateway.Rules:
        return gateway.Rules(cancel_from=frozenset({gateway.State.AUTHORIZED}), partial_capture=True)

    def credentials(self, account: gateway.Account) -> Mapping[str, str | gateway.Secret]:
        return {"client_id": account.config.client_id, "webhook_key": account.config.webhook_key}

    def login(self, account: gateway.Account) -> gateway.HttpRequest:
        config: SoundConfig = account.config
        form = {"client_id": config.client_id, "client_secret": config.client_secret.reveal()}
        headers = (("Content-Type", "application/x-www-form-urlencoded"),)
        return gateway.HttpRequest(
            method="POST", url=f"{config.base_url}/token", headers=headers, body=urlencode(form).encode()
        )

    def parse_login(self, response: gateway.HttpResponse, account: gateway.Account) -> gateway.Session:
        if response.status != 200:
            raise gateway.ProviderError("the login was refused")
        token = gateway.read_answer(response, Token)
        return gateway.Session(token=gateway.Secret(token.access_token), expires_in=token.lasts)

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        base = account.config.base_url
        if isinstance(command, gateway.FetchPayment):
            return self._request("GET", f"{base}/payments/{command.payment_id}", account)
        if isinstance(command, gateway.CreatePayment):
            own = {member.key: member.value for member in gateway.fill(account.fields, command)}
            key = account.fields.key
            body = {
                **own,
                "amount": command.money.minor_units(),
                "currency": command.money.currency,
                key("reference"): command.payment_id,
                "notify": command.urls.callback,
            }
            return self._request("POST", f"{base}/payments", account, command.operation_id, body)
        path = PATHS[type(command)]
        amount = {} if isinstance(command, gateway.CancelPayment) else {"amount": command.money.minor_units()}
        url = f"{base}/payments/{command.payment_id}/{path}"
        return self._request("POST", url, account, command.operation_id, amount)

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined | gateway.Pending | gateway.Absent:
        if response.status >= 400:
            secrets = gateway.secrets_of(account.config)
            refusal = gateway.read_refusal(response, "error", secrets, statuses={400, 401, 402, 403, 404, 422})
            is_absent = response.status == 404 and isinstance(command, gateway.FetchPayment)
            return gateway.Absent() if is_absent else refusal
        if response.status >= 300:
            raise gateway.OutcomeUnknown("a status that the protocol does not use")
        if response.status == 202:
            return gateway.Pending(observation=gateway.Observation(stage=gateway.Stage.UNKNOWN))
        payment = gateway.read_answer(response, Payment)
        if payment.reference != command.payment_id:
            raise gateway.OutcomeUnknown("the answer is about another payment")
        return observe(payment, account)

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Event | gateway.Hint:
        if callback.payment_id is not None:
            return gateway.Hint()
        given = gateway.header(callback.headers, SIGNATURE)
        key: gateway.Secret = account.config.webhook_key
        wanted = hmac.new(key.reveal().encode(), callback.body, hashlib.sha256).hexdigest()
        if len(given) != 1 or not gateway.same(given[0], wanted):
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the signature is wrong")
        try:
            notice = gateway.read_json(callback.body, Notice)
            observation = observe(notice.payment, account)
        except (ValueError, gateway.OutcomeUnknown):
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the body is not a notice") from None
        return gateway.Event(event_id=notice.event, observation=observation)

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:
        match verdict:
            case gateway.Refused(reason=gateway.Reason.UNAUTHENTIC):
                return gateway.HttpResponse(status=401)
            case gateway.Busy(retry_after=seconds):
                return gateway.HttpResponse(status=503, headers=(("Retry-After", str(seconds)),))
        return gateway.HttpResponse(status=200)

    def _request(
        self, method: str, url: str, account: gateway.Account, key: str = "", body: object = None
    ) -> gateway.HttpRequest:
        if account.session is None:
            raise gateway.ProviderError("no session")
        headers = [("Authorization", f"Bearer {account.session.token.reveal()}")]
        if body is not None:
            headers += [("Content-Type", "application/json"), ("Idempotency-Key", key)]
        raw = b"" if body is None else gateway.dumps(body)
        return gateway.HttpRequest(method=method, url=url, headers=tuple(headers), body=raw)


def major(units: int | None, currency: str, account: gateway.Account) -> Decimal | None:
    """Minor units as an amount."""
    if units is None:
        return None
    try:
        money = account.money(units, currency)
    except ValueError:
        raise gateway.OutcomeUnknown("an amount or a currency cannot be read") from None
    if units < 0:
        raise gateway.OutcomeUnknown("an amount is negative")
    return money.amount


def observe(payment: Payment, account: gateway.Account) -> gateway.Observation:
    """State the facts; an unknown status moves nothing."""
    return gateway.Observation(
        stage=STAGES.get(payment.status, gateway.Stage.UNKNOWN),
        payment_id=payment.reference,
        provider_reference=payment.id,
        currency=payment.currency,
        amount=major(payment.amount, payment.currency, account),
        captured=major(payment.captured, payment.currency, account),
        refunded=major(payment.refunded, payment.currency, account),
        redirect_url=payment.page,
        raw_status=payment.status,
    )


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    return [SoundPay()]
