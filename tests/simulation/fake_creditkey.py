"""A fake Credit Key: a ledger of orders and of the effects on each, with the operation that caused it.

Written from the wire contract alone. The final checks compare the gateway's store with this ledger.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from gateway.core.wire import HttpRequest, HttpResponse
from tests.simulation.environment import Environment
from tests.simulation.network import JSON
from tests.simulation.outgoing_calls import OutgoingCalls

MAX_INCREASE = Decimal(100)
KINDS = {
    "begin_standalone_checkout": "create",
    "complete_checkout": "complete",
    "confirm_order": "capture",
    "update_order": "update",
    "cancel_order": "cancel",
    "refund": "refund",
}
_encoder = msgspec.json.Encoder(decimal_format="number")


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A change of an order. ``by``: the operation's id, or ``portal``, ``clock``, ``customer``."""

    kind: str
    by: str
    amount: Decimal


class Order(msgspec.Struct, kw_only=True):
    """One order. ``payment_id`` is read from the customer's return URL."""

    key: str
    merchant: str
    payment_id: str
    number: str | None
    amount: Decimal
    accepted: Decimal
    urls: dict[str, str]
    status: str = "new"
    capture_status: str | None = None
    completed: bool = False
    refunded: Decimal = Decimal("0.00")
    effects: list[Effect] = []

    def add_effect(self, kind: str, by: str, amount: Decimal) -> None:
        """Record an effect."""
        self.effects.append(Effect(kind=kind, by=by, amount=amount))

    def by(self, operation: str, kind: str | None = None) -> list[Effect]:
        """Return the effects of one operation."""
        return [effect for effect in self.effects if effect.by == operation and kind in (None, effect.kind)]


class Refusal(Exception):
    """The provider declines a call."""

    def __init__(self, status: int, result: str) -> None:
        super().__init__(result)
        self.status = status


