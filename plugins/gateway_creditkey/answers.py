"""Credit Key's answers as facts: a Struct per answer, its members as exact values, what they say of the payment.

Unknown members are ignored; amounts are dollars, as numbers or decimal text. What cannot be read raises
``OutcomeUnknown``. Source: Credit Key's PHP SDK (``Api``, ``Models/Order``), its Odoo and WooCommerce plugins.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote, quote_plus

import msgspec

import gateway
from gateway_creditkey.account import CreditKeyConfig

ORDER_KEY = re.compile(r"[!-~]{1,64}")
MAX_MESSAGE = 500
MAX_CODE = 64

STAGES = {
    "new": gateway.Stage.AWAITING_CUSTOMER,
    "placed": gateway.Stage.AUTHORIZED,
    "authorized": gateway.Stage.AUTHORIZED,
    "shipped": gateway.Stage.CAPTURED,
    "canceled": gateway.Stage.CANCELED,
    "returned": gateway.Stage.CAPTURED,
    "refunded": gateway.Stage.CAPTURED,
}
"""Credit Key's ``status``; any other word is unknown and moves no money."""

OrderKey = Annotated[str, msgspec.Meta(pattern=rf"\A{ORDER_KEY.pattern}\Z")]
"""Credit Key's id of an order. Opaque; its documents show ``CK-12345``. It can be guessed: it is no secret."""


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``begin_standalone_checkout``: the order's key and the customer's page."""

    id: OrderKey
    checkout_url: str


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``complete_checkout``. Credit Key's own WooCommerce plugin expects text booleans as well."""

    success: bool | Literal["true", "false"]


class Charges(msgspec.Struct, frozen=True, kw_only=True):
    """The one member of ``charges`` that is read, where ``amount`` is absent."""

    grand_total: Any = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``find_order*``, ``confirm_order``, ``update_order``, ``cancel_order`` and ``refund``."""

    id: OrderKey
    status: Any = None
    capture_status: Any = None
    amount: Any = None
    refunded_amount: Any = None
    merchant_order_id: Any = None
    charges: Charges | None = None


Answer = TypeVar("Answer", Begun, Completed, Order)


def refused(
    command: gateway.Command, response: gateway.HttpResponse, config: CreditKeyConfig
) -> gateway.Declined | gateway.Absent:
    """Read a definite no: a client error with a JSON object under its media type. Its text is only shown.

    Any object is enough for a no, so the media type has to show that the object is Credit Key's, not a proxy's.
    """
    if response.status not in (400, 401, 403, 404, 422):
        raise gateway.OutcomeUnknown(f"credit key answered {response.status}")
    if gateway.media_type(response.headers) != "application/json":
        raise _unreadable(f"status {response.status} without json")
    result = _json_object(response).get("result")
    if response.status == 404 and isinstance(command, gateway.FetchPayment):
        return gateway.Absent()
    said = _shown(result, config) if isinstance(result, str) else ""
    code, message = said[:MAX_CODE].strip(), said or f"credit key answered {response.status}"
    return gateway.Declined(code=code or str(response.status), message=message)


def begun(response: gateway.HttpResponse, config: CreditKeyConfig, *, is_link: bool) -> gateway.Observation:
    """Read a checkout that waits for the customer; in link mode Credit Key has written to them."""
    answer = _read(response, Begun, config)
    return gateway.Observation(
        stage=gateway.Stage.AWAITING_CUSTOMER,
        provider_reference=answer.id,
        redirect_url=answer.checkout_url,
        customer_notified=is_link,
    )


def completed(
    command: gateway.CompletePayment, response: gateway.HttpResponse, config: CreditKeyConfig
) -> gateway.Observation | gateway.Declined:
    """Read whether the checkout is completed; where the order stands then, only a lookup shows."""
    if _read(response, Completed, config).success in (True, "true"):
        return gateway.Observation(stage=gateway.Stage.UNKNOWN, provider_reference=command.provider_reference)
    return gateway.Declined(code="not_completed", message="the customer has not completed the checkout")


def order(command: gateway.Command, response: gateway.HttpResponse, config: CreditKeyConfig) -> gateway.Observation:
    """Read an order. Whether it shows that the command was done is judged elsewhere."""
    answer = _read(response, Order, config)
    amount = _amount(answer.amount, "amount")
    if amount is None and answer.charges is not None:
        amount = _amount(answer.charges.grand_total, "charges.grand_total")
    refunded = _amount(answer.refunded_amount, "refunded_amount")
    stage = _stage(answer)
    if isinstance(command, gateway.RefundPayment):
        stage = _stage_of_refund(answer, refunded)
    return gateway.Observation(
        stage=stage,
        provider_reference=answer.id,
        merchant_reference=_reference(answer.merchant_order_id),
        currency="USD",
        amount=amount,
        captured=_captured(stage, amount),
        refunded=refunded,
        raw_status=_raw_status(command, answer, config),
        unknown_status=_unknown_status(answer, config),
    )


def usable_key(given: object) -> str | None:
    """Return an order key that a visitor named, None when it cannot be one."""
    return given if isinstance(given, str) and ORDER_KEY.fullmatch(given) else None


def _stage(answer: Order) -> gateway.Stage:
    """Combine both statuses; words that are new or contradict each other move nothing."""
    stage = _named(answer.status)
    if answer.capture_status != "captured" or stage is gateway.Stage.UNKNOWN:
        return stage
    return gateway.Stage.UNKNOWN if stage is gateway.Stage.CANCELED else gateway.Stage.CAPTURED


def _stage_of_refund(answer: Order, refunded: Decimal | None) -> gateway.Stage:
    """Read a refund's answer by its sum: ``shipped``, ``returned`` and ``canceled`` have all been seen in it."""
    if answer.status == "canceled":
        return gateway.Stage.UNKNOWN
    return gateway.Stage.CAPTURED if refunded else _stage(answer)


