"""The ledgers of the fake providers: what actually happened to a payment."""

from __future__ import annotations

import msgspec

from tests.simulation.fake_acquirer import CardPayment, FakeAcquirer
from tests.simulation.fake_creditkey import Effect, FakeCreditKey, Order
from tests.simulation.fake_psp import FakePsp, Page


class Ledgers(msgspec.Struct, frozen=True, kw_only=True):
    """All ledgers."""

    creditkey: FakeCreditKey
    psp: FakePsp
    acquirer: FakeAcquirer

    def orders(self, payment_id: str) -> list[Order]:
        """Return the orders created for a payment, oldest first."""
        return [order for order in self.creditkey.orders.values() if order.payment_id == payment_id]

    def page(self, payment_id: str) -> Page | None:
        """Return the page of a payment."""
        return self.psp.pages.get(payment_id)

    def effects(self, operation: str) -> list[Effect]:
        """Return the effects of an operation at Credit Key."""
        return [effect for order in self.creditkey.orders.values() for effect in order.by(operation)]

    def was_refused(self, operation: str) -> bool:
        """Whether a provider declined an operation."""
        return any(operation in ledger.refusals for ledger in (self.creditkey, self.psp, self.acquirer))

    def is_confirmed(self, payment_id: str, state: str) -> bool:
        """Whether a ledger confirms that a payment may be in a state."""
        card = self.acquirer.payments.get(payment_id)
        if card is not None:
            return _confirms_card(card, state)
        page = self.page(payment_id)
        if page is not None:
            return state == "captured" and any(notice.state == "paid" for notice in page.notices)
        return any(_confirms(order, state) for order in self.orders(payment_id))


def _confirms_card(card: CardPayment, state: str) -> bool:
    match state:
        case "authorized":
            return card.stage not in ("awaiting_customer", "failed")
        case "captured":
            return card.captured > 0
        case "partially_refunded":
            return card.refunds("done", "reversed") > 0
        case _:
            return card.refunds("done", "reversed") == card.captured


def _confirms(order: Order, state: str) -> bool:
    match state:
        case "authorized":
            return order.completed and any(effect.kind == "accept" for effect in order.effects)
        case "captured":
            return order.capture_status == "captured"
        case "partially_refunded":
            return order.refunded > 0
        case _:
            return order.refunded > 0 and order.refunded == order.amount
