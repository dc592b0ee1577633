"""What a tenant asks for, in our words: the parts of an order, and one Struct per command.

The parts are decoded straight from a tenant's body (unknown members are errors) and handed to plugins as they are.
"""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.core.money import Amount, Money
from gateway.core.payment_urls import Urls

MUST = "must"
"""Key of ``Meta(extra=…)``: the sentence for a value of the right kind whose form is wrong."""

WHOLE_QUANTITY = "must be a whole number: for part of a unit write 1 and fold the part into price and name"

Text = Annotated[str, Meta(max_length=255)]
NonEmpty = Annotated[str, Meta(min_length=1, max_length=255)]
Email = Annotated[str, Meta(max_length=255, extra_json_schema={"format": "email"})]
Url = Annotated[str, Meta(min_length=1, max_length=2048, extra_json_schema={"format": "uri"})]
Mode = Literal["link", "redirect"]
Contact = Literal["email", "phone"]
CaptureMode = Literal["now", "later"]
Quantity = Annotated[int, Meta(ge=1, le=1_000_000_000, extra={MUST: WHOLE_QUANTITY})]


class Customer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who pays. A provider says which members it needs."""

    id: Annotated[Text | None, Meta(description="The tenant's own id of the customer.")] = None
    name: Annotated[Text | None, Meta(description="First and last name.")] = None
    email: Annotated[Email | None, Meta(description="Where the provider may write to.")] = None
    phone: Annotated[Text | None, Meta(description="With or without the country's prefix.")] = None
    nationality: Annotated[Text | None, Meta(description="ISO 3166 alpha-2, such as `us`.")] = None
    language: Annotated[Text | None, Meta(description="Such as `en-us`.")] = None
    device: Annotated[Text | None, Meta(description="`mobile` or `pc`.")] = None


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of an order."""

    merchant_id: Annotated[NonEmpty, Meta(description="The tenant's own id of the article.")]
    name: Annotated[NonEmpty, Meta(description="What the customer reads.")]
    price: Annotated[Amount, Meta(description="For one unit, in the payment's currency.")]
    quantity: Annotated[Quantity, Meta(description="How many units; a whole number.")]
    sku: Annotated[Text | None, Meta(description="The stock-keeping unit.")] = None
    size: Annotated[Text | None, Meta(description="The size, where there are several.")] = None
    color: Annotated[Text | None, Meta(description="The color, where there are several.")] = None


Items = Annotated[list[Item], Meta(max_length=500)]


class Charges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """``total + shipping + tax - discount_amount = grand_total``; absent members are zero."""

    total: Annotated[Amount, Meta(description="The sum of the items.")]
    grand_total: Annotated[Amount, Meta(description="The payment's `amount`.")]
    shipping: Annotated[Amount | None, Meta(description="The cost of shipping.")] = None
    tax: Annotated[Amount | None, Meta(description="The tax.")] = None
    discount_amount: Annotated[Amount | None, Meta(description="What is taken off; not negative.")] = None


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A postal address. A provider says which members it needs."""

    first_name: Annotated[Text | None, Meta(description="First name.")] = None
    last_name: Annotated[Text | None, Meta(description="Last name.")] = None
    company_name: Annotated[Text | None, Meta(description="The company.")] = None
    email: Annotated[Email | None, Meta(description="The address a payment link is sent to.")] = None
    address1: Annotated[Text | None, Meta(description="Street and number.")] = None
    address2: Annotated[Text | None, Meta(description="What else the street's line needs.")] = None
    city: Annotated[Text | None, Meta(description="City.")] = None
    state: Annotated[Text | None, Meta(description="The two-letter code, where the country has one.")] = None
    zip: Annotated[Text | None, Meta(description="Postal code.")] = None
    phone_number: Annotated[Text | None, Meta(description="The number a payment link is sent to.")] = None


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is bought. Every member may be absent; a provider says which it needs."""

    items: Annotated[Items | None, Meta(description="The lines of the order.")] = None
    charges: Annotated[Charges | None, Meta(description="How the total comes about.")] = None
    billing_address: Annotated[Address | None, Meta(description="Who is billed; it cannot change later.")] = None
    shipping_address: Annotated[Address | None, Meta(description="Where the goods go.")] = None


class Checkout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the customer reaches the provider's page; absent members are the account's defaults."""

    mode: Annotated[Mode | None, Meta(description="With `link` the provider writes to the customer.")] = None
    contact_method: Annotated[Contact | None, Meta(description="Where the link goes, in the billing address.")] = None
    notify_rep: Annotated[bool | None, Meta(description="Whether a sales representative is written to as well.")] = None
    rep_email: Annotated[Email | None, Meta(description="The representative's address.")] = None


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
    present total. ``provider_reference`` is None until the provider named one. ``memory`` is what earlier answers and
    callbacks asked the gateway to keep (``Observation.memory``)."""

    payment_id: str
    merchant_reference: str
    provider_reference: str | None
    money: Money
    at: datetime
    memory: Mapping[str, str] = msgspec.field(default_factory=dict)


class OpenOperation(msgspec.Struct, frozen=True, kw_only=True):
    """The operation that has no outcome yet. ``money``: what it captures or refunds, else the payment's total as it
    will be. ``provider_id`` is the provider's own id of it, once known."""

    id: str
    kind: Kind
    money: Money
    provider_id: str | None = None


class FetchPayment(Command, frozen=True, kw_only=True):
    """Ask how the payment stands. Changes nothing; without a provider_reference it asks by merchant_reference.

    ``checkout`` is the create's: whether the customer was notified follows from it where a provider's order does not
    say so, and the answer to the create may have been lost. ``open_operation`` is the one whose outcome is asked for.
    """

    checkout: Checkout | None = None
    open_operation: OpenOperation | None = None


class CreatePayment(Command, frozen=True, kw_only=True):
    """Begin a payment at the provider. ``capture``: whether the money is taken when the customer pays (``now``) or by a
    capture (``later``), one of ``Rules.capture_modes``; None: as the account does it."""

    operation_id: str
    customer: Customer
    order: Order
    checkout: Checkout
    fields: Mapping[str, str]
    metadata: Mapping[str, str]
    urls: Urls
    capture: CaptureMode | None = None


class CompletePayment(Command, frozen=True, kw_only=True):
    """Accept what the customer finished at a provider that waits for it (two-step providers)."""

    operation_id: str


class UpdatePayment(Command, frozen=True, kw_only=True):
    """Change amount or order before capture. ``order`` is the whole order as it will be."""

    operation_id: str
    order: Order | None
    merchant_status: str | None


class CapturePayment(Command, frozen=True, kw_only=True):
    """Take the money: the order shipped. ``order`` is the whole order as it shipped. ``final``: no capture follows, and
    what is not captured is released; false only where ``Rules.captures`` is ``many``."""

    operation_id: str
    order: Order | None
    merchant_status: str | None
    final: bool = True


class CancelPayment(Command, frozen=True, kw_only=True):
    """Give up before capture; of a payment that is captured in part, what is left."""

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

COMMAND_OF = {kind: command for command, kind in KIND_OF.items()}
