"""What a payment is found by: exact terms in one spelling, of which only keyed hashes are kept. Pure.

A term is a 64-bit number, so nobody reads a name or an address from the index, nor tries some without the key.
"""

from __future__ import annotations

import enum
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from gateway.core.ids import is_id
from gateway.core.money import Amount

_SAME_DIGITS = {"ref_": "op_", "dlv_": "evt_"}
"""Prefixes of ids that have another id's digits."""

_PHONE = re.compile(r"[+(]?[0-9][0-9 ()./-]{3,}[0-9]")
_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_NOT_A_DIGIT = re.compile(r"[^0-9]")

_BELOW_MILLISECOND = 12
"""Bits of an id's counter within its millisecond (``drivers/clock.Ids``)."""

AMOUNT_UNITS = 10_000
"""Units of an amount in the index, whatever its currency. More digits are cut: the payment itself is looked at too."""

_MOST_UNITS = 2**63 - 1


class Term(enum.StrEnum):
    """What a term is."""

    PROVIDER_REFERENCE = "provider_reference"
    ID = "id"
    CUSTOMER_ID = "customer_id"
    EMAIL = "email"
    PHONE = "phone"
    ERROR = "error"


class TermHash:
    """Terms as the index holds them. One key makes one index."""

    def __init__(self, key: bytes) -> None:
        self._begun = {kind: hashlib.blake2b(f"{kind}\n".encode(), key=key, digest_size=8) for kind in Term}

    def __call__(self, kind: Term, text: str) -> int:
        """The number of a term, whatever its spelling."""
        hashed = self._begun[kind].copy()
        hashed.update(spelled(kind, text).encode("utf-8", "surrogateescape"))
        return int.from_bytes(hashed.digest(), signed=True)


def spelled(kind: Term, text: str) -> str:
    """A term in the one spelling: case, blanks around, and what people write into a phone number do not count."""
    if kind is Term.PHONE:
        return _NOT_A_DIGIT.sub("", text).lstrip("0")
    if not text.isascii():
        return unicodedata.normalize("NFKC", text).strip().casefold()
    text = text.strip().lower()
    same_digits = _SAME_DIGITS.get(text[:4]) if kind is Term.ID else None
    return text if same_digits is None else same_digits + text[4:]


def kinds_of(text: str) -> list[Term]:
    """Which terms a text may be that somebody looks for."""
    return [kind for kind in Term if kind is not Term.PHONE or _PHONE.fullmatch(text)]


def amount_of(text: str) -> int | None:
    """The amount that a text may be, as the index has it."""
    return units_of(Decimal(text)) if _AMOUNT.fullmatch(text) else None


def place_of(payment_id: str) -> int | None:
    """A payment's place in the order of ids, which is that of time: the part that no two of one process share.

    None for a text that is not a payment's id.
    """
    if not payment_id.startswith("pay_") or not is_id(payment_id):
        return None
    return place_at(int(payment_id[4:16], 16)) | int(payment_id[17:20], 16)


def place_at(milliseconds: int) -> int:
    """The first place of a millisecond."""
    return milliseconds << _BELOW_MILLISECOND


def units_of(amount: Decimal) -> int:
    """An amount as a whole number that sorts like it."""
    return max(-_MOST_UNITS, min(_MOST_UNITS, int(amount * AMOUNT_UNITS)))


class _Event(msgspec.Struct, frozen=True):
    """What of an event's document is looked at."""

    details: Mapping[str, str] = {}
    request_id: str | None = None


class _Customer(msgspec.Struct, frozen=True):
    id: str | None = None
    email: str | None = None
    phone: str | None = None


class _Address(msgspec.Struct, frozen=True):
    email: str | None = None
    phone_number: str | None = None


class _Order(msgspec.Struct, frozen=True):
    billing_address: _Address | None = None
    shipping_address: _Address | None = None


class _Purchase(msgspec.Struct, frozen=True):
    customer: _Customer = _Customer()
    order: _Order = _Order()


class _Money(msgspec.Struct, frozen=True):
    amount: str


class _Summary(msgspec.Struct, frozen=True):
    money: _Money


_event = msgspec.json.Decoder(_Event)
_purchase = msgspec.json.Decoder(_Purchase)
_summary = msgspec.json.Decoder(_Summary)

_OF_DETAILS = {
    "operation_id": Term.ID,
    "provider_reference": Term.PROVIDER_REFERENCE,
    "provider_reference_before": Term.PROVIDER_REFERENCE,
    "provider_named": Term.PROVIDER_REFERENCE,
    "paid_again_by": Term.PROVIDER_REFERENCE,
    "failure": Term.ERROR,
    "provider_code": Term.ERROR,
}
"""Details of events that are terms: every reference that the provider ever gave, every failure."""


def terms_of_event(document: str) -> list[tuple[Term, str]]:
    """What the document of an event names."""
    event = _event.decode(document)
    found = [] if event.request_id is None else [(Term.ID, event.request_id)]
    return found + [(_OF_DETAILS[name], text) for name, text in event.details.items() if name in _OF_DETAILS and text]


def terms_of_purchase(document: str) -> list[tuple[Term, str]]:
    """Who paid, as the document of a purchase has it."""
    purchase = _purchase.decode(document)
    customer, order = purchase.customer, purchase.order
    found = [(Term.CUSTOMER_ID, customer.id), (Term.EMAIL, customer.email), (Term.PHONE, customer.phone)]
    for address in (order.billing_address, order.shipping_address):
        if address is not None:
            found += [(Term.EMAIL, address.email), (Term.PHONE, address.phone_number)]
    return [(kind, text) for kind, text in found if text]


def units_of_summary(document: str) -> int:
    """The amount that the document of a payment has."""
    return units_of(Amount(_summary.decode(document).money.amount))
