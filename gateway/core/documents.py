"""Stored documents: the Structs of ``payment.py``, and proved callbacks, as JSON text and back, exact to the digit."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.core.facts import Event
from gateway.core.money import Amount
from gateway.core.payment import Operation, Payment, PaymentEvent
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
_operation = msgspec.json.Decoder(Operation, dec_hook=amount_hook)
_event = msgspec.json.Decoder(PaymentEvent, dec_hook=amount_hook)
_proved = msgspec.json.Decoder(Event)


def encode(document: Payment | Operation | PaymentEvent | Event) -> str:
    """Write a document for the store."""
    return _encoder.encode(document).decode()


def payment(document: str | bytes) -> Payment:
    """Read a payment from the store."""
    return _payment.decode(document)


def operation(document: str | bytes) -> Operation:
    """Read an operation from the store."""
    return _operation.decode(document)


def event(document: str | bytes) -> PaymentEvent:
    """Read an event from the store."""
    return _event.decode(document)


def proved(document: str | bytes) -> Event:
    """Read what a proved callback told from the store."""
    return _proved.decode(document)
