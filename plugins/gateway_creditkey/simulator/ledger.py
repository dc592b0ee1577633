"""The simulator's ledger: Credit Key's orders and rules, without HTTP. Written from its documents alone.

It shares no code with the adapter, so that a misreading shows. Amounts are exact dollars. Codes and texts that Credit
Key does not document are this simulator's choice; a client must not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

import gateway
from gateway import testing
from gateway.testing import Refusal

Message = Mapping[str, Any]
PLACEHOLDER = "%CKKEY%"
RISE_LIMIT = Decimal("100.00")


class Fault(testing.Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kit's faults; ``operation`` is Credit Key's name. ``duplicate_return``: the return URL is called once more by
    the simulator itself. ``pended``: an approval waits for Credit Key's staff. ``complete_method`` calls the complete
    address. The rest is which way the simulator goes where Credit Key documents nothing.
    """

    duplicate_return: bool = False
    pended: bool = False
    complete_method: Literal["GET", "POST"] = "GET"
    cancel_after_confirm_status: Literal[200, 400] = 400
    confirm_needs_completion: bool = False
    partial_refund_status: Literal["shipped", "returned"] = "shipped"
    refund_cancels: bool = False
    refund_moves_sum: bool = True
    string_booleans: bool = False
    seed_merchant_order_id: bool = True


class SimulatedOrder(testing.SimulatedPayment, kw_only=True):
    """One order in Credit Key's ledger. ``accepted_amount``: what a rise is measured from. ``completed``: the
    merchant completed the checkout. ``notifications``: mails and texts sent. ``history``: what happened, in order."""

    remote_id: str | None
    remote_customer_id: str | None
    mode: str
    amount: Decimal
    accepted_amount: Decimal
    charges: Message
    items: list[Message]
    shipping_address: Message | None
    order_complete_url: str | None
    merchant_data: Message
    merchant_order_id: str | None = None
    merchant_status: str | None = None
    state: str = "new"
    capture_status: str | None = None
    refunded_amount: Decimal = Decimal("0.00")
    completed: bool = False
    pended: bool = False
    notifications: list[dict[str, Any]] = msgspec.field(default_factory=list)
    history: list[dict[str, Any]] = msgspec.field(default_factory=list)

    def wire(self) -> dict[str, Any]:
        """The order as every operation answers it."""
        return {
            "id": self.id,
            "status": self.state,
            "capture_status": self.capture_status,
            "amount": number(self.amount),
            "refunded_amount": number(self.refunded_amount),
            "merchant_order_id": self.merchant_order_id,
            "merchant_status": self.merchant_status,
            "items": self.items,
            "shipping_address": self.shipping_address,
        }


class OrderEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a test may change in the ledger by hand."""

    status: str | msgspec.UnsetType = msgspec.UNSET
    capture_status: str | msgspec.UnsetType | None = msgspec.UNSET
    amount: Decimal | msgspec.UnsetType = msgspec.UNSET
    accepted_amount: Decimal | msgspec.UnsetType = msgspec.UNSET
    refunded_amount: Decimal | msgspec.UnsetType = msgspec.UNSET
    merchant_order_id: str | msgspec.UnsetType | None = msgspec.UNSET
    merchant_status: str | msgspec.UnsetType | None = msgspec.UNSET
    completed: bool | msgspec.UnsetType = msgspec.UNSET


class Ledger(testing.Ledger[SimulatedOrder]):
    """The ledger and its operations: a merchant's message in, an answer's members out, else ``Refusal``."""

    def __init__(self, now: Callable[[], datetime], first_key: int) -> None:
        super().__init__(SimulatedOrder, now)
        self._first_key = first_key

    def begin(self, merchant: str, message: Message, fault: Fault) -> dict[str, Any]:
        """Open a checkout; in link mode the customer is notified."""
        mode = _one_of(message, "mode", ("link", "redirect"))
        charges = _required(message, "charges", dict)
        amount = _amount(charges, "grand_total")
        _amount(charges, "total", at_least=Decimal(0))
        return_url = _required(message, "return_url", str)
        if PLACEHOLDER not in return_url:
            raise Refusal(400, "return_url must contain %CKKEY%")
        sent = _notifications(message) if mode == "link" else []
        _required(message, "billing_address", dict)
        remote_id = message.get("remote_id")
        order = self.open(
            merchant,
            str(remote_id or ""),
            amount,
            "USD",
            id=f"CK-TST{self._first_key + len(self.payments)}",
            remote_id=remote_id,
            remote_customer_id=message.get("remote_customer_id"),
            mode=mode,
            amount=amount,
            accepted_amount=amount,
            charges=charges,
            items=_items(_required(message, "cart_items", list)),
            shipping_address=message.get("shipping_address"),
            return_url=return_url,
            order_complete_url=message.get("order_complete_url"),
            cancel_url=message.get("cancel_url"),
            merchant_data=message.get("merchant_data") or {},
            merchant_order_id=remote_id if fault.seed_merchant_order_id else None,
            notifications=sent,
            history=[{"event": "begun"}],
        )
        return {"id": order.id}

    def complete(self, merchant: str, message: Message, fault: Fault) -> dict[str, Any]:
        """Make the payment, once the customer has accepted."""
        order = self._of(merchant, message)
        success = order.state not in ("new", "canceled")
        if success and not order.completed:
            order.completed = True
            order.history.append({"event": "completed"})
        return {"success": str(success).lower() if fault.string_booleans else success}

    def confirm(self, merchant: str, message: Message, fault: Fault) -> dict[str, Any]:
        """Capture ``charges.grand_total``, once."""
        order = self._of(merchant, message)
        reference = _reference(message)
        if order.capture_status == "captured":
            raise Refusal(400, "order already confirmed")
        if order.state != "placed" or (fault.confirm_needs_completion and not order.completed):
            raise Refusal(400, "order is not ready to be confirmed")
        self._change(order, message, reference, message.get("cart_items") or message.get("cart_contents"))
        order.state, order.capture_status = "shipped", "captured"
        order.history.append({"event": "confirmed", "amount": order.amount})
        self.note(order, "capture", order.amount)
        return order.wire()

    def update(self, merchant: str, message: Message, _fault: Fault) -> dict[str, Any]:
        """Change an order before it is confirmed; nobody is notified."""
        order = self._of(merchant, message)
        reference = _reference(message)
        if order.state not in ("new", "placed"):
            raise Refusal(400, "order cannot be updated")
        self._change(order, message, reference, message.get("cart_items"))
        order.history.append({"event": "updated", "amount": order.amount})
        return order.wire()

    def cancel_order(self, merchant: str, message: Message, fault: Fault) -> dict[str, Any]:
        """Close an order before it is confirmed; the customer is notified."""
        order = self._of(merchant, message)
        if order.capture_status == "captured":
            if fault.cancel_after_confirm_status == 200:
                return order.wire()
            raise Refusal(fault.cancel_after_confirm_status, "order already confirmed")
        if order.state not in ("new", "placed"):
            raise Refusal(400, "order cannot be canceled")
        order.state = "canceled"
        order.notifications.append({"kind": "order_canceled"})
        order.history.append({"event": "canceled"})
        self.note(order, "cancel", order.amount)
        return order.wire()

    def refund_order(self, merchant: str, message: Message, fault: Fault) -> dict[str, Any]:
        """Give ``amount`` back, after the order was confirmed; where a refund cancels, before it too."""
        order = self._of(merchant, message)
        amount = _amount(message, "amount")
        if order.capture_status != "captured" and not (fault.refund_cancels and order.state == "placed"):
            raise Refusal(400, "order is not confirmed")
        if order.refunded_amount + amount > order.amount:
            raise Refusal(400, "amount is more than is left")
        if fault.refund_moves_sum:
            order.refunded_amount += amount
        order.state = "returned" if order.refunded_amount == order.amount else fault.partial_refund_status
        if fault.refund_cancels:
            order.state = "canceled"
        order.history.append({"event": "refunded", "amount": amount})
        self.note(order, "refund", amount)
        return order.wire()

    def find_order(self, merchant: str, message: Message, _fault: Fault) -> dict[str, Any]:
        """Show the order of a key."""
        return self._of(merchant, message).wire()

    def find_by_reference(self, merchant: str, message: Message, _fault: Fault) -> dict[str, Any]:
        """Show the newest order that carries the merchant's number."""
        reference = _required(message, "merchant_order_id", str)
        for order in reversed(self.payments.values()):
            if (order.owner, order.merchant_order_id) == (merchant, reference):
                return order.wire()
        raise Refusal(404, "not found")

    def approve(self, key: str) -> SimulatedOrder:
        """Let the customer accept, or Credit Key's staff clear a pended application. Again changes nothing."""
        order = self.get(key)
        if order.state == "canceled":
            raise Refusal(409, "the order is canceled")
        if order.state == "new":
            order.state, order.capture_status, order.pended = "placed", "authorized", False
            order.accepted_amount = order.amount
            order.history.append({"event": "approved"})
            self.note(order, "authorize", order.amount)
        return order

    def pend(self, key: str) -> SimulatedOrder:
        """Take the customer's application; Credit Key's staff decide later."""
        order = self.get(key)
        if order.state == "new":
            order.pended = True
            order.history.append({"event": "pended"})
        return order

    def edit(self, key: str, changes: OrderEdit) -> SimulatedOrder:
        """Change the ledger by hand, as Credit Key's staff or clock would."""
        order = self.get(key)
        for name, value in msgspec.structs.asdict(changes).items():
            if value is not msgspec.UNSET:
                setattr(order, "state" if name == "status" else name, value)
        order.history.append({"event": "edited"})
        return order

    def _of(self, merchant: str, message: Message) -> SimulatedOrder:
        return self.get(_required(message, "id", str), merchant)

    def _change(self, order: SimulatedOrder, message: Message, reference: str, items: object) -> None:
        charges = _required(message, "charges", dict)
        amount = _amount(charges, "grand_total")
        if amount - order.accepted_amount > RISE_LIMIT:
            raise Refusal(400, "amount increase exceeds limit")
        if items:
            order.items = _items(items)
        order.amount, order.charges, order.merchant_order_id = amount, charges, reference
        order.merchant_status = message.get("merchant_status") or order.merchant_status
        order.shipping_address = message.get("shipping_address") or order.shipping_address


