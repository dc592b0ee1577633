"""The simulator's web application: the ecomm API, the hosted page, and routes for tests below ``/_sim``.

``PUT /_sim/orders/{id}`` changes the ledger by hand, ``POST /_sim/orders/{id}/clear`` lets Credit Key's staff clear a
pended application. This module loads aiohttp; only the plugin's simulator hook may import it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

import msgspec
from aiohttp import web

import gateway
from gateway.testing import Call, ProviderSimulator, Refusal, route
from gateway_creditkey.simulator.ledger import PLACEHOLDER, Fault, Ledger, OrderEdit, SimulatedOrder

BEGIN = "begin_standalone_checkout"
OPERATIONS: dict[str, tuple[str, Callable[..., dict[str, Any]]]] = {
    BEGIN: ("POST", Ledger.begin),
    "complete_checkout": ("POST", Ledger.complete),
    "confirm_order": ("POST", Ledger.confirm),
    "update_order": ("POST", Ledger.update),
    "cancel_order": ("POST", Ledger.cancel_order),
    "refund": ("POST", Ledger.refund_order),
    "find_order": ("GET", Ledger.find_order),
    "find_order_by_merchant_order_id": ("GET", Ledger.find_by_reference),
}


class CreditKeySimulator(ProviderSimulator[SimulatedOrder]):
    """Credit Key for every account; order keys count up from ``first_key``."""

    provider, port, title = "creditkey", 9101, "Credit Key"
    payment_type = SimulatedOrder
    fault_type = Fault
    operations = frozenset(OPERATIONS)
    page_path = "/checkout/{id}"
    buttons: ClassVar = {"approve": ("Approve", "pay"), "decline": ("Decline", "decline")}
    ledger: Ledger

    def __init__(self, accounts: Mapping[str, gateway.SimulatedAccount], first_key: int | None = None) -> None:
        super().__init__(accounts)
        # A gateway's store outlives this ledger: keys must not come again.
        self.ledger = Ledger(self.now, time.time_ns() // 1_000_000 if first_key is None else first_key)

    def application(self) -> web.Application:
        """The kit's application, and Credit Key's staff."""
        app = super().application()
        app.router.add_put("/_sim/orders/{id}", self._by_hand(self._edit))
        app.router.add_post("/_sim/orders/{id}/clear", self._by_hand(self._clear))
        return app

    @route("*", "/ecomm/{operation}", "/app/ecomm/{operation}")
    def ecomm(self, call: Call) -> Any:
        """Serve one operation."""
        method, act = OPERATIONS.get(call.operation, ("", Ledger.find_order))
        if method != call.request.method:
            raise Refusal(404, "not found")
        message = dict(call.query) if method == "GET" else call.json()
        members = act(self.ledger, self._merchant({**call.query, **message}), message, call.fault)
        if call.operation == BEGIN:
            members["checkout_url"] = f"{call.origin}/checkout/{members['id']}"
        return members

    def _merchant(self, message: Mapping[str, Any]) -> str:
        """Find the account by its credentials, from body or query. Raises ``Refusal`` 401."""
        given = (message.get("public_key"), message.get("shared_secret"))
        return self.owner(
            lambda one: given == (one.account.config.public_key.reveal(), one.account.config.shared_secret.reveal())
        )

    def refused(self, refusal: Refusal) -> web.Response:
        """As Credit Key words it."""
        return web.json_response({"result": refusal.code.replace("not_found", "not found")}, status=refusal.status)

    def describe(self, payment: SimulatedOrder) -> str:
        """The order, its amount and its status."""
        return f"{payment.id}: {payment.amount:.2f} USD, {payment.state}"

    def act(self, payment: SimulatedOrder, does: str) -> None:
        """Accept, whole or not at all, or give up; the checkout stays open then."""
        if does == "decline":
            payment.history.append({"event": "declined"})
        elif does == "pend" or (does == "pay" and self.fault.pended):
            self.ledger.pend(payment.id)
        elif does == "pay":
            self.ledger.approve(payment.id)
        elif does != "abandon":
            raise Refusal(400, "a customer of Credit Key accepts the whole order")

    @property
    def fault(self) -> Fault:
        """The fault that is set, for what the customer and the staff do."""
        present: Fault = self.faults.present()
        return present

    def back(self, payment: SimulatedOrder, does: str) -> str | None:
        """The merchant's address, with the order's key; nowhere while the application is pended."""
        url = None if payment.pended else payment.return_url if does == "pay" else payment.cancel_url
        return url and _filled(url, payment)

    async def customer(self, payment: SimulatedOrder, does: str, call: Call | None = None) -> dict[str, Any]:
        """The kit's, and with ``duplicate_return`` one more visit."""
        said = await super().customer(payment, does, call)
        if does == "pay" and said["redirect"] and self.fault.duplicate_return:
            await self._visit(payment, said["redirect"])
        return said

    def pressed(self, said: dict[str, Any]) -> dict[str, Any]:
        """Where the browser goes next."""
        return {"redirect": said["redirect"]}

    def line(self, payment: SimulatedOrder) -> dict[str, Any]:
        """The kit's line, with the amounts as they are after updates and changes by hand."""
        captured = payment.amount if payment.capture_status == "captured" else 0
        totals = {"asked": payment.amount, "captured": captured, "refunded": payment.refunded_amount}
        return {**super().line(payment), **{name: f"{amount:.2f}" for name, amount in totals.items()}}

    def orders(self) -> list[dict[str, Any]]:
        """The orders with all their members, under Credit Key's names."""
        return [{**msgspec.structs.asdict(one), "status": one.state, "merchant": one.owner} for one in self.ledger]

    async def _visit(self, order: SimulatedOrder, url: str, method: str = "GET") -> int | None:
        """Visit one of the merchant's addresses without a browser; note the answer's status, None for none."""
        answered = await self.outbox.post(gateway.HttpRequest(method=method, url=url))
        order.history.append({"event": "called", "url": url, "status": answered.status})
        return answered.status

    async def _edit(self, key: str, body: bytes) -> Any:
        """Change one order of the ledger by hand."""
        return self.ledger.edit(key, msgspec.json.decode(body, type=OrderEdit))

    async def _clear(self, key: str, _: bytes) -> Any:
        """Clear an application as Credit Key's staff would, and call the merchant's complete address."""
        order = self.ledger.approve(key)
        url = order.order_complete_url and _filled(order.order_complete_url, order)
        status = await self._visit(order, url, self.fault.complete_method) if url else None
        return {"called": url, "status": status}

    def _by_hand(
        self, step: Callable[[str, bytes], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            try:
                return _json(await step(request.match_info["id"], await request.read()))
            except msgspec.DecodeError as problem:
                return _json({"result": str(problem)}, 400)
            except Refusal as refusal:
                return self.refused(refusal)

        return handler


def _filled(url: str, order: SimulatedOrder) -> str:
    return url.replace(PLACEHOLDER, order.id)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=gateway.dumps(value), status=status, content_type="application/json")
