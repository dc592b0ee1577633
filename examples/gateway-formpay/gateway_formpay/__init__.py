"""Form Pay: the customer's browser posts a signed form to the page, and comes back with a signed form.

No call begins a payment. The server is told as well, by a callback of the same form. Every form is signed by an HMAC
over its values, in the order of their names. Modelled on PayU, Paytm and Redsys.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode

import msgspec

import gateway

FORM = "application/x-www-form-urlencoded"
STAGES = {
    "pending": gateway.Stage.PROCESSING,
    "success": gateway.Stage.CAPTURED,
    "failure": gateway.Stage.FAILED,
}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account's ``config``. ``key`` signs both ways."""

    base_url: str
    merchant: str
    key: gateway.Secret

    def __post_init__(self) -> None:
        gateway.base_url(self.base_url, "base_url")


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """A payment, as the browser, callbacks and lookups bring it. ``txnid`` is our payment id."""

    txnid: str
    payment: str
    status: str
    amount: gateway.Amount
    currency: str
    refunded: gateway.Amount


def sign(key: gateway.Secret, values: Mapping[str, str]) -> str:
    """The signature over all values but itself."""
    signed = urlencode(sorted((name, value) for name, value in values.items() if name != "hash"))
    return hmac.new(key.reveal().encode(), signed.encode(), hashlib.sha512).hexdigest()


class FormPay(gateway.Provider):
    name = "formpay"
    account_type = Config
    commands = frozenset({gateway.CreatePayment, gateway.FetchPayment, gateway.RefundPayment})
    fields: Mapping[str, gateway.FieldRule] = {
        "txnid": gateway.FieldRule(source="payment_id", mandatory=True, locked=True, meaning="our payment id"),
        "productinfo": gateway.FieldRule(source="merchant_reference", mandatory=True, meaning="what is paid"),
        "firstname": gateway.FieldRule(source="customer.name", meaning="who pays"),
        "email": gateway.FieldRule(source="customer.email", meaning="where the receipt goes"),
    }

    def rules(self, account: gateway.Account) -> gateway.Rules:  # noqa: ARG002  # alike for all
        return gateway.Rules(currencies=frozenset({"INR", "EUR"}))

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest | gateway.Observation:
        config: Config = account.config
        if isinstance(command, gateway.CreatePayment):
            return gateway.Observation(
                stage=gateway.Stage.AWAITING_CUSTOMER,
                payment_id=command.payment_id,
                form=gateway.Form(url=f"{config.base_url}/pay", fields=_form(command, account)),
            )
        asked, path = {"merchant": config.merchant, "txnid": command.payment_id}, "verify"
        if isinstance(command, gateway.RefundPayment):
            asked, path = {**asked, "token": command.operation_id, "amount": command.money.text()}, "refund"
        body = urlencode({**asked, "hash": sign(config.key, asked)}).encode()
        url = f"{config.base_url}/{path}"
        return gateway.HttpRequest(method="POST", url=url, headers=(("Content-Type", FORM),), body=body)

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined | gateway.Absent:
        if response.status != 200:
            refusal = gateway.read_refusal(response, "error", gateway.secrets_of(account.config), by="Form Pay")
            is_absent = response.status == 404 and isinstance(command, gateway.FetchPayment)
            return gateway.Absent() if is_absent else refusal
        return _observed(gateway.read_answer(response, Paid))

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Event | gateway.Hint:
        """Take the signed form from the server or from the browser; a browser that brings nothing is a hint."""
        if callback.method != "POST":
            if callback.payment_id is None:
                raise gateway.CallbackRejected(gateway.Reason.METHOD)
            return gateway.Hint()
        values = _values(callback.body)
        if not gateway.same(values.get("hash", ""), sign(account.config.key, values)):
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the hash is wrong")
        try:
            amounts = {name: gateway.Amount.read(values.get(name)) for name in ("amount", "refunded")}
            paid = msgspec.convert({**values, **amounts}, Paid)
        except (ValueError, msgspec.ValidationError):
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the form is not a payment") from None
        return gateway.Event(event_id=f"{paid.payment} {paid.status} {paid.refunded}", observation=_observed(paid))

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:  # noqa: ARG002
        # 200 also for what was proved and refused: a repetition would be judged alike
        return gateway.status_answer(verdict, stored=200, refused=200, unauthentic=401)


def _form(command: gateway.CreatePayment, account: gateway.Account) -> dict[str, str]:
    config: Config = account.config
    fields = {
        **{member.key: str(member.value) for member in gateway.fill(account.fields, command)},
        "merchant": config.merchant,
        "amount": command.money.text(),
        "currency": command.money.currency,
        "surl": command.urls.return_,
        "furl": command.urls.return_,
        "curl": command.urls.cancel,
        "notify": command.urls.callback,
    }
    return {**fields, "hash": sign(config.key, fields)}


def _values(body: bytes) -> dict[str, str]:
    """Read a form. A value written twice is refused: the hash would cover one, and we might believe the other."""
    try:
        read = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=50)
        return {name: value for name, (value,) in read.items()}
    except ValueError:
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the body is not a form") from None


def _observed(paid: Paid) -> gateway.Observation:
    stage = STAGES.get(paid.status, gateway.Stage.UNKNOWN)
    return gateway.Observation(
        stage=stage,
        payment_id=paid.txnid,
        provider_reference=paid.payment,
        currency=paid.currency,
        amount=paid.amount,
        captured=paid.amount if stage is gateway.Stage.CAPTURED else None,
        refunded=paid.refunded,
        raw_status=paid.status,
    )


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    return [FormPay()]


@gateway.hookimpl
def gateway_simulators() -> list[gateway.Simulator]:
    from gateway_formpay.simulator import FormPaySimulator  # loads a web server: only when one is wanted

    return [FormPaySimulator.offer()]