class FakeCreditKey:
    """The ledger. ``order_created`` is called for each new order."""

    def __init__(
        self, env: Environment, outgoing_calls: OutgoingCalls, order_created: Callable[[Order], None], *, findable: bool
    ) -> None:
        self._env = env
        self._outgoing_calls = outgoing_calls
        self._order_created = order_created
        self._findable = findable
        self._dice = env.dice("credit key")
        self.orders: dict[str, Order] = {}
        self.refusals: set[str] = set()

    def admit(self, request: HttpRequest, *, leaves: bool) -> str:
        """Find the operation a call belongs to, before the call leaves."""
        operation = _operation(request)
        if operation not in KINDS or not leaves:
            return operation
        return self._outgoing_calls.assign(self._payment_of(operation, json.loads(request.body)), KINDS[operation])

    def handle(self, request: HttpRequest, tag: str) -> HttpResponse:
        """Serve one call."""
        operation = _operation(request)
        message = _message(request)
        try:
            answer = getattr(self, operation)(message, tag)
        except Refusal as refusal:
            self.refusals.add(tag)
            self._env.note(f"credit key refuses {operation} {tag}: {refusal}")
            return HttpResponse(status=refusal.status, headers=JSON, body=_encoder.encode({"result": str(refusal)}))
        return HttpResponse(status=200, headers=JSON, body=_encoder.encode(answer))

    def begin_standalone_checkout(self, message: dict[str, Any], by: str) -> dict[str, Any]:
        """Open a checkout and send the customer a link."""
        if self._dice.random() < 0.05:
            raise Refusal(self._dice.choice((400, 422)), "the buyer cannot be served")
        amount = Decimal(message["charges"]["grand_total"])
        urls = {name: message[name] for name in ("return_url", "cancel_url", "order_complete_url")}
        order = Order(
            key=f"CK-{len(self.orders) + 1000}",
            merchant=message["public_key"],
            payment_id=payment_of(urls["return_url"]),
            number=message["remote_id"] if self._findable else None,
            amount=amount,
            accepted=amount,
            urls=urls,
        )
        self.orders[order.key] = order
        order.add_effect("create", by, amount)
        self._order_created(order)
        return {"id": order.key, "checkout_url": f"https://creditkey.example/pay/{order.key}"}

    def complete_checkout(self, message: dict[str, Any], by: str) -> dict[str, Any]:
        """Complete a checkout that the customer has accepted."""
        order = self._order(message)
        success = order.status not in ("new", "canceled")
        if success and not order.completed:
            order.completed = True
            order.add_effect("complete", by, order.amount)
        if not success:
            self.refusals.add(by)
        return {"success": success}

    def confirm_order(self, message: dict[str, Any], by: str) -> dict[str, Any]:
        """Capture, once."""
        order = self._order(message)
        if order.status != "placed" or not order.completed:
            raise Refusal(400, f"an order that is {order.status} cannot be confirmed")
        self._change(order, message)
        self.capture(order, by)
        return _wire(order)

    def capture(self, order: Order, by: str) -> None:
        """Capture an order."""
        order.status, order.capture_status = "shipped", "captured"
        order.add_effect("capture", by, order.amount)

    def update_order(self, message: dict[str, Any], by: str) -> dict[str, Any]:
        """Change an order before it is confirmed."""
        order = self._order(message)
        if order.status not in ("new", "placed"):
            raise Refusal(400, f"an order that is {order.status} cannot be updated")
        self._change(order, message)
        order.add_effect("update", by, order.amount)
        return _wire(order)

    def cancel_order(self, message: dict[str, Any], by: str) -> dict[str, Any]:
        """Close an order before it is confirmed."""
        order = self._order(message)
        if order.status not in ("new", "placed"):
            raise Refusal(400, f"an order that is {order.status} cannot be canceled")
        self.cancel(order, by)
        return _wire(order)

    def cancel(self, order: Order, by: str) -> None:
        """Cancel an order."""
        order.status = "canceled"
        order.add_effect("cancel", by, order.amount)

    def refund(self, message: dict[str, Any], by: str) -> dict[str, Any]:
        """Refund. Exceeding the capture is a violation, unless the portal refunded as well."""
        order = self._order(message)
        amount = Decimal(message["amount"])
        if order.capture_status != "captured":
            raise Refusal(400, "the order is not confirmed")
        if order.refunded + amount > order.amount:
            if not order.by("portal", "refund"):
                self._env.violated(f"refunds above what was captured: {order.key} {amount} after {order.refunded}")
            raise Refusal(400, "more than is left")
        self.give_back(order, amount, by)
        return _wire(order)

    def give_back(self, order: Order, amount: Decimal, by: str) -> None:
        """Record a refund."""
        order.refunded += amount
        order.status = "returned" if order.refunded == order.amount else "shipped"
        order.add_effect("refund", by, amount)

    def find_order(self, message: dict[str, Any], _tag: str) -> dict[str, Any]:
        """Return the order of a key."""
        return _wire(self._order(message))

    def find_order_by_merchant_order_id(self, message: dict[str, Any], _tag: str) -> dict[str, Any]:
        """Return the newest order under a merchant's order number."""
        wanted = (message["public_key"], message["merchant_order_id"])
        found = [order for order in self.orders.values() if (order.merchant, order.number) == wanted]
        if not found:
            raise Refusal(404, "not found")
        return _wire(found[-1])

    def _payment_of(self, operation: str, message: dict[str, Any]) -> str:
        if operation == "begin_standalone_checkout":
            return payment_of(message["return_url"])
        return self.orders[message["id"]].payment_id

    def _order(self, message: dict[str, Any]) -> Order:
        order = self.orders.get(message["id"])
        if order is None or order.merchant != message["public_key"]:
            raise Refusal(404, "not found")
        return order

    def _change(self, order: Order, message: dict[str, Any]) -> None:
        amount = Decimal(message["charges"]["grand_total"])
        if amount - order.accepted > MAX_INCREASE:
            raise Refusal(400, "the amount rises too much")
        order.amount, order.number = amount, message["merchant_order_id"]


def payment_of(url: str) -> str:
    """Return the payment of a gateway URL: its id is the first half of the URL's token."""
    token = urlsplit(url).path.rsplit("/", 1)[1]
    return f"pay_{base64.urlsafe_b64decode(token + '=')[:16].hex()}"


def _operation(request: HttpRequest) -> str:
    return urlsplit(request.url).path.rsplit("/", 1)[1]


def _message(request: HttpRequest) -> dict[str, Any]:
    if request.method == "GET":
        return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
    message: dict[str, Any] = json.loads(request.body, parse_float=Decimal, parse_int=Decimal)
    return message


def _wire(order: Order) -> dict[str, Any]:
    return {
        "id": order.key,
        "status": order.status,
        "capture_status": order.capture_status,
        "amount": order.amount,
        "refunded_amount": order.refunded,
        "merchant_order_id": order.number,
        "merchant_status": None,
        "items": [],
        "shipping_address": None,
    }