def _named(status: object) -> gateway.Stage:
    return STAGES.get(status, gateway.Stage.UNKNOWN) if isinstance(status, str) else gateway.Stage.UNKNOWN


def _raw_status(command: gateway.Command, answer: Order, config: CreditKeyConfig) -> str | None:
    """The status as one short line. One that is no text makes an answer to a command unreadable; a lookup notes it."""
    if isinstance(answer.status, str):
        return _shown(answer.status, config)[:MAX_CODE].strip() or None
    if answer.status is not None and not isinstance(command, gateway.FetchPayment):
        raise _unreadable("status is not a text")
    return None


def _unknown_status(answer: Order, config: CreditKeyConfig) -> str | None:
    """The status that moves nothing, for people; both, where only together they say what is wrong."""
    if _named(answer.status) is gateway.Stage.UNKNOWN:
        given = answer.status
        return gateway.status_word(_masked(given, config) if isinstance(given, str) else given)
    if answer.status != "canceled":
        return None
    # A refund's answer may say so: a word that is known, although it shows no stage.
    return "canceled, but captured" if answer.capture_status == "captured" else ""


def _captured(stage: gateway.Stage, amount: Decimal | None) -> Decimal | None:
    if stage is gateway.Stage.UNKNOWN:
        return None
    return amount if stage is gateway.Stage.CAPTURED else Decimal("0.00")


def _read(response: gateway.HttpResponse, kind: type[Answer], config: CreditKeyConfig) -> Answer:
    try:
        return msgspec.convert(_json_object(response), kind)
    except msgspec.ValidationError as problem:
        raise _unreadable(_shown(str(problem), config)) from None


def _json_object(response: gateway.HttpResponse) -> dict[str, Any]:
    """Members of a JSON body; HTML, broken JSON and other values say nothing about what was done."""
    try:
        body = gateway.json_of(response)
    except gateway.NotStrictJson as problem:
        raise _unreadable(f"status {response.status}, {problem}") from None
    if not isinstance(body, dict):
        raise _unreadable(f"status {response.status} without a json object")
    return body


def _amount(given: object, name: str) -> Decimal | None:
    if given is None:
        return None
    try:
        exact = given.decimal() if isinstance(given, gateway.JsonNumber) else gateway.Amount.read(given)
        amount = gateway.Money.of(exact, "USD", 2).amount
    except (ValueError, ArithmeticError):  # decimal's own errors are ArithmeticError
        raise _unreadable(f"{name} is no amount in dollars") from None
    if amount < 0:
        raise _unreadable(f"{name} is negative")
    return amount


def _reference(given: object) -> str | None:
    """Read the merchant's order number; one that was sent as text may come back as a number."""
    if isinstance(given, gateway.JsonNumber):
        return given.text
    if given is None or isinstance(given, str):
        return given or None
    raise _unreadable("merchant_order_id is no text")


def _shown(text: str, config: CreditKeyConfig) -> str:
    """Return a provider's text as one short line; a key it quotes back, as it is or as in a query, is masked."""
    masked = _masked(text, config)
    return "".join(one if one.isprintable() else " " for one in masked)[:MAX_MESSAGE].strip()


def _masked(text: str, config: CreditKeyConfig) -> str:
    """Mask keys. Where one comes together when somebody drops what is unseen, it is dropped here, and masked."""
    joined = "".join(filter(str.isprintable, text))
    masked = _without_keys(joined, config)
    return masked if masked != joined else _without_keys(text, config)


def _without_keys(text: str, config: CreditKeyConfig) -> str:
    keys = {key.reveal() for key in (config.public_key, config.shared_secret)}
    forms = {form for key in keys for form in (key, quote(key, safe=""), quote_plus(key)) if form}
    for form in sorted(forms, key=len, reverse=True):  # a key may be part of the other
        text = text.replace(form, "***")
    return text


def _unreadable(what: str) -> gateway.OutcomeUnknown:
    return gateway.OutcomeUnknown(f"credit key's answer cannot be read: {what}")
