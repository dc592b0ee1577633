"""The simulator's web application: the ecomm API, the hosted page, and routes for tests below ``/_sim``.

``PUT /_sim/faults`` takes ``Fault`` as JSON and replaces the one before; ``{}`` clears. ``PUT /_sim/orders/{id}``
changes the ledger by hand, ``POST /_sim/orders/{id}/clear`` lets Credit Key's staff clear a pended application. This
module loads aiohttp; only the plugin's simulator hook may import it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from html import escape
from typing import Any, Literal

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

import gateway
from gateway_creditkey.simulator.ledger import (
    PLACEHOLDER,
    Behaviour,
    Ledger,
    Message,
    OrderEdit,
    Refusal,
    SimulatedOrder,
)

PORT = 9101
BEGIN = "begin_standalone_checkout"
Accounts = Mapping[str, gateway.SimulatedAccount]


class Fault(Behaviour, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong, or which way an undocumented answer goes.

    ``operation``: for one ecomm operation, else for all. ``times``: how many ecomm calls it lasts, else until replaced.
    ``status`` (with ``body``) and ``html`` refuse before any effect; ``malformed`` cuts the answer after the effect;
    ``silence`` closes the connection without an answer. ``duplicate_return``: the return URL is called once more by the
    simulator itself. ``pended``: an approval waits for Credit Key's staff. ``complete_method`` calls the complete
    address. The rest are members of ``Behaviour``.
    """

    operation: str | None = None
    times: int | None = None
    delay_ms: int = 0
    status: int | None = None
    body: Any = None
    html: bool = False
    malformed: bool = False
    silence: Literal["before_effect", "after_effect"] | None = None
    duplicate_return: bool = False
    pended: bool = False
    complete_method: Literal["GET", "POST"] = "GET"


def creditkey_simulator() -> gateway.Simulator:
    """Offer the simulator on its development port."""
    first_key = time.time_ns() // 1_000_000  # a gateway's store outlives this ledger: keys must not come again
    return gateway.Simulator(provider="creditkey", port=PORT, app=lambda accounts: make_app(accounts, first_key))


def make_app(accounts: Accounts, first_key: int = 1001) -> web.Application:
    """Make the application; ``accounts`` are the merchants it knows, by their keys and secrets.

    Order keys count up from ``first_key``.
    """
    site = _Site(accounts, first_key)
    app = web.Application()
    app.cleanup_ctx.append(site.outgoing)
    app.add_routes(
        [
            web.route("*", "/ecomm/{operation}", site.ecomm),
            web.route("*", "/app/ecomm/{operation}", site.ecomm),
            web.get("/checkout/{id}", site.page),
            web.post("/checkout/{id}/{choice:approve|decline}", site.choose),
            web.get("/_sim/requests", site.show_requests),
            web.get("/_sim/orders", site.show_orders),
            web.put("/_sim/orders/{id}", site.edit_order),
            web.post("/_sim/orders/{id}/clear", site.clear_order),
            web.put("/_sim/faults", site.set_fault),
        ]
    )
    return app


