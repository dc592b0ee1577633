"""What a simulated provider has on its books: payments, and each effect on their money."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, Generic, Literal, TypeVar

import msgspec

import gateway

EffectState = Literal["done", "pending", "declined"]


class Refusal(Exception):
    """The simulator says no: the answer's ``status``, and a ``code`` that ``refused`` puts in the provider's words."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Effect(msgspec.Struct, kw_only=True):
    """One change of a payment's money: ``kind`` is authorize, capture, refund, cancel or dispute."""

    id: str
    kind: str
    amount: Decimal
    state: EffectState
    at: datetime


class SimulatedPayment(msgspec.Struct, kw_only=True):
    """A payment on the provider's books. ``id`` is the provider's, ``payment_id`` the gateway's as it came over the
    wire, ``owner`` the key of its account; amounts are in major units. ``captures``: money is taken when the
    customer pays. ``state`` is open, processing, authorized, captured, declined or canceled. ``said``: what the
    create said.
    """

    id: str
    owner: str
    payment_id: str
    asked: Decimal
    currency: str
    state: str = "open"
    captures: bool = True
    return_url: str | None = None
    cancel_url: str | None = None
    said: dict[str, Any] = {}
    effects: list[Effect] = []

    def total(self, kind: str, *states: EffectState) -> Decimal:
        """The sum of the effects of a kind, of those that are done where no state is named."""
        wanted = states or ("done",)
        return sum((one.amount for one in self.effects if one.kind == kind and one.state in wanted), Decimal(0))

    @property
    def captured(self) -> Decimal:
        """What was taken in all."""
        return self.total("capture")

    @property
    def refunded(self) -> Decimal:
        """What was given back in all."""
        return self.total("refund")

    @property
    def disputed(self) -> Decimal:
        """What customers took back through their bank."""
        return self.total("dispute")


P = TypeVar("P", bound=SimulatedPayment)


class Ledger(Generic[P]):
    """The books. Each method has its effect once per call, or raises ``Refusal`` and has none."""

    def __init__(self, kind: type[P], now: Callable[[], datetime], *, many_captures: bool = False) -> None:
        self._kind, self._now, self._many_captures = kind, now, many_captures
        self.payments: dict[str, P] = {}

    def __iter__(self) -> Iterator[P]:
        return iter(self.payments.values())

    def open(
        self, owner: str, payment_id: str, asked: object, currency: str, /, *, id: str | None = None, **more: Any
    ) -> P:
        """Begin a payment. ``more`` are further members of it."""
        members: dict[str, Any] = {
            "owner": owner,
            "payment_id": payment_id,
            "asked": _decimal(asked),
            "currency": currency,
        }
        made = self._kind(id=id or uuid.uuid4().hex, **members, **more)
        if made.id in self.payments:
            raise Refusal(409, "id_known")
        self.payments[made.id] = made
        return made

    def get(self, id: str, owner: str | None = None) -> P:
        """The payment of the provider's id, of this owner if one is named. Raises ``Refusal`` 404."""
        found = self.payments.get(id)
        if found is None or owner not in (None, found.owner):
            raise Refusal(404, "not_found")
        return found

    def find(self, owner: str | None = None, **members: Any) -> P | None:
        """The newest payment with these members, such as ``payment_id``; those of ``said`` count as well."""
        for one in reversed(self.payments.values()):
            if owner in (None, one.owner) and all(_member(one, name) == value for name, value in members.items()):
                return one
        return None

    def pay(self, payment: P, amount: Decimal | None = None) -> Effect:
        """The customer pays, as much as was asked unless another amount is given."""
        if payment.state not in ("open", "processing", "declined"):
            raise Refusal(409, "wrong_state")
        payment.state = "captured" if payment.captures else "authorized"
        paid = payment.asked if amount is None else amount
        return self.note(payment, "capture" if payment.captures else "authorize", paid)

    def pay_less(self, payment: P) -> Effect:
        """The customer pays half of it."""
        return self.pay(payment, (payment.asked / 2).quantize(payment.asked, ROUND_DOWN))

    def decline(self, payment: P) -> None:
        """The customer's attempt fails; another may follow."""
        if payment.state in ("open", "processing"):
            payment.state = "declined"

    def capture(
        self, payment: P, amount: object = None, *, id: str | None = None, pending: bool = False, last: bool = False
    ) -> Effect:
        """Take authorized money, all that is left if no amount is given. ``last``: no more follows."""
        held = payment.total("authorize") - payment.total("capture", "done", "pending")
        if payment.state != "authorized":
            raise Refusal(422, "wrong_state")
        taken = self._amount(amount, held)
        if not pending and (last or taken == held or not self._many_captures):
            payment.state = "captured"
        return self.note(payment, "capture", taken, id, pending)

    def refund(self, payment: P, amount: object = None, *, id: str | None = None, pending: bool = False) -> Effect:
        """Give captured money back, all that is left if no amount is given."""
        if not payment.captured:
            raise Refusal(422, "wrong_state")
        left = payment.captured - payment.total("refund", "done", "pending")
        return self.note(payment, "refund", self._amount(amount, left), id, pending)

    def cancel(self, payment: P, *, id: str | None = None) -> Effect:
        """Give up a payment that was not captured."""
        if payment.state not in ("open", "processing", "declined", "authorized") or payment.captured:
            raise Refusal(422, "wrong_state")
        payment.state = "canceled"
        return self.note(payment, "cancel", payment.asked, id)

    def dispute(self, payment: P, amount: object = None) -> Effect:
        """A customer takes captured money back through the bank."""
        left = payment.captured - payment.refunded - payment.disputed
        return self.note(payment, "dispute", self._amount(amount, left))

    def resolve(self, id: str, state: EffectState) -> P:
        """End a pending effect as done or declined; also turn a done one over. Returns its payment."""
        for payment in self.payments.values():
            for effect in payment.effects:
                if effect.id == id:
                    effect.state = state
                    if effect.kind == "capture" and payment.captured:
                        payment.state = "captured"
                    return payment
        raise Refusal(404, "not_found")

    def _amount(self, given: object, most: Decimal) -> Decimal:
        amount = most if given is None else _decimal(given)
        if not 0 < amount <= most:
            raise Refusal(422, "amount_invalid")
        return amount

    def note(self, payment: P, kind: str, amount: Decimal, id: str | None = None, pending: bool = False) -> Effect:
        """Note an effect on a payment's money."""
        state: EffectState = "pending" if pending else "done"
        effect = Effect(id=id or uuid.uuid4().hex, kind=kind, amount=amount, state=state, at=self._now())
        payment.effects.append(effect)
        return effect


def _decimal(given: object) -> Decimal:
    try:
        return given if isinstance(given, Decimal) else gateway.decimal_of(given)
    except ValueError:
        raise Refusal(400, "amount_invalid") from None


def _member(payment: SimulatedPayment, name: str) -> object:
    return getattr(payment, name) if hasattr(payment, name) else payment.said.get(name)
