"""A simulated bridge for development: it serves API-1, shows a payment page and calls API-2.

It is written from the published description alone, with its own signing code: it must never import the adapter, or a
mistake made there would be confirmed here. One application serves every account; the token in the header says which.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, web

import gateway

PORT = 9102
TOKEN = "crm-pay-token"  # noqa: S105  # the header's name, not a token
MANDATORY = ("merchant_id", "order_no", "amount", "currency")
OUTCOMES = {"fail": (0, "failed"), "pay": (1, "succeeded"), "pending": (2, "processing")}
"""Button of the payment page -> ``status`` of API-2 and the order's state in the ledger."""


class Number(str):
    """A JSON number by its text: what is signed is what is written."""


class Faults(msgspec.Struct, forbid_unknown_fields=True):
    """How the simulator misbehaves; ``times`` is the number of calls that are changed before the faults end.

    A call is one API-1 received, or one button pressed while ``duplicate_callback`` is set.
    """

    delay_ms: int = 0
    status: int | None = None
    result: bool | None = None
    silence: Literal["before_effect", "after_effect"] | None = None
    malformed: bool = False
    success_status: int | None = None
    media_type: str | None = None
    byte_order_mark: bool = False
    early_callback: bool = False
    duplicate_callback: bool = False
    times: int | None = None

    def __post_init__(self) -> None:
        if self.result:
            raise ValueError("result can only be false")

    def changes_api1(self) -> bool:
        """Return whether answers to API-1 are changed."""
        return (
            any((self.delay_ms, self.status, self.result is False, self.silence, self.malformed, self.early_callback))
            or self.changes_form()
        )

    def changes_form(self) -> bool:
        """Return whether a success is written as some bridges write it, and not as the description says."""
        return self.success_status is not None or self.media_type is not None or self.byte_order_mark


class Order(msgspec.Struct, kw_only=True):
    """An order of the ledger. ``fields`` is the whole body of API-1 by wire key; amounts are texts as sent."""

    id: str
    order_no: str
    merchant_id: str
    amount: str
    currency: str
    state: str
    transaction_id: str
    callbacks: list[dict[str, Any]]
    fields: dict[str, Any]
    amount_is_text: bool
    user_id: str | None


