"""A simulated bridge for development: it serves API-1, shows a payment page and calls API-2.

It is written from the published description alone, with its own signing code: it must never import the adapter, or a
mistake made there would be confirmed here. One application serves every account; the token in the header says which.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from aiohttp import web

import gateway
from gateway.testing import Call, Fault, ProviderSimulator, Refusal, SimulatedPayment, route

TOKEN = "crm-pay-token"  # noqa: S105  # the header's name, not a token
MANDATORY = ("merchant_id", "order_no", "amount", "currency")
STATUS = {"decline": 0, "pay": 1, "pay_less": 1, "pend": 2}
"""What the customer does -> ``status`` of API-2."""


class Number(str):
    """A JSON number by its text: what is signed is what is written."""


class Faults(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kit's faults, and those of a bridge: ``result: false`` declines, ``success_status``, ``media_type`` and
    ``byte_order_mark`` write a success as some bridges do. With ``early_callback`` the customer pays before the answer.
    """

    result: bool | None = None
    success_status: int | None = None
    media_type: str | None = None
    byte_order_mark: bool = False

    def __post_init__(self) -> None:
        if self.result:
            raise ValueError("result can only be false")


class Order(SimulatedPayment, kw_only=True):
    """An order of the ledger. ``said`` is the whole body of API-1 by wire key, ``amount`` the text as sent."""

    merchant_id: str
    amount: str
    amount_is_text: bool
    transaction_id: str
    user_id: str | None


