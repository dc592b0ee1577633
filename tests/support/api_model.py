"""What a tenant may expect of the HTTP API, as a small model: no store, no provider, no HTTP.

Each method takes a request, predicts the answer, and changes the model when it is carried out. Amounts are dollars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

RISE = Decimal("100.00")
"""How far an amount may rise above what was accepted."""

ENDED = ("failed", "canceled")
"""States in which a payment gives its reference free."""

PSP_STAGES = {"pay": "captured", "fail": "failed", "pending": "processing"}


class Answer(NamedTuple):
    """What is expected: an HTTP status, and the code of a problem or the status of an operation."""

    status: int
    says: str | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the request made an operation."""
        return self.status < 300


def refused(status: int, code: str) -> Answer:
    """A refusal, which changes nothing."""
    return Answer(status, code)


@dataclass
class Paid:
    """One payment as its tenant sees it, and as much of the provider as explains it."""

    provider: str
    reference: str
    amount: Decimal
    id: str = ""
    state: str = "awaiting_customer"
    captured: Decimal = Decimal("0.00")
    refunded: Decimal = Decimal("0.00")
    version: int = 2
    review: str | None = None
    accepted: Decimal = Decimal(0)
    """What a rise is measured from, here and at the provider."""
    far_accepted: Decimal = Decimal(0)
    is_approved: bool = False
    reported: set[str] = field(default_factory=set)
    """Buttons of the PSP's page whose callback was applied."""
    refunds: list[tuple[str, str]] = field(default_factory=list)
    """(amount, status) of each refund."""
    syncs: int = 0

    def __post_init__(self) -> None:
        self.accepted = self.far_accepted = self.amount

    @property
    def account(self) -> str:
        """Where it is."""
        return {"creditkey": "creditkey-main", "psp_open_api": "psp-main"}[self.provider]

    @property
    def left(self) -> Decimal:
        """What can still be refunded."""
        return self.captured - self.refunded

    def view(self) -> dict[str, Any]:
        """The members of a payment that the model knows."""
        return {
            "id": self.id,
            "account": self.account,
            "provider": self.provider,
            "merchant_reference": self.reference,
            "state": self.state,
            "amount": f"{self.amount:.2f}",
            "currency": "USD",
            "amount_captured": f"{self.captured:.2f}",
            "amount_refunded": f"{self.refunded:.2f}",
            "amount_disputed": "0.00",
            "instructions": {},
            "pending_operation": None,
            "review": self.review,
            "version": self.version,
        }


class Model:
    """One tenant's payments, oldest first."""

    def __init__(self) -> None:
        self.payments: list[Paid] = []

    def create(self, provider: str, reference: str, amount: Decimal) -> tuple[Answer, Paid | None]:
        """A reference names at most one live payment; returns the new one, or the one that already has it."""
        new = Paid(provider, reference, amount)
        for old in self.payments:
            if (old.account, old.reference) == (new.account, reference) and old.state not in ENDED:
                return refused(409, "duplicate_reference"), old
        self.payments.append(new)
        return Answer(201, "succeeded"), new

    def capture(self, paid: Paid, amount: Decimal | None, *, declines: bool) -> Answer:
        """Once, from authorized, all or a part."""
        wanted = paid.amount if amount is None else amount
        refusal = self._refusal(paid, "authorized")
        if refusal is None and wanted > paid.amount:
            refusal = refused(422, "amount_too_large")
        return refusal or self._settle(paid, 200, declines, lambda: self._captured(paid, wanted))

    def update(self, paid: Paid, amount: Decimal, *, with_charges: bool, declines: bool) -> Answer:
        """Before capture; a rise is at most ``RISE`` above what was accepted; a new amount needs new charges."""
        refusal = self._refusal(paid, "awaiting_customer", "authorized")
        if refusal is None and (amount <= 0 or (amount != paid.amount and not with_charges)):
            refusal = refused(422, "validation_failed")
        if refusal is None and amount - paid.accepted > RISE:
            refusal = refused(409, "increase_over_limit")
        declines = declines or amount - paid.far_accepted > RISE
        return refusal or self._settle(paid, 200, declines, lambda: self._updated(paid, amount))

    def cancel(self, paid: Paid, *, declines: bool) -> Answer:
        """Before capture."""
        refusal = self._refusal(paid, "awaiting_customer", "authorized")
        return refusal or self._settle(paid, 200, declines, lambda: self._moved(paid, "canceled"))

    def refund(self, paid: Paid, amount: Decimal | None, *, declines: bool) -> Answer:
        """After capture, at most what is left."""
        wanted = paid.left if amount is None else amount
        refusal = self._refusal(paid, "captured", "partially_refunded")
        if refusal is None and wanted > paid.left:
            refusal = refused(422, "amount_too_large")
        answer = refusal or self._settle(paid, 201, declines, lambda: self._refunded(paid, wanted))
        if answer.is_taken:
            paid.refunds.append((f"{wanted:.2f}", str(answer.says)))
        return answer

    def sync(self, paid: Paid) -> Answer:
        """Looks at the provider now."""
        if paid.provider != "creditkey":
            return refused(422, "unsupported_by_provider")
        self.looked_at(paid)
        return Answer(200)

    def approve(self, paid: Paid) -> None:
        """The customer accepts at Credit Key's page; nobody tells the gateway."""
        if paid.state == "awaiting_customer" and not paid.is_approved:
            paid.is_approved, paid.far_accepted = True, paid.amount

    def looked_at(self, paid: Paid) -> None:
        """A lookup follows a sync or a browser that came back: what was approved is completed, then authorized."""
        if paid.state == "awaiting_customer" and paid.is_approved:
            self._moved(paid, "authorized")
            paid.accepted = paid.amount

    def pressed(self, paid: Paid, button: str) -> int:
        """The PSP calls back; the status it is answered with."""
        if button in paid.reported:
            return 204
        if paid.state in ("awaiting_customer", "processing"):
            paid.reported.add(button)
            self._moved(paid, PSP_STAGES[button])
            if button == "pay":
                paid.captured = paid.amount
            return 204
        if button != "pending" and paid.review is None:  # what was paid failed, or what failed was paid
            paid.review = "contradiction"
            paid.version += 1
        return 400

    def _refusal(self, paid: Paid, *states: str) -> Answer | None:
        """Command, then review, then state."""
        if paid.provider != "creditkey":
            return refused(422, "unsupported_by_provider")
        if paid.review is not None:
            return refused(409, "under_review")
        return None if paid.state in states else refused(409, "invalid_state")

    def _settle(self, paid: Paid, status: int, declines: bool, effect: Callable[[], None]) -> Answer:
        """Once there is an operation no outcome is an HTTP error; a declined one is a version of its own."""
        if declines:
            paid.version += 1
        else:
            effect()
        return Answer(status, "declined" if declines else "succeeded")

    def _moved(self, paid: Paid, state: str) -> None:
        paid.state = state
        paid.version += 1

    def _captured(self, paid: Paid, amount: Decimal) -> None:
        paid.captured = amount
        self._moved(paid, "captured")

    def _updated(self, paid: Paid, amount: Decimal) -> None:
        paid.version += amount != paid.amount
        paid.amount = amount

    def _refunded(self, paid: Paid, amount: Decimal) -> None:
        paid.refunded += amount
        self._moved(paid, "refunded" if paid.left == 0 else "partially_refunded")