class Refusal(Exception):
    """Refuse API-1 with this status and the usual envelope."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def psp_simulator() -> gateway.Simulator:
    """Return the simulator of the bridge behind every ``psp_open_api`` account."""
    return gateway.Simulator(provider="psp_open_api", port=PORT, app=make_app)


def make_app(accounts: Mapping[str, gateway.SimulatedAccount]) -> web.Application:
    """Build the application. Keys of ``accounts`` are ``tenant/account``."""
    bridge = Bridge(accounts)
    app = web.Application()
    app.cleanup_ctx.append(bridge.client)
    app.router.add_post("/pay/url", bridge.pay_url)
    app.router.add_post("/{below:.+}/pay/url", bridge.pay_url)
    app.router.add_get("/pay/{id}", bridge.page)
    app.router.add_post("/pay/{id}/{button:pay|fail|pending}", bridge.press)
    app.router.add_get("/_sim/requests", bridge.show_requests)
    app.router.add_get("/_sim/orders", bridge.show_orders)
    app.router.add_put("/_sim/faults", bridge.set_faults)
    return app


class Bridge:
    """The simulator's memory and its handlers."""

    def __init__(self, accounts: Mapping[str, gateway.SimulatedAccount]) -> None:
        self.accounts = accounts
        self.requests: list[dict[str, Any]] = []
        self.orders: dict[str, tuple[Order, gateway.SimulatedAccount]] = {}
        self.faults = Faults()
        self.last_time = 0
        self.session: ClientSession

    async def client(self, _: web.Application) -> AsyncIterator[None]:
        """Keep one client for API-2 while the application runs."""
        async with ClientSession(timeout=ClientTimeout(total=10)) as self.session:
            yield

    async def pay_url(self, request: web.Request) -> web.StreamResponse:
        """Serve API-1: record it, apply the faults, check header and sign, answer with the payment page."""
        raw = await request.read()
        self._record(request, raw)
        faults = self._counted(self.faults.changes_api1())
        await asyncio.sleep(faults.delay_ms / 1000)
        if faults.silence == "before_effect":
            return _hang_up(request)
        try:
            order, account = self._accept(request, raw, faults)
        except Refusal as refusal:
            return _envelope(refusal.status, {}, False, str(refusal))
        if faults.early_callback:
            await self._send_callbacks(order, account, "pay", twice=faults.duplicate_callback)
        if faults.silence == "after_effect":
            return _hang_up(request)
        if faults.malformed:
            return web.Response(text='{"data":{"url":', content_type="application/json")
        url = f"{request.scheme}://{request.host}/pay/{order.id}"
        return _written(_envelope(200, {"url": url}, True, "success"), faults)

    async def page(self, request: web.Request) -> web.Response:
        """Show the hosted payment page."""
        order, _ = self._order(request)
        return web.Response(text=_page(order), content_type="text/html")

    async def press(self, request: web.Request) -> web.Response:
        """Send API-2 for a button of the page and show how it was answered."""
        order, account = self._order(request)
        faults = self._counted(self.faults.duplicate_callback)
        button = request.match_info["button"]
        answered = await self._send_callbacks(order, account, button, twice=faults.duplicate_callback)
        if "application/json" in request.headers.get("Accept", ""):
            return web.json_response(answered)
        return web.Response(text=_page(order, answered), content_type="text/html")

    async def show_requests(self, _: web.Request) -> web.Response:
        """List every API-1 call as it was received."""
        return web.json_response(self.requests)

    async def show_orders(self, _: web.Request) -> web.Response:
        """List the ledger, oldest first."""
        return web.json_response([msgspec.structs.asdict(order) for order, _ in self.orders.values()])

    async def set_faults(self, request: web.Request) -> web.Response:
        """Replace the faults; ``{}`` clears them."""
        try:
            self.faults = msgspec.json.decode(await request.read(), type=Faults)
        except msgspec.MsgspecError as problem:
            return web.json_response({"error": str(problem)}, status=400)
        return web.json_response(msgspec.to_builtins(self.faults))

    def _record(self, request: web.Request, raw: bytes) -> None:
        entry = {"method": request.method, "path": request.path, "headers": dict(request.headers)}
        self.requests.append({**entry, "body": raw.decode("utf-8", "replace")})

    def _counted(self, is_changed: bool) -> Faults:
        """Return the faults for a call that they change, and count them down; no faults for any other."""
        faults = self.faults
        if not is_changed:
            return Faults()
        if faults.times is not None:
            self.faults = msgspec.structs.replace(faults, times=faults.times - 1) if faults.times > 1 else Faults()
        return faults

    def _accept(self, request: web.Request, raw: bytes, faults: Faults) -> tuple[Order, gateway.SimulatedAccount]:
        """Return the order, new or known. Raises ``Refusal``; then nothing was stored."""
        if faults.status is not None:
            raise Refusal(faults.status, "refused by a fault")
        account = self._account(request.headers.getall(TOKEN, []))
        body = _checked(raw, account)
        if faults.result is False:
            raise Refusal(200, "declined by a fault")
        return self._stored(_new_order(body, account), account), account

    def _account(self, given: list[str]) -> gateway.SimulatedAccount:
        for account in self.accounts.values():
            if len(given) == 1 and hmac.compare_digest(given[0].encode("utf-8", "replace"), _token(account).encode()):
                return account
        raise Refusal(401, "crm-pay-token is missing or wrong")

    def _stored(self, new: Order, account: gateway.SimulatedAccount) -> Order:
        for known, owner in self.orders.values():
            if _token(owner) == _token(account) and known.order_no == new.order_no:
                if (known.amount, known.currency) != (new.amount, new.currency):
                    raise Refusal(200, "order_no is known with another amount or currency")
                return known
        self.orders[new.id] = (new, account)
        return new

    def _order(self, request: web.Request) -> tuple[Order, gateway.SimulatedAccount]:
        found = self.orders.get(request.match_info["id"])
        if found is None:
            raise web.HTTPNotFound
        return found

    async def _send_callbacks(
        self, order: Order, account: gateway.SimulatedAccount, button: str, *, twice: bool
    ) -> dict[str, Any]:
        """Send API-2, each time with its own time and sign. Returns how the last one was answered."""
        status, order.state = OUTCOMES[button]
        answered: dict[str, Any] = {}
        for _ in range(2 if twice else 1):
            answered = await self._send(account, _api2(order, account, status, self.now()))
            order.callbacks.append({"status_sent": status, "http_status": answered["status"], "body": answered["body"]})
        return answered

    async def _send(self, account: gateway.SimulatedAccount, body: str) -> dict[str, Any]:
        url = account.callback_url.rstrip("/")
        url = url if url.endswith("/pay/callback") else f"{url}/pay/callback"
        headers = {TOKEN: _token(account), "Content-Type": "application/json"}
        try:
            async with self.session.post(url, data=body.encode(), headers=headers, allow_redirects=False) as answer:
                return {"status": answer.status, "body": await answer.text()}
        except (ClientError, TimeoutError) as problem:
            return {"status": None, "body": type(problem).__name__}

    def now(self) -> int:
        """Return Unix milliseconds, never the same twice: a repeated callback has a new time."""
        self.last_time = max(int(time.time() * 1000), self.last_time + 1)
        return self.last_time


