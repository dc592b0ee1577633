"""What tenants send, as Structs: unknown members are errors, and the OpenAPI document is made from these types."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.core.commands import Checkout, Customer, Order, Url
from gateway.core.money import Amount

# "$" alone would let a line break stand at the end.
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[ -~]+$(?!\n)")]
CurrencyCode = Annotated[str, msgspec.Meta(min_length=2, max_length=12, pattern=r"^[A-Z0-9]+$(?!\n)")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Status = Annotated[str, msgspec.Meta(max_length=64)]


class CreateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/payments``."""

    merchant_reference: Reference
    amount: Amount
    currency: CurrencyCode
    account: Name | None = None
    deposit_method: Name | None = None
    customer: Customer | None = None
    order: Order | None = None
    checkout: Checkout | None = None
    fields: dict[str, Annotated[str, msgspec.Meta(max_length=255)]] | None = None
    return_url: Url | None = None
    cancel_url: Url | None = None
    metadata: (
        Annotated[
            dict[
                Annotated[str, msgspec.Meta(min_length=1, max_length=40)],
                Annotated[str, msgspec.Meta(max_length=500)],
            ],
            msgspec.Meta(max_length=20),
        ]
        | None
    ) = None


class CaptureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/payments/{id}/capture``; ``amount`` absent = all."""

    amount: Amount | None = None
    order: Order | None = None
    merchant_status: Status | None = None


class EmptyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that needs no members (``cancel``, ``sync``)."""


class UpdateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``PATCH /v1/payments/{id}``: at least one member. ``allow_new_checkout``: above the limit, begin a successor."""

    amount: Amount | None = None
    order: Order | None = None
    merchant_status: Status | None = None
    allow_new_checkout: bool = False


class RefundBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/payments/{id}/refunds``; ``amount`` absent = all that is left."""

    amount: Amount | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] | None = None
