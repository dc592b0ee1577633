"""Stored documents: the Structs of ``payment.py``, and proved callbacks, as JSON text and back, exact to the digit.

A payment is two documents, its summary and its purchase, so that a list reads only the summary. A member that has its
default is not written: a default must never change, or what is stored would change with it.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.core.commands import COMMAND_OF, Command, Kind
from gateway.core.facts import Event
from gateway.core.money import Amount
from gateway.core.payment import Operation, Payment, PaymentEvent, PaymentSummary
from gateway.core.strictjson import JsonNumber


def amount_hook(wanted: type, given: Any) -> Any:
    """msgspec ``dec_hook``: read an ``Amount``; its ``ValueError`` becomes an error that names the member."""
    if wanted is Amount:
        return Amount.read(given.text if isinstance(given, JsonNumber) else given)
    raise TypeError(f"no reader for {wanted.__name__}")


def _write_amount(value: Any) -> Any:
    if isinstance(value, Amount):
        return f"{value:f}"
    raise TypeError(f"cannot store {type(value).__name__}")


_encoder = msgspec.json.Encoder(enc_hook=_write_amount)
_payment = msgspec.json.Decoder(Payment, dec_hook=amount_hook)
_payment_summary = msgspec.json.Decoder(PaymentSummary, dec_hook=amount_hook)
_operation = msgspec.json.Decoder(Operation, dec_hook=amount_hook)
_event = msgspec.json.Decoder(PaymentEvent, dec_hook=amount_hook)
_proved = msgspec.json.Decoder(Event)


SUMMARY = PaymentSummary.__struct_fields__
PURCHASE = Payment.__struct_fields__[len(SUMMARY) :]
purchase_of = attrgetter(*PURCHASE)

_NO_PURCHASE = {
    member.name: {} if member.default is msgspec.NODEFAULT else member.default
    for member in msgspec.structs.fields(Payment)[len(SUMMARY) :]
}
_Purchase = msgspec.defstruct(
    "_Purchase",
    [(name, object, None) if default is None else (name, object) for name, default in _NO_PURCHASE.items()],
    omit_defaults=True,
)


def encode(document: Payment | Operation | PaymentEvent | Event | Command) -> str:
    """Write a document for the store."""
    return _encoder.encode(document).decode()


def encode_summary(payment: Payment, *, revision: int) -> str:
    """Write what lists show of a payment, with the revision it gets by that."""
    # A Struct is written by C, whole: without its purchase it costs half of a dict of the summary's members.
    return _encoder.encode(replace(payment, revision=revision, **_NO_PURCHASE)).decode()


def encode_purchase(payment: Payment) -> str:
    """Write the rest of it."""
    return _encoder.encode(_Purchase(*purchase_of(payment))).decode()


def joined(summary: str, purchase: str) -> str:
    """The whole payment's document, from its two parts."""
    return f"{summary[:-1]},{purchase[1:]}"


def payment(document: str | bytes) -> Payment:
    """Read a payment from the store."""
    return _payment.decode(document)


def payment_summary(summary: str) -> PaymentSummary:
    """Read what lists show of a payment."""
    return _payment_summary.decode(summary)


def operation(document: str | bytes) -> Operation:
    """Read an operation from the store."""
    return _operation.decode(document)


def command(kind: Kind, document: str | bytes) -> Command:
    """Read a stored command; those of a create are not stored."""
    read: Command = msgspec.json.decode(document, type=COMMAND_OF[kind], dec_hook=amount_hook)
    return read


def event(document: str | bytes) -> PaymentEvent:
    """Read an event from the store."""
    return _event.decode(document)


def proved(document: str | bytes) -> Event:
    """Read the stored event of a proved callback."""
    return _proved.decode(document)
