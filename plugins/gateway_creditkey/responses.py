"""Credit Key's answers as facts: ``parse``, a Struct per answer, and what an order's members say about the payment.

Amounts are dollars, as numbers or decimal text. What cannot be read raises ``OutcomeUnknown``.
Source: Credit Key's PHP SDK (``Api``, ``Models/Order``), its Odoo and WooCommerce plugins.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import replace

import gateway
from gateway_creditkey.config import CreditKeyConfig

MAX_CODE = 64
REFUSALS = frozenset({400, 401, 403, 404, 422})
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

ORDER_KEY = re.compile(r"[!-~]{1,64}")
OrderKey = Annotated[str, msgspec.Meta(pattern=rf"\A{ORDER_KEY.pattern}\Z")]
"""Credit Key's id of an order. Opaque; its documents show ``CK-12345``. It can be guessed, so it is not a secret."""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the body that Credit Key may post to the complete address."""

    id: OrderKey


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

    @property
    def stage(self) -> gateway.Stage:
        """What ``status`` means by itself."""
        return STAGES.get(self.status, gateway.Stage.UNKNOWN) if isinstance(self.status, str) else gateway.Stage.UNKNOWN


def parse(
    command: gateway.Command, response: gateway.HttpResponse, config: CreditKeyConfig
) -> gateway.Observation | gateway.Declined | gateway.Absent:
    """Read an answer; success is status 200 alone. Raises ``OutcomeUnknown`` for what is not Credit Key's JSON."""
    if response.status != 200:
        return _refused(command, response, config)
    match command:
        case gateway.CreatePayment():
            return _begun(command, gateway.read_answer(response, Begun), config)
        case gateway.CompletePayment():
            return _completed(command, gateway.read_answer(response, Completed))
        case gateway.FetchPayment(checkout=checkout) if checkout is not None:
            order = _order(command, gateway.read_answer(response, Order), config)
            # The order exists, so Credit Key has notified the customer, even if the answer to the create was lost.
            return replace(order, customer_notified=config.is_link(checkout))
        case _:
            return _order(command, gateway.read_answer(response, Order), config)


def _refused(
    command: gateway.Command, response: gateway.HttpResponse, config: CreditKeyConfig
) -> gateway.Declined | gateway.Absent:
    """Read a definite no: a client error with a JSON object under its media type. Its text is only shown.

    Any object is enough for a no, so the media type has to show that the object is Credit Key's, not a proxy's.
    """
    said = f"credit key answered {response.status}"
    if response.status not in REFUSALS or gateway.media_type(response.headers) != "application/json":
        raise gateway.OutcomeUnknown(f"{said}, and not with a refusal in application/json")
    message = gateway.clean_message(gateway.json_object(response).get("result"), config.secrets)
    if response.status == 404 and isinstance(command, gateway.FetchPayment):
        return gateway.Absent()
    return gateway.Declined(code=message[:MAX_CODE].strip() or str(response.status), message=message or said)


def _begun(command: gateway.CreatePayment, answer: Begun, config: CreditKeyConfig) -> gateway.Observation:
    """The checkout waits for the customer; in link mode Credit Key has written to them."""
    return gateway.Observation(
        stage=gateway.Stage.AWAITING_CUSTOMER,
        provider_reference=answer.id,
        redirect_url=answer.checkout_url,
        customer_notified=config.is_link(command.checkout),
    )


def _completed(command: gateway.CompletePayment, answer: Completed) -> gateway.Observation | gateway.Declined:
    """Whether the checkout is completed; where the order stands then, only a lookup shows."""
    if answer.success in (True, "true"):
        return gateway.Observation(stage=gateway.Stage.UNKNOWN, provider_reference=command.provider_reference)
    return gateway.Declined(code="not_completed", message="the customer has not completed the checkout")


def _order(command: gateway.Command, order: Order, config: CreditKeyConfig) -> gateway.Observation:
    """The order as it stands. The gateway decides whether that shows the effect of the command."""
    refunded, amount = _dollars(order.refunded_amount, "refunded_amount"), _dollars(order.amount, "amount")
    if amount is None and order.charges is not None:
        amount = _dollars(order.charges.grand_total, "charges.grand_total")
    stage = _stage(command, order, refunded)
    captured = {gateway.Stage.UNKNOWN: None, gateway.Stage.CAPTURED: amount}.get(stage, Decimal("0.00"))
    return gateway.Observation(
        stage=stage,
        provider_reference=order.id,
        merchant_reference=_reference(order.merchant_order_id),
        currency="USD",
        amount=amount,
        captured=captured,
        refunded=refunded,
        raw_status=_raw_status(command, order, config),
        unknown_status=_unknown_status(order, config),
    )


def _stage(command: gateway.Command, order: Order, refunded: Decimal | None) -> gateway.Stage:
    """Combine both statuses; words that are new or contradict each other move nothing.

    A refund's answer is read by its sum: ``shipped``, ``returned`` and ``canceled`` have all been seen in it.
    """
    is_refund, is_captured = isinstance(command, gateway.RefundPayment), order.capture_status == "captured"
    if order.stage is gateway.Stage.CANCELED and (is_refund or is_captured):
        return gateway.Stage.UNKNOWN
    if is_refund and refunded:
        return gateway.Stage.CAPTURED
    return gateway.Stage.CAPTURED if is_captured and order.stage is not gateway.Stage.UNKNOWN else order.stage


def _raw_status(command: gateway.Command, order: Order, config: CreditKeyConfig) -> str | None:
    """The status as one short line. One that is not a text makes an answer to a command unreadable, not a lookup."""
    if order.stage is not gateway.Stage.UNKNOWN:
        return str(order.status)
    if order.status is None or isinstance(order.status, str) or isinstance(command, gateway.FetchPayment):
        return gateway.clean_message(order.status, config.secrets, MAX_CODE) or None
    raise gateway.OutcomeUnknown("status is not a text")


def _unknown_status(order: Order, config: CreditKeyConfig) -> str | None:
    """The status that moves nothing, for people; both, where only together they say what is wrong."""
    if order.stage is gateway.Stage.UNKNOWN:
        masked = gateway.clean_message(order.status, config.secrets)
        return gateway.status_word(masked if "***" in masked else order.status)  # a key is masked before it is cut
    if order.stage is not gateway.Stage.CANCELED:
        return None
    # A refund's answer may say so: a word that is known, although it shows no stage.
    return "canceled, but captured" if order.capture_status == "captured" else ""


def _dollars(given: object, name: str) -> Decimal | None:
    try:
        dollars = None if given is None else gateway.Money.of(gateway.decimal_of(given), "USD", 2).amount
    except ValueError as problem:
        raise gateway.OutcomeUnknown(f"{name} {problem}") from None
    if dollars is not None and dollars < 0:
        raise gateway.OutcomeUnknown(f"{name} is negative")
    return dollars


def _reference(given: object) -> str | None:
    """The merchant's order number; one that was sent as text may come back as a number."""
    if given is None or isinstance(given, str | gateway.JsonNumber):
        return (given.text if isinstance(given, gateway.JsonNumber) else given) or None
    raise gateway.OutcomeUnknown("merchant_order_id is not a text")
