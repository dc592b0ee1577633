"""Creates that are refused: the request, and the status, code, members and words of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.support.stack import creditkey_body, psp_body

CK, BANK = "creditkey-main", "psp-main"
ITEM = {"merchant_id": "PJ-1", "name": "Pallet jack", "price": "1.00", "quantity": 1}


class Row(NamedTuple):
    """A request and what it is answered. ``path`` may name a payment by its state: ``{captured}``."""

    method: str
    path: str
    body: Any
    status: int
    code: str
    fields: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    headers: Mapping[str, str] = MappingProxyType({})
    """Further headers; an empty text takes one away."""


def create(body: Any, code: str, fields: Any, *words: str, status: int = 422) -> Row:
    """A mistake in a create."""
    named = (fields,) if isinstance(fields, str) else tuple(fields)
    return Row("POST", "/v1/payments", body, status, code, named, words)


def psp(field: str, *words: str, code: str = "validation_failed", **changes: Any) -> Row:
    """One member of a create through the PSP is wrong."""
    return create(psp_body(**changes), code, field, *words)


def item(field: str, *words: str, **changes: Any) -> Row:
    """One member of an item is wrong."""
    return psp(f"$.order.items[0].{field}", *words, order={"items": [{**ITEM, **changes}]})


def credit(field: str, *words: str, order: dict[str, Any] | None = None, **changes: Any) -> Row:
    """One member of a create through Credit Key is wrong."""
    body = creditkey_body(**changes)
    return create({**body, "order": {**body["order"], **(order or {})}}, "validation_failed", field, *words)


def billing(**changes: Any) -> dict[str, Any]:
    """An order with another billing address."""
    return {"billing_address": {**creditkey_body()["order"]["billing_address"], **changes}}


def ask(method: str, path: str, body: Any, status: int, code: str, fields: Any = (), *words: str) -> Row:
    """A mistake in anything else."""
    return Row(method, path, body, status, code, (fields,) if isinstance(fields, str) else tuple(fields), words)


def query(text: str, field: str, *words: str, path: str = "/v1/payments") -> Row:
    """A mistake in a query."""
    return ask("GET", f"{path}?{text}", None, 422, "validation_failed", field, *words)


CHARGES = {"total": "942.50", "shipping": "60.00", "tax": "84.83", "discount_amount": "20.00", "grand_total": "1067.33"}


CREATES = {
    # the whole body
    "B12: nothing given": create(
        {}, "validation_failed", ["$.merchant_reference", "$.amount", "$.currency"], "is required"
    ),
    "f07: five mistakes": create(
        {
            "merchant_reference": "M-1",
            "amount": True,
            "currency": 7,
            "account": BANK,
            "foo": 1,
            "bar": 2,
            "customer": {"name": 1},
        },
        "validation_failed",
        ["$.foo", "$.bar", "$.amount", "$.currency", "$.customer.name"],
        "must be a string, not a number",
    ),
    "a list": create([], "validation_failed", "$", "must be an object, not an array"),
    "shape and content": create(
        psp_body(amuont="1", amount="0", return_url="https://evil.example/", metadata={"a": 1}),
        "validation_failed",
        ["$.amuont", "$.metadata.a", "$.amount", "$.return_url"],
        "did you mean",
        "must be more than zero",
        "registered origins: https://shop.example",
    ),
    "content and names": create(
        psp_body(amount="-1", account="sepa", deposit_method="cash"),
        "validation_failed",
        ["$.amount", "$.deposit_method", "$.account"],
        "known are creditkey-main, psp-main",
        "known are bank",
    ),
    "shape and the account's fields": create(
        psp_body(currency="usd", fields={"custom_1": "vip", "custom_9": "x"}),
        "validation_failed",
        ["$.currency", "$.fields.custom_9", "$.fields.custom_1"],
        "such as USD",
        'did you mean "custom_1"?',
        "does not match [A-Z]+",
    ),
    "shape and the provider": create(
        {**creditkey_body(amount="x"), "order": {}},
        "validation_failed",
        ["$.amount", "$.order.items", "$.order.billing_address"],
        "is required by Credit Key",
    ),
    # amounts
    "thousands": psp("$.amount", "without exponent, blank or separator", amount="1,000.00"),
    "a currency sign": psp("$.amount", 'such as "10.50"', amount="$10"),
    "a comma": psp("$.amount", 'such as "10.50"', amount="10,50"),
    "three decimals": psp("$.amount", "has more than the 2 decimals", amount="10.999"),
    "decimals of the yen": psp("$.amount", "must have no decimals", amount="500.00", currency="JPY"),
    "nothing": psp("$.amount", "must be more than zero", amount="0.00"),
    "less than nothing": psp("$.amount", "must be more than zero", amount="-0.00"),
    "16 digits": psp("$.amount", "has more than 15 digits", amount="12345678901234.56"),
    "an amount as an object": psp("$.amount", "must be a decimal string such as", amount={"value": "10.00"}),
    "no amount": psp("$.amount", "must be a decimal string such as", amount=None),
    # currency
    "lower case": psp("$.currency", "must be a currency code in upper case, such as USD", currency="usd"),
    "a sign": psp("$.currency", "must be a currency code in upper case, such as USD", currency="€€"),
    "no currency": psp("$.currency", "is not supported; use a code", code="currency_not_supported", currency="XXZ"),
    "gold": psp("$.currency", "is not supported; use a code", code="currency_not_supported", currency="XAU"),
    "not the provider's": create(
        creditkey_body(currency="EUR"), "currency_not_supported", "$.currency", "takes USD only"
    ),
    # names
    "reference for merchant_reference": create(
        {"reference": "R-1", "amount": "1.00", "currency": "USD"},
        "validation_failed",
        ["$.reference", "$.merchant_reference"],
        'did you mean "merchant_reference"?',
    ),
    "umlauts": psp("$.merchant_reference", "must be printable ASCII", merchant_reference="Größe-1"),
    "a long reference": psp("$.merchant_reference", "has 65 characters, at most 64", merchant_reference="x" * 65),
    "a reference of blanks": psp("$.merchant_reference", "must not be blank", merchant_reference="   "),
    "a reference as a number": psp("$.merchant_reference", "must be a string, not a number", merchant_reference=7001),
    "no account": psp("$.account", "known are creditkey-main, psp-main", code="unknown_account", account="sepa"),
    "an account of blanks": psp("$.account", "must not be blank", account="\u2003"),
    "no method": psp(
        "$.deposit_method", "known are bank", code="deposit_method_not_found", account=None, deposit_method="sepa"
    ),
    "a method of another account": psp("$.account", "leave one of them out", account=CK, deposit_method="bank"),
    "neither": psp("$.account", "name an account (creditkey-main, psp-main)", code="no_route", account=None),
    # customer, fields, metadata
    "a customer as a text": psp("$.customer", "must be an object, not a string", customer="Dana"),
    "a mistyped member": psp("$.customer.emial", 'did you mean "email"?', customer={"emial": "a@b.example"}),
    "NUL": psp("$.customer.name", "control characters such as U+0000", customer={"name": "Da\0na"}),
    "DEL": psp("$.customer.email", "control characters such as U+007F", customer={"email": "a\x7f@b.example"}),
    "a name that is too long": psp("$.customer.name", "at most 255", customer={"name": "x" * 256}),
    "another pattern": psp("$.fields.custom_1", "does not match [A-Z]+", fields={"custom_1": "vip"}),
    "no such field": psp("$.fields.vip", "known are custom_1", fields={"vip": "A"}),
    "a field as a number": psp("$.fields.custom_1", "must be a string, not a number", fields={"custom_1": 1}),
    "f06: a number in metadata": psp(
        "$.metadata.warehouse", "must be a string, not a number", metadata={"warehouse": 7}
    ),
    "a boolean in metadata": psp(
        "$.metadata.gift", "must be a string, not a boolean", metadata={"ok": "1", "gift": True}
    ),
    "null in metadata": psp("$.metadata.note", "must be a string, not null", metadata={"note": None}),
    "an object in metadata": psp('$.metadata["ship to"]', "must be a string, not an object", metadata={"ship to": {}}),
    "a name with a dot": psp('$.metadata["a.b"]', "must be a string, not an array", metadata={"a.b": []}),
    "a long name": psp(f"$.metadata.{'k' * 41}", "the name has 41 characters", metadata={"k" * 41: "x"}),
    "a long value": psp("$.metadata.k", "has 501 characters, at most 500", metadata={"k": "x" * 501}),
    "21 pairs": psp("$.metadata", "at most 20", metadata={str(number): "x" for number in range(21)}),
    "a card number": psp(
        "$.metadata.note",
        "card data is never sent here",
        code="card_data_refused",
        metadata={"note": "4111111111111111"},
    ),
    "a key in metadata": psp(
        "$.metadata.note",
        "belongs nowhere but in its own header",
        metadata={"note": "gw_k1_of-somebody-else-0123456789abcdef"},
    ),
    # addresses
    "another origin": psp(
        "$.return_url", "registered origins: https://shop.example", return_url="https://evil.example/"
    ),
    "a relative address": psp("$.return_url", "https://", return_url="/paid"),
    "http for https": psp(
        "$.cancel_url", "registered origins: https://shop.example", cancel_url="http://shop.example/"
    ),
    # the order
    "f05: part of a unit": item("quantity", "fold the part into price and name", quantity=2.5),
    "a quantity as a text": item("quantity", "must be a whole number, not a string", quantity="2"),
    "a quantity as a boolean": item("quantity", "must be a whole number, not a boolean", quantity=True),
    "no unit": item("quantity", "must be at least 1", quantity=0),
    "very many units": item("quantity", "must be at most 1000000000", quantity=10**12),
    "an item without a name": item("name", "must not be blank", name=" "),
    "a negative price": item("price", "must not be negative", price="-0.00"),
    "another decimal": item("price", "has more than the 2 decimals", price="1.005"),
    "qty for quantity": psp("$.order.items[0].qty", "is not known", order={"items": [{**ITEM, "qty": 1}]}),
    "items as an object": psp("$.order.items", "must be an array, not an object", order={"items": ITEM}),
    "a discount below nothing": psp(
        "$.order.charges.discount_amount",
        "must not be negative",
        amount="10.00",
        order={"charges": {"total": "10.00", "discount_amount": "-0.00", "grand_total": "10.00"}},
    ),
    "charges that do not add up": credit(
        "$.order.charges.grand_total",
        "total + shipping + tax - discount_amount",
        order={"charges": {**CHARGES, "tax": "1.00"}},
    ),
    "charges of another amount": credit(
        "$.order.charges.grand_total", "1067.33 differs from amount 1067.34", amount="1067.34"
    ),
    "no charges": credit("$.order.charges", "is required by Credit Key", order={"charges": None}),
    "no items": credit("$.order.items", "is required by Credit Key", order={"items": None}),
    "a mode of its own": credit("$.checkout.mode", "must be link or redirect", checkout={"mode": "email"}),
    "fax": credit("$.checkout.contact_method", "must be email or phone", checkout={"contact_method": "fax"}),
    "an e-mail without @": credit(
        "$.order.billing_address.email", "must be an e-mail address", order=billing(email="dana")
    ),
    "an e-mail with a blank": credit(
        "$.order.billing_address.email", "must be an e-mail address", order=billing(email="dana @shop.example")
    ),
    "two e-mails": credit("$.order.billing_address.email", "must be an e-mail", order=billing(email="a@x.example@y")),
    "a copy for nobody": credit(
        "$.checkout.rep_email", "is required with notify_rep", checkout={"mode": "link", "notify_rep": True}
    ),
    "a copy for no address": credit(
        "$.checkout.rep_email",
        "must be an e-mail address",
        checkout={"mode": "link", "notify_rep": True, "rep_email": "rep"},
    ),
    "yes": credit("$.checkout.notify_rep", "must be true or false, not a string", checkout={"notify_rep": "yes"}),
    "f03: an e-mail of blanks": credit(
        "$.order.billing_address.email", "is required: the link is sent there", order=billing(email="  ")
    ),
    "an e-mail nobody sees": credit(
        "$.order.billing_address.email", "is required: the link is sent there", order=billing(email="\u200b\ufeff")
    ),
    "a phone of blanks": credit(
        "$.order.billing_address.phone_number",
        "is required: the link is sent there",
        order=billing(phone_number="\u00a0\t"),
        checkout={"contact_method": "phone"},
    ),
    "no e-mail": credit("$.order.billing_address.email", "the link is sent there", order=billing(email=None)),
}
