"""Credit Key's answers as facts: ``parse``, a Struct per answer, and what an order's members say about the payment.

Amounts are dollars, as numbers or decimal text. What cannot be read raises ``OutcomeUnknown``.
Source: Credit Key's PHP SDK (``Api``, ``Models/Order``), its Odoo and WooCommerce plugins.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

import msgspec

import gateway
from gateway_creditkey.config import CreditKeyConfig

Answer = gateway.Observation | gateway.Declined | gateway.Absent

STAGES = {
    "new": gateway.Stage.AWAITING_CUSTOMER,
    **dict.fromkeys(("placed", "authorized"), gateway.Stage.AUTHORIZED),
    **dict.fromkeys(("shipped", "returned", "refunded"), gateway.Stage.CAPTURED),
    "canceled": gateway.Stage.CANCELED,
}
"""Credit Key's ``status``; any other word is unknown and moves no money."""

ORDER_KEY = re.compile(r"[!-~]{1,64}")
OrderKey = Annotated[str, msgspec.Meta(pattern=rf"\A{ORDER_KEY.pattern}\Z")]
"""Credit Key's id of an order. Opaque; its documents show ``CK-12345``. It can be guessed, so it is not a secret."""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What names an order: in answers, and in the body that Credit Key may post to the complete address."""

    id: OrderKey


class Begun(Named, frozen=True, kw_only=True):
    """Answer of ``begin_standalone_checkout``: the order's key and the customer's page."""

    checkout_url: str


class Order(Named, frozen=True, kw_only=True):
    """Answer of ``find_order*``, ``confirm_order``, ``update_order``, ``cancel_order`` and ``refund``."""

    status: Any = None
    capture_status: Any = None
    amount: Any = None
    refunded_amount: Any = None
    merchant_order_id: Any = None
    charges: dict[str, Any] | None = None

    @property
    def stage(self) -> gateway.Stage:
        """What ``status`` means by itself."""
        return STAGES.get(str(self.status), gateway.Stage.UNKNOWN)


def parse(command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account) -> Answer:
    """Read an answer; success is status 200 alone. Raises ``OutcomeUnknown`` for what is not Credit Key's JSON."""
    config: CreditKeyConfig = account.config
    if response.status != 200:
        refusal = gateway.read_refusal(response, "result", gateway.secrets_of(config), by="credit key")
        is_absent = response.status == 404 and isinstance(command, gateway.FetchPayment)
        return gateway.Absent() if is_absent else refusal
    match command:
        case gateway.CreatePayment(checkout=checkout):
            begun = gateway.read_answer(response, Begun)
            return gateway.Observation(
                stage=gateway.Stage.AWAITING_CUSTOMER,
                provider_reference=begun.id,
                redirect_url=begun.checkout_url,
                customer_notified=config.is_link(checkout),
            )
        case gateway.CompletePayment():
            return _completed(command, gateway.json_object(response).get("success"))
        case _:
            return _order(command, gateway.read_answer(response, Order), config)


def _completed(command: gateway.CompletePayment, success: object) -> Answer:
    """Whether the checkout is completed; where the order stands then, only a lookup shows."""
    match success:
        case True | "true":  # Credit Key's own WooCommerce plugin expects text booleans as well
            return gateway.Observation(stage=gateway.Stage.UNKNOWN, provider_reference=command.provider_reference)
        case False | "false":
            return gateway.Declined(code="not_completed", message="the customer has not completed the checkout")
        case _:
            raise gateway.OutcomeUnknown("success is neither true nor false")


def _order(command: gateway.Command, order: Order, config: CreditKeyConfig) -> gateway.Observation:
    """The order as it stands. The gateway decides whether that shows the effect of the command."""
    refunded = gateway.read_amount(order.refunded_amount, 2, "refunded_amount")
    amount = gateway.read_amount(order.amount, 2, "amount")
    if amount is None:
        amount = gateway.read_amount((order.charges or {}).get("grand_total"), 2, "charges.grand_total")
    stage = _stage(command, order, refunded)
    raw_status, unknown_status = _status_words(command, order, config)
    # A lookup that finds the order shows that the customer was notified, even if the create's answer was lost.
    checkout = command.checkout if isinstance(command, gateway.FetchPayment) else None
    return gateway.Observation(
        stage=stage,
        provider_reference=order.id,
        merchant_reference=gateway.read_id(order.merchant_order_id, "merchant_order_id") or None,
        currency="USD",
        amount=amount,
        captured={gateway.Stage.UNKNOWN: None, gateway.Stage.CAPTURED: amount}.get(stage, Decimal("0.00")),
        refunded=refunded,
        customer_notified=None if checkout is None else config.is_link(checkout),
        raw_status=raw_status,
        unknown_status=unknown_status,
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


def _status_words(command: gateway.Command, order: Order, config: CreditKeyConfig) -> tuple[str | None, str | None]:
    """The status as Credit Key calls it, and, where it moves nothing, in words for people.

    A status that is not a text makes an answer to a command unreadable, but not a lookup.
    """
    if order.stage is gateway.Stage.CANCELED:  # a refund's answer may say so: a known word, although it shows no stage
        return order.status, "canceled, but captured" if order.capture_status == "captured" else ""
    if order.stage is not gateway.Stage.UNKNOWN:
        return order.status, None
    if not (order.status is None or isinstance(order.status, str) or isinstance(command, gateway.FetchPayment)):
        raise gateway.OutcomeUnknown("status is not a text")
    secrets = gateway.secrets_of(config)
    return gateway.clean_message(order.status, secrets, 64) or None, gateway.status_word(order.status, secrets)
