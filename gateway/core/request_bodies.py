"""What tenants send, as Structs: unknown members are errors, and the OpenAPI document is made from these types."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.core.commands import MUST, CaptureMode, Checkout, Customer, Order, Url
from gateway.core.money import Amount

IN_ASCII = "must be printable ASCII: letters, digits, blanks and signs such as - _ /, in one line"
IN_UPPER_CASE = "must be a currency code in upper case, such as USD"

# "$" would let a line break stand at the end; the document says "$", which has no such meaning in JSON Schema.
Reference = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[ -~]+\Z", extra={MUST: IN_ASCII})]
CurrencyCode = Annotated[str, Meta(min_length=2, max_length=12, pattern=r"^[A-Z0-9]+\Z", extra={MUST: IN_UPPER_CASE})]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
MerchantStatus = Annotated[
    Annotated[str, Meta(max_length=64)] | None, Meta(description="The tenant's own value, passed on to the provider.")
]
Reason = Annotated[str, Meta(max_length=500)]
FieldText = Annotated[str, Meta(max_length=255)]
MetadataName = Annotated[str, Meta(min_length=1, max_length=40)]
MetadataText = Annotated[str, Meta(max_length=500)]
Metadata = Annotated[dict[MetadataName, MetadataText], Meta(max_length=20)]


class CreateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A payment to be created. A provider may need more members than the required ones."""

    merchant_reference: Annotated[
        Reference,
        Meta(description="The tenant's own reference of the payment; only one live payment per account may have it."),
    ]
    amount: Annotated[Amount, Meta(description="The amount to pay, in major units.")]
    currency: Annotated[
        CurrencyCode, Meta(description="An ISO 4217 code in upper case, or a currency of the gateway's settings.")
    ]
    account: Annotated[Name | None, Meta(description="The account to use; see `GET /v1/accounts`.")] = None
    deposit_method: Annotated[
        Name | None, Meta(description="How the customer pays; see `GET /v1/deposit-methods`.")
    ] = None
    customer: Annotated[Customer | None, Meta(description="Who pays.")] = None
    order: Annotated[Order | None, Meta(description="What is bought.")] = None
    checkout: Annotated[Checkout | None, Meta(description="How the customer reaches the provider's page.")] = None
    fields: Annotated[dict[str, FieldText] | None, Meta(description="What the account asks of the customer.")] = None
    return_url: Annotated[
        Url | None, Meta(description="Where the customer returns to; its origin must be registered for the tenant.")
    ] = None
    cancel_url: Annotated[Url | None, Meta(description="The same for a customer who canceled.")] = None
    capture: Annotated[
        CaptureMode | None,
        Meta(
            description="Whether the money is taken when the customer pays (`now`) or by a capture (`later`), where"
            " `capture_modes` of the account has it; unless given, as the account does it."
        ),
    ] = None
    metadata: Annotated[Metadata | None, Meta(description="The tenant's own key-value pairs; at most 20.")] = None


class CaptureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to capture; without members everything that is left."""

    amount: Annotated[
        Amount | None, Meta(description="The amount to capture; everything that is left unless given.")
    ] = None
    order: Annotated[Order | None, Meta(description="The order as it was shipped.")] = None
    merchant_status: MerchantStatus = None
    final: Annotated[
        bool,
        Meta(
            description="No capture follows, and what is not captured is released; false unless given. Where `captures`"
            " of the account is `one`, every capture is final."
        ),
    ] = False


class EmptyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request without members."""


class UpdateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change before capture; at least one member."""

    amount: Annotated[Amount | None, Meta(description="The new total.")] = None
    order: Annotated[Order | None, Meta(description="The members that change; each replaces the whole old one.")] = None
    merchant_status: MerchantStatus = None
    allow_new_checkout: Annotated[
        bool,
        Meta(description="Start a new checkout for a total above the provider's limit; false unless given."),
    ] = False


class RefundBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to refund; without members everything that is left."""

    amount: Annotated[
        Amount | None, Meta(description="The amount to refund; everything that is left unless given.")
    ] = None
    reason: Annotated[Reason | None, Meta(description="Why, for the record and the provider.")] = None
