"""A fake acquirer: a ledger of payments and of the operations on each, kept by the idempotency keys that came.

It carries a key out once and answers it once. What a refund comes to is decided later, and may be taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

import gateway
from gateway.core.wire import HttpRequest, HttpResponse, header
from tests.simulation.environment import Environment
from tests.simulation.network import JSON
from tests.simulation.outgoing_calls import OutgoingCalls

KEY = "key-of-the-simulated-acquirer"
NOTHING = Decimal("0.00")
DECLINED = 0.05
"""Probability that a request is declined at once."""


class Entry(msgspec.Struct, kw_only=True):
    """One operation by its idempotency key. ``status``: ``pending``, ``done``, ``failed`` or ``reversed``."""

    key: str
    kind: str
    amount: Decimal
    status: str
    identifier: str


class CardPayment(msgspec.Struct, kw_only=True):
    """One payment. ``told``: the (operation, status) of events that the gateway took."""

    payment_id: str
    reference: str
    amount: Decimal
    stage: str = "awaiting_customer"
    captured: Decimal = NOTHING
    entries: dict[str, Entry] = {}
    told: set[tuple[str, str]] = set()

    @property
    def url(self) -> str:
        """Where the customer pays."""
        return f"https://acquirer.example/pay/{self.reference}"

    def refunds(self, *statuses: str) -> Decimal:
        """The amount of the refunds that stand so."""
        found = (one.amount for one in self.entries.values() if one.kind == "refund" and one.status in statuses)
        return sum(found, NOTHING)


class FakeAcquirer:
    """The ledger. ``happened`` is called for each operation that was carried out or accepted."""

    def __init__(
        self, env: Environment, outgoing_calls: OutgoingCalls, happened: Callable[[CardPayment, Entry], None]
    ) -> None:
        self._env = env
        self._outgoing_calls = outgoing_calls
        self._happened = happened
        self._dice = env.dice("acquirer")
        self._answers: dict[str, HttpResponse] = {}
        self.payments: dict[str, CardPayment] = {}
        self.refusals: set[str] = set()

    def admit(self, request: HttpRequest, *, leaves: bool) -> str:
        """Check that the operation of a call may be sent, or sent again, before the call leaves."""
        if request.method == "GET":
            return ""
        key = header(request.headers, "idempotency-key")[0]
        if leaves:
            self._outgoing_calls.check_named(key, f"{request.url} {request.body!r}")
        return key

    def handle(self, request: HttpRequest, tag: str) -> HttpResponse:
        """Serve one call; a key that came before gets the answer that it got."""
        if header(request.headers, "authorization") != [KEY]:
            raise AssertionError("the gateway's key is wrong")
        of, identifier, *rest = request.url.removeprefix("https://acquirer.example/").split("/")
        if request.method == "GET":
            return self._payment(identifier) if of == "payments" else self._operation(identifier)
        if tag in self._answers:
            self._env.figures["repetitions"] += 1
        else:
            self._answers[tag] = self._do(identifier, rest[0].removesuffix("s"), gateway.loads(request.body), tag)
        return self._answers[tag]

    def shown(self, payment: CardPayment) -> dict[str, Any]:
        """A payment as it is shown: refunds have no total."""
        return {
            "payment": payment.payment_id,
            "reference": payment.reference,
            "stage": payment.stage,
            "captured": str(payment.captured),
            "page": payment.url,
        }

    def shown_operation(self, payment: CardPayment, entry: Entry) -> dict[str, Any]:
        """An operation as it is shown, without any total."""
        status = "failed" if entry.status == "reversed" else entry.status
        return {"payment": payment.payment_id, "operation": entry.key, "id": entry.identifier, "status": status}

    def _payment(self, payment_id: str) -> HttpResponse:
        payment = self.payments.get(payment_id)
        return _answer(404, {"absent": True}) if payment is None else _answer(200, self.shown(payment))

    def _operation(self, key: str) -> HttpResponse:
        for payment in self.payments.values():
            if key in payment.entries:
                return _answer(200, self.shown_operation(payment, payment.entries[key]))
        return _answer(404, {"absent": True})

    def _do(self, payment_id: str, kind: str, said: dict[str, Any], key: str) -> HttpResponse:
        amount = Decimal(said["amount"])
        payment = self.payments.get(payment_id)
        if kind == "create":
            if payment is not None:
                self._env.violated(f"promise 1: doubled: {key} begins {payment_id} again")
            payment = CardPayment(payment_id=payment_id, reference=f"AQ-{len(self.payments) + 1000}", amount=amount)
        if payment is None or self._dice.random() < DECLINED or not self._may(payment, kind, amount):
            self.refusals.add(key)
            return _answer(422, {"declined": "not_allowed"})
        self.payments[payment_id] = payment
        status = "pending" if kind == "refund" else "done"
        entry = Entry(key=key, kind=kind, amount=amount, status=status, identifier=f"{payment.reference}-{key[-6:]}")
        payment.entries[key] = entry
        self._apply(payment, entry, is_final=bool(said["final"]))
        self._env.figures[f"acquirer {kind}"] += 1
        self._happened(payment, entry)
        if kind == "refund":
            return _answer(202, self.shown_operation(payment, entry))
        # A part is told by the total, or by name alone.
        named = self.shown_operation(payment, entry) if kind != "create" else {}
        totals = self.shown(payment) if kind == "create" or self._dice.random() < 0.5 else {}
        return _answer(200, {**totals, **named})

    def _may(self, payment: CardPayment, kind: str, amount: Decimal) -> bool:
        match kind:
            case "create":
                return True
            case "cancel":
                return payment.stage in ("awaiting_customer", "authorized")
            case "capture":
                if payment.captured + amount > payment.amount:
                    self._env.violated(f"captures above the amount: {payment.payment_id} {amount}")
                    return False
                return payment.stage == "authorized"
        reserved = payment.refunds("pending", "done", "reversed")
        if reserved + amount <= payment.captured:
            return True
        if not payment.refunds("reversed"):
            self._env.violated(f"refunds above what was captured: {payment.payment_id} {amount} after {reserved}")
        return False

    def _apply(self, payment: CardPayment, entry: Entry, *, is_final: bool) -> None:
        if entry.kind == "capture":
            payment.captured += entry.amount
            is_over = is_final or payment.captured == payment.amount
            payment.stage = "captured" if is_over else "authorized"
        elif entry.kind == "cancel":
            payment.stage = "captured" if payment.captured else "canceled"


def _answer(status: int, said: dict[str, Any]) -> HttpResponse:
    return HttpResponse(status=status, headers=JSON, body=msgspec.json.encode(said))