def number(amount: Decimal) -> gateway.JsonNumber:
    """Write dollars as a JSON number with two decimals."""
    return gateway.JsonNumber(f"{amount:.2f}")


def _required(message: Message, name: str, kind: type) -> Any:
    value = message.get(name)
    if not value:
        raise Refusal(400, f"{name} is required")
    if not isinstance(value, kind):
        raise Refusal(400, f"{name} is invalid")
    return value


def _reference(message: Message) -> str:
    reference = message.get("merchant_order_id")
    if not isinstance(reference, str) or not reference:
        raise Refusal(400, "merchant order id is required")
    return reference


def _one_of(message: Message, name: str, words: tuple[str, ...]) -> str:
    value = _required(message, name, str)
    if value not in words:
        raise Refusal(400, f"{name} is invalid")
    return str(value)


def _amount(message: Message, name: str, at_least: Decimal = Decimal("0.01")) -> Decimal:
    value = message.get(name)
    if not isinstance(value, gateway.JsonNumber):
        raise Refusal(400, f"{name} must be a number")
    amount = value.decimal()
    if amount < at_least or amount != round(amount, 2):
        raise Refusal(400, f"{name} is invalid")
    return amount


def _items(items: object) -> list[Message]:
    """Keep the lines as they are answered: the product's key goes by another name there."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Refusal(400, "cart_items is invalid")
    if not all(item.get("merchant_id") and item.get("name") for item in items):
        raise Refusal(400, "cart_items need merchant_id and name")
    return [{"merchant_product_id" if key == "merchant_id" else key: item[key] for key in item} for item in items]


def _notifications(message: Message) -> list[dict[str, Any]]:
    """Say who gets the link: the customer by mail or text, the sales representative on request."""
    data = message.get("merchant_data") or {}
    via = _one_of({"contact_method": "email", **data}, "contact_method", ("email", "phone"))
    billing = _required(message, "billing_address", dict)
    sent = [{"kind": "link", "via": via, "to": _required(billing, "email" if via == "email" else "phone_number", str)}]
    if data.get("cc_rep") in (True, "true"):
        sent.append({"kind": "link_copy", "via": "email", "to": data.get("csr")})
    return sent
