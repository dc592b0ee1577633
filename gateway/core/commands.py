"""What a tenant asks for, in our words: the parts of an order, and one Struct per command.

The parts are decoded straight from a tenant's body (unknown members are errors) and handed to plugins as they are.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from gateway.core.money import Amount, Money

Text = Annotated[str, msgspec.Meta(max_length=255)]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]


class Customer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who pays. ``nationality`` is ISO 3166 alpha-2, ``language`` like ``en-us``, ``device`` ``mobile`` or ``pc``."""

    id: Text | None = None
    name: Text | None = None
    email: Text | None = None
    phone: Text | None = None
    nationality: Text | None = None
    language: Text | None = None
    device: Text | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of an order; ``price`` is for one unit, in the payment's currency."""

    merchant_id: NonEmpty
    name: NonEmpty
    price: Amount
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
    sku: Text | None = None
    size: Text | None = None
    color: Text | None = None


class Charges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """``total + shipping + tax - discount_amount = grand_total``; absent members are zero."""

    total: Amount
    grand_total: Amount
    shipping: Amount | None = None
    tax: Amount | None = None
    discount_amount: Amount | None = None


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A postal address; ``state`` is the two-letter code where the country has one."""

    first_name: Text | None = None
    last_name: Text | None = None
    company_name: Text | None = None
    email: Text | None = None
    address1: Text | None = None
    address2: Text | None = None
    city: Text | None = None
    state: Text | None = None
    zip: Text | None = None
    phone_number: Text | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is bought. Every member may be absent; a provider says which it needs."""

    items: Annotated[list[Item], msgspec.Meta(max_length=500)] | None = None
    charges: Charges | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None


class Checkout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the customer reaches the provider's page; absent members are the account's defaults."""

    mode: Literal["link", "redirect"] | None = None
    contact_method: Literal["email", "phone"] | None = None
    notify_rep: bool | None = None
    rep_email: Text | None = None


class Urls(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses the provider is told: already encoded, unguessable. A plugin appends its own placeholder as text."""

    callback: str
    return_: str
    cancel: str
    complete: str


class Kind(enum.StrEnum):
    """What an operation does at the provider."""

    CREATE = "create"
    COMPLETE = "complete"
    CAPTURE = "capture"
    CANCEL = "cancel"
    UPDATE = "update"
    REFUND = "refund"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What every command carries. ``money``: the total on create and update, what to capture or refund, else the
    present total. ``provider_reference`` is None until the provider named one."""

    payment_id: str
    merchant_reference: str
    provider_reference: str | None
    money: Money
    at: datetime


class FetchPayment(Command, frozen=True, kw_only=True):
    """Ask how the payment stands. Changes nothing; without a provider_reference it asks by merchant_reference."""


class CreatePayment(Command, frozen=True, kw_only=True):
    """Begin a payment at the provider."""

    operation_id: str
    customer: Customer
    order: Order
    checkout: Checkout
    fields: Mapping[str, str]
    metadata: Mapping[str, str]
    urls: Urls


class CompletePayment(Command, frozen=True, kw_only=True):
    """Accept what the customer finished at a provider that waits for it (two-step providers)."""

    operation_id: str


class UpdatePayment(Command, frozen=True, kw_only=True):
    """Change amount or order before capture. ``order`` is the whole order as it will be."""

    operation_id: str
    order: Order | None
    merchant_status: str | None


class CapturePayment(Command, frozen=True, kw_only=True):
    """Take the money: the order shipped. ``order`` is the whole order as it shipped."""

    operation_id: str
    order: Order | None
    merchant_status: str | None


class CancelPayment(Command, frozen=True, kw_only=True):
    """Give up before capture."""

    operation_id: str


class RefundPayment(Command, frozen=True, kw_only=True):
    """Return ``money`` after capture; it may be part of what was captured."""

    operation_id: str
    reason: str | None


KIND_OF: dict[type[Command], Kind] = {
    CreatePayment: Kind.CREATE,
    CompletePayment: Kind.COMPLETE,
    CapturePayment: Kind.CAPTURE,
    CancelPayment: Kind.CANCEL,
    UpdatePayment: Kind.UPDATE,
    RefundPayment: Kind.REFUND,
}
"""The changing commands and the kind of operation each becomes; ``FetchPayment`` becomes none."""
