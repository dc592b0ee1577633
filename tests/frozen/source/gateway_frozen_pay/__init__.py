"""Frozen Pay.

Cards on a page of the provider; money is taken on shipment; signed callbacks report what happened.

Source: replace this line by the name, version and address of the provider's API description.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import gateway
import msgspec

TITLE = "Frozen Pay"
SIGNATURE = "Frozen-Pay-Signature"
"""``t=SECONDS,v1=HEX``: HMAC-SHA-256 over ``SECONDS.BODY``."""

TOLERANCE = timedelta(minutes=5)
"""How far a signature's time may be from ours: an older one may be a repetition by somebody else."""

STAGES = {
    "open": gateway.Stage.AWAITING_CUSTOMER,
    "authorized": gateway.Stage.AUTHORIZED,
    "captured": gateway.Stage.CAPTURED,
    "voided": gateway.Stage.CANCELED,
    "failed": gateway.Stage.FAILED,
}
"""Every status the provider documents. A word that is missing here moves nothing."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account's ``config``: where the provider is, the key of our calls, and the key of its callbacks."""

    base_url: str
    api_key: gateway.Secret
    webhook_secret: gateway.Secret

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for an address that paths cannot be appended to."""
        gateway.base_url(self.base_url, "base_url")


Id = Annotated[str, msgspec.Meta(min_length=1)]


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """One refund. ``reference`` is our operation id."""

    id: Id
    reference: Id
    status: str


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment. ``order`` is our payment id; amounts are in the currency's smallest unit, cents of USD."""

    id: str
    order: str
    status: str
    amount: int
    captured: int
    refunded: int
    currency: str
    page: str | None = None
    capture_id: str | None = None
    refunds: tuple[Refund, ...] = ()


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a callback: its own id, and the payment as it is now."""

    id: str
    payment: Payment


class Adapter(gateway.Provider):
    """Authorize, capture, void, refund. A refund is accepted first; a callback or a lookup tells its outcome."""

    name = "frozen_pay"
    account_type = Config
    commands = frozenset(
        {
            gateway.CreatePayment,
            gateway.FetchPayment,
            gateway.CapturePayment,
            gateway.CancelPayment,
            gateway.RefundPayment,
        }
    )
    fields: Mapping[str, gateway.FieldRule] = {
        "description": gateway.FieldRule(source="merchant_reference", meaning="what the customer reads"),
        "email": gateway.FieldRule(source="customer.email", meaning="where the receipt goes"),
    }

    def rules(self, account: gateway.Account) -> gateway.Rules:  # noqa: ARG002  # the same for every account
        """An authorization is voided or captured in part, and lapses after a week."""
        return gateway.Rules(
            absence_proves=True,
            partial_capture=True,
            cancel_from=frozenset({gateway.State.AUTHORIZED}),
            capture_deadline=timedelta(days=7),
        )

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        """Turn a command into a request. The operation's id makes the provider carry it out once."""
        of_payment = f"payments/{command.payment_id}"
        amount = {"amount": command.money.minor_units()}
        match command:
            case gateway.CreatePayment():
                own = {member.key: member.value for member in gateway.fill(account.fields, command)}
                urls = {"return_url": command.urls.return_, "webhook_url": command.urls.callback}
                ours = {**amount, "currency": command.money.currency, "order": command.payment_id}
                return _post("payments", account, command.operation_id, {**own, **ours, **urls})
            case gateway.CapturePayment():
                return _post(f"{of_payment}/capture", account, command.operation_id, amount)
            case gateway.CancelPayment():
                return _post(f"{of_payment}/void", account, command.operation_id, {})
            case gateway.RefundPayment():
                capture = command.memory.get("capture_id", "none")
                whole = {**amount, "reference": command.operation_id}
                return _post(f"captures/{capture}/refunds", account, command.operation_id, whole)
            case _:
                return gateway.HttpRequest(method="GET", url=_url(of_payment, account), headers=_headers(account))

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined | gateway.Pending | gateway.Absent:
        """Read an answer. What is not the provider's JSON raises ``OutcomeUnknown``: it proves nothing."""
        if response.status >= 300:
            refusal = gateway.read_refusal(response, "error", [account.config.api_key], by=TITLE)
            is_absent = response.status == 404 and isinstance(command, gateway.FetchPayment)
            return gateway.Absent() if is_absent else refusal
        payment = gateway.read_answer(response, Payment)
        if payment.order != command.payment_id:
            raise gateway.OutcomeUnknown("the answer is about another payment")
        try:
            seen = _observe(payment, account)
        except ValueError:
            raise gateway.OutcomeUnknown("the currency is not known here") from None
        return gateway.Pending(observation=seen) if response.status == 202 else seen

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Event | gateway.Hint:
        """Prove the signature and its time, then read the body. The gateway compares amount and currency."""
        if callback.payment_id is not None:
            return gateway.Hint()  # the browser's return: the address named the payment, and nothing else is proved
        if callback.method != "POST":
            raise gateway.CallbackRejected(gateway.Reason.METHOD)
        signed_at = _proved(callback, account.config.webhook_secret)
        if abs(callback.received_at - signed_at) > TOLERANCE:
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the signature is not of this time")
        try:
            notice = gateway.read_json(callback.body, Notice)
            seen = _observe(notice.payment, account)
        except ValueError:
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the body is not a notice") from None
        return gateway.Event(event_id=notice.id, observation=seen)

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:  # noqa: ARG002
        """Answer by status alone: 204 for all that was judged, since the provider repeats what has no 2xx."""
        return gateway.status_answer(verdict, refused=204, unauthentic=401)