def sign(members: Mapping[str, Any], token: str, sign_key: str) -> str:
    """Return the SHA-1 of the non-empty members in key order and the token, as upper-case hex."""
    kept = {key: value for key, value in members.items() if key != sign_key and value not in (None, "", [], {})}
    text = "&".join(f"{key}={_printed(kept[key])}" for key in sorted(kept))
    # The protocol fixes SHA-1; saying "not for security" keeps this working on hosts where policy disables it.
    return hashlib.sha1((text + token).encode(), usedforsecurity=False).hexdigest().upper()


def to_json(members: Mapping[str, Any]) -> str:
    """Write a flat object with every number as its text."""
    pairs = (f"{json.dumps(key)}:{_literal(value)}" for key, value in members.items())
    return "{" + ",".join(pairs) + "}"


def _printed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, Number) else json.dumps(value)


def _checked(raw: bytes, account: gateway.SimulatedAccount) -> dict[str, Any]:
    """Return API-1's body once its sign and merchant_id are right and nothing mandatory is missing."""
    key = account.account.fields.key
    try:
        body = json.loads(raw, parse_int=Number, parse_float=Number)
    except ValueError:
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(body, dict) or not all(isinstance(value, str | bool | None) for value in body.values()):
        raise Refusal(400, "the body is not a flat object")
    given = str(body.get(key("sign"), "")).upper()
    if not hmac.compare_digest(given.encode(), sign(body, _token(account), key("sign")).encode()):
        raise Refusal(401, f"{key('sign')} is missing or wrong")
    missing = [key(name) for name in MANDATORY if body.get(key(name)) in (None, "")]
    if missing:
        raise Refusal(200, f"{missing[0]} is missing")
    if body[key("merchant_id")] != account.credentials["merchant_id"]:
        raise Refusal(401, f"{key('merchant_id')} is not known")
    return body


def _new_order(body: Mapping[str, Any], account: gateway.SimulatedAccount) -> Order:
    wire = {field.name: body.get(field.key) for field in account.account.fields.fields}
    mandatory = {name: str(wire[name]) for name in MANDATORY}
    return Order(
        id=uuid.uuid4().hex,
        **mandatory,
        state="pending",
        transaction_id=f"PSP-TST-{uuid.uuid4().hex[:12]}",
        callbacks=[],
        fields=dict(body),
        amount_is_text=not isinstance(wire["amount"], Number),
        user_id=wire.get("user_id"),
    )


def _api2(order: Order, account: gateway.SimulatedAccount, status: int, now: int) -> str:
    """Return the signed body of API-2. Its keys are fixed, also when those of API-1 are renamed."""
    members = {
        "merchant_id": order.merchant_id,
        "order_no": order.order_no,
        "transaction_id": order.transaction_id,
        "amount": order.amount if order.amount_is_text else Number(order.amount),
        "currency": order.currency,
        "time": now,
        "status": status,
    }
    if order.user_id:
        members["user_id"] = order.user_id
    return to_json({**members, "sign": sign(members, _token(account), "sign")})


def _token(account: gateway.SimulatedAccount) -> str:
    token = account.credentials["token"]
    return token.reveal() if isinstance(token, gateway.Secret) else token


def _envelope(status: int, data: dict[str, str], result: bool, message: str) -> web.Response:
    return web.json_response({"data": data, "result": result, "msg": message}, status=status)


def _written(answer: web.Response, faults: Faults) -> web.Response:
    """Return a success in the form that the faults choose."""
    if not faults.changes_form():
        return answer
    body = (answer.text or "").encode("utf-8-sig" if faults.byte_order_mark else "utf-8")
    kind = "application/json" if faults.media_type is None else faults.media_type
    return web.Response(body=body, status=faults.success_status or 200, headers={"Content-Type": kind})


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; the answer returned here is not sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _page(order: Order, answered: Mapping[str, Any] | None = None) -> str:
    """Return the payment page: plain HTML, one form per button, and how the last callback was answered."""
    names = {"pay": "Pay", "fail": "Fail", "pending": "Leave pending"}
    buttons = "".join(
        f'<form method="post" action="/pay/{order.id}/{button}"><button>{name}</button></form>'
        for button, name in names.items()
    )
    result = (
        "" if answered is None else f"<p>callback answered {answered['status']} {html.escape(answered['body'])}</p>"
    )
    facts = html.escape(f"order {order.order_no}: {order.amount} {order.currency}, {order.state}")
    return f"<!doctype html><title>PSP simulator</title><h1>PSP simulator</h1><p>{facts}</p>{result}{buttons}"