class _Site:
    def __init__(self, accounts: Accounts, first_key: int) -> None:
        self.accounts = accounts
        self.ledger = Ledger(first_key)
        self.fault = Fault()
        self.calls_left: int | None = None
        self.requests: list[dict[str, Any]] = []
        self.operations: dict[str, tuple[str, Callable[[str, Message, Behaviour], dict[str, Any]]]] = {
            BEGIN: ("POST", self.ledger.begin),
            "complete_checkout": ("POST", self.ledger.complete),
            "confirm_order": ("POST", self.ledger.confirm),
            "update_order": ("POST", self.ledger.update),
            "cancel_order": ("POST", self.ledger.cancel),
            "refund": ("POST", self.ledger.refund),
            "find_order": ("GET", self.ledger.find),
            "find_order_by_merchant_order_id": ("GET", self.ledger.find_by_reference),
        }

    async def outgoing(self, _app: web.Application) -> AsyncIterator[None]:
        """Keep a client for the calls that Credit Key makes by itself."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as self.client:
            yield

    async def ecomm(self, request: web.Request) -> web.StreamResponse:
        """Serve one operation, with the fault that is set for it."""
        body = await request.read()
        self._note(request, body)
        operation = request.match_info["operation"]
        fault = self._fault_of(operation)
        await asyncio.sleep(fault.delay_ms / 1000)
        if fault.silence == "before_effect":
            return _hang_up(request)
        if fault.html or fault.status is not None:
            return _forced(fault)
        status, members = self._answer(operation, request, body, fault)
        if fault.silence == "after_effect":
            return _hang_up(request)
        text = gateway.dumps(members)
        return _json(text[: len(text) // 2] if fault.malformed else text, status)

    def _note(self, request: web.Request, body: bytes) -> None:
        self.requests.append(
            {
                "method": request.method,
                "path": request.raw_path,
                "headers": dict(request.headers),
                "body": body.decode(errors="replace"),
            }
        )

    def _fault_of(self, operation: str) -> Fault:
        if self.fault.operation not in (None, operation):
            return Fault()
        fault = self.fault
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left <= 0:
                self.fault, self.calls_left = Fault(), None
        return fault

    def _answer(self, operation: str, request: web.Request, body: bytes, behaviour: Behaviour) -> tuple[int, Message]:
        try:
            method, act = self.operations.get(operation, ("", self.ledger.find))
            if method != request.method:
                raise Refusal(404, "not found")
            message = dict(request.query) if method == "GET" else _object(body)
            members = act(self._merchant({**request.query, **message}), message, behaviour)
        except Refusal as refusal:
            return refusal.status, {"result": refusal.result}
        if operation == BEGIN:
            members["checkout_url"] = f"{request.url.origin()}/checkout/{members['id']}"
        return 200, members

    def _merchant(self, message: Message) -> str:
        """Find the account by its credentials, from body or query. Raises ``Refusal`` 401."""
        for name, simulated in self.accounts.items():
            config = simulated.account.config
            if (message.get("public_key"), message.get("shared_secret")) == (
                config.public_key.reveal(),
                config.shared_secret.reveal(),
            ):
                return name
        raise Refusal(401, "unauthorized")

    async def page(self, request: web.Request) -> web.Response:
        """Show the customer's page."""
        try:
            order = self.ledger.order(request.match_info["id"])
        except Refusal as refusal:
            return _page(refusal.result, status=refusal.status)
        return _page(f"{order.id}: {order.amount:.2f} USD, {order.status}", _BUTTONS.format(id=escape(order.id)))

    async def choose(self, request: web.Request) -> web.Response:
        """Take the customer's choice and send the browser on, or name its next address where JSON is accepted."""
        try:
            order, url = self._chosen(request.match_info["id"], request.match_info["choice"])
        except Refusal as refusal:
            return _page(refusal.result, status=refusal.status)
        if url is not None and url == order.return_url and self.fault.duplicate_return:
            await self._call(order, url)
        url = url and _filled(url, order)
        if "application/json" in request.headers.get("Accept", ""):
            return _json(gateway.dumps({"redirect": url}))
        if url is None:
            return _page("Thank you. Credit Key looks at your application and will write to you.")
        return web.Response(status=302, headers={"Location": url})

    def _chosen(self, key: str, choice: str) -> tuple[SimulatedOrder, str | None]:
        if choice == "decline":
            order = self.ledger.decline(key)
            return order, order.cancel_url
        if self.fault.pended:
            return self.ledger.pend(key), None
        order = self.ledger.approve(key)
        return order, order.return_url

    async def _call(self, order: SimulatedOrder, url: str, method: str = "GET") -> int | None:
        """Visit one of the merchant's addresses without a browser; note the answer's status, None for none."""
        url = _filled(url, order)
        try:
            async with self.client.request(method, URL(url, encoded=True), allow_redirects=False) as answer:
                status: int | None = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = None
        order.history.append({"event": "called", "url": url, "status": status})
        return status

    async def clear_order(self, request: web.Request) -> web.Response:
        """Clear an application as Credit Key's staff would, and call the merchant's complete address."""
        try:
            order = self.ledger.approve(request.match_info["id"])
        except Refusal as refusal:
            return _json(gateway.dumps({"result": refusal.result}), refusal.status)
        url = order.order_complete_url
        status = None if url is None else await self._call(order, url, self.fault.complete_method)
        return _json(gateway.dumps({"called": url and _filled(url, order), "status": status}))

    async def show_requests(self, _request: web.Request) -> web.Response:
        """Show every ecomm call as it was received."""
        return _json(gateway.dumps(self.requests))

    async def show_orders(self, _request: web.Request) -> web.Response:
        """Show the ledger; its amounts are decimal text."""
        return _json(gateway.dumps(list(self.ledger.orders.values())))

    async def edit_order(self, request: web.Request) -> web.Response:
        """Change one order of the ledger by hand."""
        try:
            changes = msgspec.json.decode(await request.read(), type=OrderEdit)
            return _json(gateway.dumps(self.ledger.edit(request.match_info["id"], changes)))
        except msgspec.DecodeError as problem:
            return _json(gateway.dumps({"result": str(problem)}), 400)
        except Refusal as refusal:
            return _json(gateway.dumps({"result": refusal.result}), refusal.status)

    async def set_fault(self, request: web.Request) -> web.Response:
        """Replace the fault."""
        try:
            fault = msgspec.json.decode(await request.read(), type=Fault)
        except msgspec.DecodeError as problem:
            return _json(gateway.dumps({"result": str(problem)}), 400)
        if fault.operation is not None and fault.operation not in self.operations:
            return _json(gateway.dumps({"result": "operation is not known"}), 400)
        self.fault, self.calls_left = fault, fault.times
        return _json(gateway.dumps(fault))


def _object(body: bytes) -> dict[str, Any]:
    try:
        message = gateway.loads(body)
    except gateway.NotStrictJson:
        message = None
    if not isinstance(message, dict):
        raise Refusal(400, "body must be a json object")
    return message


def _filled(url: str, order: SimulatedOrder) -> str:
    return url.replace(PLACEHOLDER, order.id)


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _forced(fault: Fault) -> web.Response:
    status = fault.status or 500
    if fault.html:
        return _page("Something went wrong", status=status)
    return _json(gateway.dumps({"result": "forced"} if fault.body is None else fault.body), status)


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


_BUTTONS = (
    '<form method="post" action="/checkout/{id}/approve"><button>Approve</button></form>'
    '<form method="post" action="/checkout/{id}/decline"><button>Decline</button></form>'
)


def _page(text: str, html: str = "", *, status: int = 200) -> web.Response:
    body = f"<!doctype html><title>Credit Key simulator</title><h1>Credit Key simulator</h1><p>{escape(text)}</p>{html}"
    return web.Response(text=body, status=status, content_type="text/html")