def _proved(callback: gateway.Callback, secret: gateway.Secret) -> datetime:
    """Return the signature's time. Raises ``CallbackRejected``: never believe anything before this."""
    given = gateway.header(callback.headers, SIGNATURE)
    stamp, _, mac = given[0].removeprefix("t=").partition(",v1=") if len(given) == 1 else ("", "", "")
    wanted = hmac.new(secret.reveal().encode(), f"{stamp}.".encode() + callback.body, hashlib.sha256).hexdigest()
    if not gateway.same(mac, wanted) or not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 11):
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the signature is wrong")
    return datetime.fromtimestamp(int(stamp), UTC)


def _url(path: str, account: gateway.Account) -> str:
    return f"{gateway.base_url(account.config.base_url)}/{path}"


def _headers(account: gateway.Account) -> gateway.Headers:
    return (("Authorization", f"Bearer {account.config.api_key.reveal()}"), ("Content-Type", "application/json"))


def _post(path: str, account: gateway.Account, operation_id: str, members: Mapping[str, object]) -> gateway.HttpRequest:
    headers = (*_headers(account), ("Idempotency-Key", operation_id))
    return gateway.HttpRequest(method="POST", url=_url(path, account), headers=headers, body=gateway.dumps(members))


def _observe(payment: Payment, account: gateway.Account) -> gateway.Observation:
    """State the facts. Raises ``ValueError`` for a currency that is not known here."""

    def amount(units: int) -> Decimal:
        return account.money(units, payment.currency).amount

    return gateway.Observation(
        stage=STAGES.get(payment.status, gateway.Stage.UNKNOWN),
        payment_id=payment.order,
        provider_reference=payment.id,
        currency=payment.currency,
        amount=amount(payment.amount),
        captured=amount(payment.captured),
        refunded=amount(payment.refunded),
        redirect_url=payment.page,
        raw_status=payment.status,
        memory={} if payment.capture_id is None else {"capture_id": payment.capture_id},
        operations=tuple(map(_outcome, payment.refunds)),
    )


def _outcome(refund: Refund) -> gateway.OperationOutcome:
    outcomes: dict[str, gateway.Succeeded | gateway.Declined] = {
        "done": gateway.Succeeded(),
        "refused": gateway.Declined(code="refused", message="the refund was refused"),
    }
    return gateway.OperationOutcome(
        operation_id=refund.reference, provider_id=refund.id, outcome=outcomes.get(refund.status)
    )


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    """Offer the provider."""
    return [Adapter()]


@gateway.hookimpl
def gateway_simulators() -> list[gateway.Simulator]:
    """Offer its simulator, for development."""
    # Imported here: a web server is loaded only when one is wanted.
    from gateway_frozen_pay.simulator import Simulator

    return [Simulator.offer()]
