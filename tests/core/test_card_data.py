"""Which members of a body are tested for card numbers, and how."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.core.card_data import card_fields, refuse_card_data
from gateway.core.documents import amount_hook
from gateway.core.errors import TenantError
from gateway.core.request_bodies import CaptureBody, CreateBody, RefundBody, UpdateBody

VISA = "4111111111111111"
GROUPED = "4111 1111 1111 1111"


def body(**members: Any) -> CreateBody:
    """A create body as a tenant sends it."""
    given = {"merchant_reference": "SO-1", "amount": "10.00", "currency": "USD", **members}
    return msgspec.convert(given, CreateBody, dec_hook=amount_hook)


def item(**members: str) -> dict[str, Any]:
    """An order with one item."""
    return {"items": [{"merchant_id": "m", "name": "n", "price": "1", "quantity": 1, **members}]}


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"customer": {"name": f"Dana {VISA}"}}, "$.customer.name"),
        ({"customer": {"language": VISA}}, "$.customer.language"),
        ({"customer": {"id": GROUPED}}, "$.customer.id"),
        ({"customer": {"phone": GROUPED}}, "$.customer.phone"),
        ({"customer": {"email": f"{VISA}@shop.example"}}, "$.customer.email"),
        ({"fields": {"custom_1": VISA}}, "$.fields.custom_1"),
        ({"metadata": {"note": VISA}}, "$.metadata.note"),
        ({"metadata": {"sku": VISA}}, "$.metadata.sku"),
        ({"metadata": {VISA: "x"}}, "$.metadata (a name)"),
        ({"metadata": {"note": "4111%201111%201111%201111"}}, "$.metadata.note"),
        ({"order": item(name=VISA)}, "$.order.items[0].name"),
        ({"order": item(color=VISA)}, "$.order.items[0].color"),
        ({"order": item(sku=GROUPED)}, "$.order.items[0].sku"),
        ({"order": {"billing_address": {"address2": VISA}}}, "$.order.billing_address.address2"),
        ({"order": {"shipping_address": {"company_name": VISA}}}, "$.order.shipping_address.company_name"),
        ({"checkout": {"rep_email": f"{VISA}@shop.example"}}, "$.checkout.rep_email"),
        ({"return_url": f"https://shop.example/{VISA}"}, "$.return_url"),
        ({"cancel_url": "https://shop.example/?a=%34111-1111-1111-1111"}, "$.cancel_url"),
        ({"merchant_reference": GROUPED}, "$.merchant_reference"),
        ({"deposit_method": VISA}, "$.deposit_method"),
        ({"account": VISA}, "$.account"),
    ],
)
def test_every_text_of_a_create_is_tested(members: dict[str, Any], field: str) -> None:
    """Free texts for whatever may be a card number, addresses for whole ones, ids for numbers in groups."""
    assert card_fields(body(**members)) == [field]


def test_honest_long_numbers_pass() -> None:
    """Ids, references, SKUs and phones may be long numbers, also where an address repeats the reference."""
    given = body(
        merchant_reference=VISA,
        order=item(sku=VISA, merchant_id=VISA),
        return_url=f"https://shop.example/orders/{VISA}/paid",
        customer={"phone": VISA, "id": VISA},
        metadata={"store": "4523", "till": "7", "zip": "90210"},
    )
    assert card_fields(given, VISA) == []


def test_a_number_around_the_reference_is_found() -> None:
    """An address is tested without the order's own reference: what is left of it may be a number."""
    given = body(merchant_reference="SO-1", return_url="https://shop.example/41111111SO-111111111")
    assert card_fields(given) == ["$.return_url"]


def test_a_number_that_is_split_over_members_names_them_all() -> None:
    """Members without digits may stand between."""
    given = body(metadata={"a": "41111111", "note": "thank you", "b": "11111111"})
    assert card_fields(given) == ["$.metadata.a", "$.metadata.b"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (CaptureBody(merchant_status=VISA), "$.merchant_status"),
        (UpdateBody(merchant_status=GROUPED), "$.merchant_status"),
        (RefundBody(reason=f"back to {GROUPED}"), "$.reason"),
        (CaptureBody(order=body(order=item(name=VISA)).order), "$.order.items[0].name"),
        (None, "Idempotency-Key"),
    ],
)
def test_every_other_request_is_tested_too(given: msgspec.Struct | None, field: str) -> None:
    """The refusal names the member and does not quote it."""
    with pytest.raises(TenantError) as refused:
        refuse_card_data(given, VISA if given is None else "key-00000001")
    assert refused.value.code == "card_data_refused"
    assert field in str(refused.value)
    assert "1111" not in str(refused.value)