class PspSimulator(ProviderSimulator[Order]):
    """The bridge behind every ``psp_open_api`` account."""

    provider, port, title = "psp_open_api", 9102, "PSP"
    payment_type = Order
    fault_type = Faults
    buttons: ClassVar = {"pay": ("Pay", "pay"), "fail": ("Fail", "decline"), "pending": ("Leave pending", "pend")}
    words: ClassVar = {"open": "pending", "captured": "succeeded", "declined": "failed"}
    last_time = 0

    @route("POST", "/pay/url", "/{below:.+}/pay/url")
    async def pay_url(self, call: Call) -> dict[str, Any]:
        """Serve API-1: check header and sign, answer with the payment page."""
        order = self._accepted(call)
        if call.fault.early_callback:
            await self.customer(order, "pay", call)
        return _envelope({"url": self.page_url(call, order)}, True, "success")

    def _accepted(self, call: Call) -> Order:
        """Return the order, new or known. Raises ``Refusal``; then nothing was stored."""
        given = call.request.headers.getall(TOKEN, [])
        owner = self.owner(lambda one: len(given) == 1 and _equal(given[0], _token(one)))
        body = _checked(call.body, self.accounts[owner])
        if call.fault.result is False:
            raise Refusal(200, "declined by a fault")
        wire = self.named(owner, body)
        known = self.ledger.find(owner, payment_id=wire["order_no"])
        if known is None:
            return self._opened(owner, wire, body)
        if (known.amount, known.currency) != (str(wire["amount"]), wire["currency"]):
            raise Refusal(200, "order_no is known with another amount or currency")
        return known

    def _opened(self, owner: str, wire: Mapping[str, Any], body: dict[str, Any]) -> Order:
        return self.ledger.open(
            owner,
            str(wire["order_no"]),
            str(wire["amount"]),
            str(wire["currency"]),
            merchant_id=str(wire["merchant_id"]),
            amount=str(wire["amount"]),
            amount_is_text=not isinstance(wire["amount"], Number),
            transaction_id=f"PSP-TST-{uuid.uuid4().hex[:12]}",
            user_id=wire.get("user_id"),
            said={key: str(value) if isinstance(value, Number) else value for key, value in body.items()},
        )

    def act(self, payment: Order, does: str) -> None:
        """Any button may be pressed at any time; money moves once."""
        if not (does.startswith("pay") and payment.captured):
            super().act(payment, does)
        if does.startswith("pay"):
            payment.state = "captured"
        elif does == "decline":
            payment.state = "declined"

    def callback(self, payment: Order, what: str) -> gateway.HttpRequest:
        """API-2, signed, to the account's address; each with its own time."""
        account = self.accounts[payment.owner]
        url = account.callback_url.rstrip("/")
        url = url if url.endswith("/pay/callback") else f"{url}/pay/callback"
        headers = ((TOKEN, _token(account)), ("Content-Type", "application/json"))
        body = _api2(payment, _token(account), STATUS[what], self.next_time())
        return gateway.HttpRequest(method="POST", url=url, headers=headers, body=body.encode())

    def next_time(self) -> int:
        """Return Unix milliseconds, never the same twice: a repeated callback has a new time."""
        self.last_time = max(int(self.now().timestamp() * 1000), self.last_time + 1)
        return self.last_time

    def refused(self, refusal: Refusal) -> web.Response:
        """The envelope of a refusal."""
        return web.json_response(_envelope({}, False, refusal.code), status=refusal.status)

    def finished(self, call: Call, answer: web.Response) -> web.Response:
        """A success in the form that the faults choose."""
        fault: Faults = call.fault
        if fault.success_status is None and fault.media_type is None and not fault.byte_order_mark:
            return answer
        body = (answer.text or "").encode("utf-8-sig" if fault.byte_order_mark else "utf-8")
        kind = "application/json" if fault.media_type is None else fault.media_type
        return web.Response(body=body, status=fault.success_status or 200, headers={"Content-Type": kind})

    def back(self, payment: Order, does: str) -> None:
        """The browser stays on the page."""

    def pressed(self, said: dict[str, Any]) -> Any:
        """How the last callback was answered."""
        return said["callbacks"][-1]

    def describe(self, payment: Order) -> str:
        """The order, its money and its state."""
        return f"order {payment.payment_id}: {payment.amount} {payment.currency}, {self.words[payment.state]}"

    def orders(self) -> list[dict[str, Any]]:
        """The orders under the names of the description, with the callbacks sent and how they were answered."""
        sent: defaultdict[str, list[Any]] = defaultdict(list)
        for one in self.outbox.callbacks:
            status = json.loads(one.body)["status"]
            sent[one.about] += [
                {"status_sent": status, "http_status": answer.status, "body": answer.body} for answer in one.answers
            ]
        return [
            {
                **msgspec.structs.asdict(order),
                "order_no": order.payment_id,
                "state": self.words.get(order.state, order.state),
                "fields": order.said,
                "callbacks": sent[order.id],
            }
            for order in self.ledger
        ]


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
    if not _equal(given, sign(body, _token(account), key("sign"))):
        raise Refusal(401, f"{key('sign')} is missing or wrong")
    missing = [key(name) for name in MANDATORY if body.get(key(name)) in (None, "")]
    if missing:
        raise Refusal(200, f"{missing[0]} is missing")
    if body[key("merchant_id")] != account.credentials["merchant_id"]:
        raise Refusal(401, f"{key('merchant_id')} is not known")
    return body


def _api2(order: Order, token: str, status: int, now: int) -> str:
    """Return the signed body of API-2. Its keys are fixed, also when those of API-1 are renamed."""
    amount = order.amount if order.captured in (0, order.asked) else format(order.captured, "f")
    members = {
        "merchant_id": order.merchant_id,
        "order_no": order.payment_id,
        "transaction_id": order.transaction_id,
        "amount": amount if order.amount_is_text else Number(amount),
        "currency": order.currency,
        "time": now,
        "status": status,
    }
    if order.user_id:
        members["user_id"] = order.user_id
    return to_json({**members, "sign": sign(members, token, "sign")})


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _token(account: gateway.SimulatedAccount) -> str:
    token = account.credentials["token"]
    return token.reveal() if isinstance(token, gateway.Secret) else token


def _envelope(data: dict[str, str], result: bool, message: str) -> dict[str, Any]:
    return {"data": data, "result": result, "msg": message}
