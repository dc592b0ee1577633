"""What typical mistakes are answered: status, code, the members that are named, and words that say what to do.

One table over all routes for tenants, against one gateway. A row that answers less than this sends somebody to us.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gateway.core.problem_guides import example
from tests.support.scenarios.creditkey import authorized, awaiting, captured
from tests.support.stack import GatewayStack, Reply, creditkey_body, key_of, new_key, order_of, psp_body

MISSING = f"pay_{'0' * 32}"
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


def headed(code: str, status: int, *words: str, **headers: str) -> Row:
    """A mistake in a header of a create."""
    return Row(
        "POST",
        "/v1/payments",
        psp_body(),
        status,
        code,
        (),
        words,
        {k.replace("_", "-"): v for k, v in headers.items()},
    )


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
        "must be a text, not a number",
    ),
    "a list": create([], "validation_failed", "$", "must be an object, not a list"),
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
    "decimals of the yen": psp("$.amount", "has more than the 0 decimals", amount="500.00", currency="JPY"),
    "nothing": psp("$.amount", "must be more than zero", amount="0.00"),
    "less than nothing": psp("$.amount", "must be more than zero", amount="-0.00"),
    "16 digits": psp("$.amount", "has more than 15 digits", amount="12345678901234.56"),
    "an amount as an object": psp("$.amount", "must be a decimal text such as", amount={"value": "10.00"}),
    "no amount": psp("$.amount", "must be a decimal text such as", amount=None),
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
    "a reference as a number": psp("$.merchant_reference", "must be a text, not a number", merchant_reference=7001),
    "no account": psp("$.account", "known are creditkey-main, psp-main", code="unknown_account", account="sepa"),
    "an account of blanks": psp("$.account", "must not be blank", account="\u2003"),
    "no method": psp(
        "$.deposit_method", "known are bank", code="deposit_method_not_found", account=None, deposit_method="sepa"
    ),
    "a method of another account": psp("$.account", "leave one of them out", account=CK, deposit_method="bank"),
    "neither": psp("$.account", "name an account (creditkey-main, psp-main)", code="no_route", account=None),
    # customer, fields, metadata
    "a customer as a text": psp("$.customer", "must be an object, not a text", customer="Dana"),
    "a mistyped member": psp("$.customer.emial", 'did you mean "email"?', customer={"emial": "a@b.example"}),
    "NUL": psp("$.customer.name", "control characters such as U+0000", customer={"name": "Da\0na"}),
    "DEL": psp("$.customer.email", "control characters such as U+007F", customer={"email": "a\x7f@b.example"}),
    "a name that is too long": psp("$.customer.name", "at most 255", customer={"name": "x" * 256}),
    "another pattern": psp("$.fields.custom_1", "does not match [A-Z]+", fields={"custom_1": "vip"}),
    "no such field": psp("$.fields.vip", "known are custom_1", fields={"vip": "A"}),
    "a field as a number": psp("$.fields.custom_1", "must be a text, not a number", fields={"custom_1": 1}),
    "f06: a number in metadata": psp("$.metadata.warehouse", "must be a text, not a number", metadata={"warehouse": 7}),
    "a boolean in metadata": psp(
        "$.metadata.gift", "must be a text, not a boolean", metadata={"ok": "1", "gift": True}
    ),
    "null in metadata": psp("$.metadata.note", "must be a text, not null", metadata={"note": None}),
    "an object in metadata": psp('$.metadata["ship to"]', "must be a text, not an object", metadata={"ship to": {}}),
    "a name with a dot": psp('$.metadata["a.b"]', "must be a text, not a list", metadata={"a.b": []}),
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
    "a quantity as a text": item("quantity", "must be a whole number, not a text", quantity="2"),
    "a quantity as a boolean": item("quantity", "must be a whole number, not a boolean", quantity=True),
    "no unit": item("quantity", "must be at least 1", quantity=0),
    "very many units": item("quantity", "must be at most 1000000000", quantity=10**12),
    "an item without a name": item("name", "must not be blank", name=" "),
    "a negative price": item("price", "must not be negative", price="-0.00"),
    "another decimal": item("price", "has more than the 2 decimals", price="1.005"),
    "qty for quantity": psp("$.order.items[0].qty", "is not known", order={"items": [{**ITEM, "qty": 1}]}),
    "items as an object": psp("$.order.items", "must be a list, not an object", order={"items": ITEM}),
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
    "yes": credit("$.checkout.notify_rep", "must be true or false, not a text", checkout={"notify_rep": "yes"}),
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

HEADERS = {
    "no idempotency key": headed("idempotency_key_required", 400, "such as a UUID", Idempotency_Key=""),
    "a dot in it": headed("invalid_idempotency_key", 400, 'yours holds ":"', Idempotency_Key="order:1001.v1"),
    "a slash in it": headed("invalid_idempotency_key", 400, 'yours holds "/"', Idempotency_Key="SO/7001-pay"),
    "a blank in it": headed("invalid_idempotency_key", 400, "yours holds a blank", Idempotency_Key="SO 7001 pay"),
    "a short one": headed("invalid_idempotency_key", 400, "yours has 4 characters", Idempotency_Key="1001"),
    "a short one of an order": headed("invalid_idempotency_key", 400, "yours has 6", Idempotency_Key="A1-p40"),
    "a long one": headed("invalid_idempotency_key", 400, "yours has 129 characters", Idempotency_Key="x" * 129),
    "half a quote": headed("invalid_idempotency_key", 400, "yours has one quote", Idempotency_Key='"order-1001'),
    "no key": headed("unauthorized", 401, "Authorization: Bearer", Authorization=""),
    "Basic": headed("unauthorized", 401, "Authorization: Bearer", Authorization="Basic YTpi"),
    "a key without Bearer": headed("unauthorized", 401, "Authorization: Bearer", Authorization=key_of("acme")),
    "another key": headed("unauthorized", 401, "not known or has expired", Authorization="Bearer gw_k1_wrong"),
    "a form": headed(
        "unsupported_media_type", 415, "application/json", Content_Type="application/x-www-form-urlencoded"
    ),
    "compressed": headed("unsupported_media_type", 415, "must not be compressed", Content_Encoding="gzip"),
}

CHANGES = {
    "capture before the customer": ask(
        "POST",
        "/v1/payments/{awaiting}/capture",
        {},
        409,
        "invalid_state",
        (),
        "is awaiting_customer",
        "only one that is authorized",
        "updated or canceled",
    ),
    "capture again": ask(
        "POST", "/v1/payments/{captured}/capture", {}, 409, "invalid_state", (), "is captured", "it can be refunded"
    ),
    "capture of more": ask(
        "POST",
        "/v1/payments/{authorized}/capture",
        {"amount": "5000.00"},
        422,
        "amount_too_large",
        "$.amount",
        "at most 1067.33 USD",
    ),
    "capture of nothing": ask(
        "POST",
        "/v1/payments/{authorized}/capture",
        {"amount": "0"},
        422,
        "validation_failed",
        "$.amount",
        "more than zero",
    ),
    "capture with unknown members": ask(
        "POST",
        "/v1/payments/{authorized}/capture",
        {"amout": "1", "final": True},
        422,
        "validation_failed",
        ["$.amout", "$.final"],
        'did you mean "amount"?',
        "known are amount, order, merchant_status",
    ),
    "cancel after capture": ask(
        "POST",
        "/v1/payments/{captured}/cancel",
        {},
        409,
        "invalid_state",
        (),
        "cannot be canceled",
        "it can be refunded",
    ),
    "cancel with a body": ask(
        "POST",
        "/v1/payments/{awaiting}/cancel",
        {"reason": "x"},
        422,
        "validation_failed",
        "$.reason",
        "takes no members",
    ),
    "cancel of a PSP payment": ask(
        "POST",
        "/v1/payments/{psp}/cancel",
        {},
        422,
        "unsupported_by_provider",
        "$",
        "psp_open_api cannot cancel a payment; it can create",
    ),
    "refund of a PSP payment": ask(
        "POST", "/v1/payments/{psp}/refunds", {}, 422, "unsupported_by_provider", "$", "cannot refund"
    ),
    "refund before capture": ask(
        "POST",
        "/v1/payments/{authorized}/refunds",
        {},
        409,
        "invalid_state",
        (),
        "captured or partially_refunded",
        "captured, updated or canceled",
    ),
    "refund of more": ask(
        "POST",
        "/v1/payments/{captured}/refunds",
        {"amount": "1067.34"},
        422,
        "amount_too_large",
        "$.amount",
        "at most 1067.33 USD",
    ),
    "refund below nothing": ask(
        "POST",
        "/v1/payments/{captured}/refunds",
        {"amount": "-5"},
        422,
        "validation_failed",
        "$.amount",
        "more than zero",
    ),
    "refund with a reason as a number": ask(
        "POST",
        "/v1/payments/{captured}/refunds",
        {"amount": "x", "reason": 7},
        422,
        "validation_failed",
        ["$.amount", "$.reason"],
        "must be a text, not a number",
    ),
    "update of nothing": ask(
        "PATCH",
        "/v1/payments/{authorized}",
        {},
        422,
        "validation_failed",
        "$",
        "at least one of amount, order, merchant_status",
    ),
    "update to blanks": ask(
        "PATCH",
        "/v1/payments/{authorized}",
        {"merchant_status": "  "},
        422,
        "validation_failed",
        "$",
        "at least one of",
    ),
    "update without charges": ask(
        "PATCH",
        "/v1/payments/{authorized}",
        {"amount": "1100.00"},
        422,
        "validation_failed",
        "$.order.charges",
        "grand_total is 1100.00",
    ),
    "update over the limit": ask(
        "PATCH",
        "/v1/payments/{authorized}",
        {"amount": "1217.33", "order": {"charges": order_of("1217.33")["charges"]}},
        409,
        "increase_over_limit",
        (),
        '"allow_new_checkout": true',
        "nothing was changed",
        "100.00",
    ),
    "update after capture": ask(
        "PATCH",
        "/v1/payments/{captured}",
        {"merchant_status": "x"},
        409,
        "invalid_state",
        (),
        "awaiting_customer or authorized",
    ),
    "update of the billing address": ask(
        "PATCH",
        "/v1/payments/{authorized}",
        {"order": {"billing_address": {"city": "Reno"}}},
        422,
        "validation_failed",
        "$.order.billing_address",
        "cannot change: leave it out",
    ),
    "update with a flag as a text": ask(
        "PATCH",
        "/v1/payments/{authorized}",
        {"allow_new_checkout": "true"},
        422,
        "validation_failed",
        "$.allow_new_checkout",
        "must be true or false, not a text",
    ),
    "sync of a PSP payment": ask(
        "POST", "/v1/payments/{psp}/sync", {}, 422, "unsupported_by_provider", "$", "answers no lookups"
    ),
    "a payment of nobody": ask("GET", f"/v1/payments/{MISSING}", None, 404, "not_found", (), "no payment with this id"),
    "a reference for an id": ask("GET", "/v1/payments/SO-7001", None, 404, "not_found", (), 'begin with "pay_"'),
    "a webhook of nobody": ask("POST", "/v1/webhooks/deliveries/dlv_1/redeliver", {}, 404, "not_found", (), "delivery"),
    "redeliver without a time": ask(
        "POST", "/v1/webhooks/redeliver", {}, 422, "validation_failed", "$.created_after", "is required"
    ),
    "redeliver since a day": ask(
        "POST",
        "/v1/webhooks/redeliver",
        {"created_after": "2026-01-31", "status": "failed"},
        422,
        "validation_failed",
        ["$.created_after", "$.status"],
        "such as 2026-01-31T12:00:00Z",
        "must be dead or delivered",
    ),
    "enable as a text": ask(
        "POST", "/v1/webhooks/enable", {"redeliver": "yes"}, 422, "validation_failed", "$.redeliver", "true or false"
    ),
}

READS = {
    "B4: a filter that is none": query(
        "provider_reference=nope", "provider_reference", 'did you mean "merchant_reference"?'
    ),
    "status for state": query("status=captured", "status", 'did you mean "state"?'),
    "updated_after": query("updated_after=2026-01-01", "updated_after", 'did you mean "created_after"?'),
    "page": query("page=2", "page", "known are"),
    "a state that is none": query("state=paid", "state", "must be created, awaiting_customer", "or expired"),
    "a state twice": query("state=failed&state=captured", "state", "send it once"),
    "a limit of words": query("limit=all", "limit", "a whole number from 1 to 200"),
    "a limit that is too high": query("limit=1000", "limit", "a whole number from 1 to 200"),
    "a cursor of one's own": query("cursor=2", "cursor", "the next_cursor of the page before"),
    "a day for a time": query("created_after=2026-01-31", "created_after", "such as 2026-01-31T12:00:00Z"),
    "a filter of one payment": query(
        "expand=refunds", "expand", "has no query parameters", path="/v1/payments/{captured}"
    ),
    "a filter of accounts": query("name=x", "name", "has no query parameters", path="/v1/accounts"),
    "a filter of events": query("since=1", "since", "known are limit, cursor", path="/v1/payments/{captured}/events"),
    "an amount of words": query("amount=ten", "amount", 'such as "10.50"', path="/v1/deposit-methods"),
    "language for lang": query("language=de", "language", 'did you mean "lang"?', path="/v1/deposit-methods"),
    "a delivery's status": query(
        "status=failed", "status", "must be pending, delivered or dead", path="/v1/webhooks/deliveries"
    ),
    "B15: a slash too many": ask(
        "GET", "/v1/payments/", None, 404, "not_found", (), "without the slash at the end: /v1/payments"
    ),
    "B15: nowhere": ask("GET", "/nope", None, 404, "not_found", (), "there is no route GET /nope"),
    "another version": ask("GET", "/v2/payments", None, 404, "not_found", (), "there is no route GET /v2/payments"),
    "DELETE": ask("DELETE", "/v1/payments/{captured}", None, 405, "method_not_allowed", (), "this path takes", "PATCH"),
    "PUT": ask("PUT", "/v1/payments", {}, 405, "method_not_allowed", (), "GET, HEAD and POST, not PUT"),
}

RAW = {
    "a comma at the end": (b'{"amount": "1.00",}', 400, "malformed_json", "line 1 column"),
    "single quotes": (b"{'amount': '1.00'}", 400, "malformed_json", "line 1 column"),
    "a member twice": (b'{"amount": "1", "amount": "2"}', 400, "malformed_json", "stands twice"),
    "NaN": (b'{"amount": NaN}', 400, "malformed_json", "NaN is not JSON"),
    "Latin-1": ('{"merchant_reference": "M\u00fcller"}'.encode("latin-1"), 400, "malformed_json", "not UTF-8"),
    "too large": (json.dumps({"metadata": {"k": "x" * 70_000}}).encode(), 413, "body_too_large", "at most 64 KiB"),
}

ROWS = CREATES | HEADERS | CHANGES | READS

shared = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def payments(shared_stack: GatewayStack) -> AsyncIterator[dict[str, str]]:
    """Payments in the states that rows name."""
    begun = {"awaiting": awaiting, "authorized": authorized, "captured": captured}
    made = {name: (await begin(shared_stack))["id"] for name, begin in begun.items()}
    yield {**made, "psp": (await shared_stack.create(psp_body())).json["id"]}


async def sent(stack: GatewayStack, row: Row, path: str) -> Reply:
    """Send a row's request with all headers it should have, but for those that it changes."""
    right = {"Authorization": f"Bearer {key_of('acme')}", "Idempotency-Key": new_key()}
    headers = {name: text for name, text in {**right, **row.headers}.items() if text}
    return await stack.call(row.method, path, row.body, tenant=None, headers=headers)


def test_there_are_a_hundred() -> None:
    """The table is the promise."""
    assert len(ROWS) + len(RAW) >= 100


@shared
@pytest.mark.parametrize("name", ROWS)
async def test_a_mistake_is_answered_usefully(shared_stack: GatewayStack, payments: dict[str, str], name: str) -> None:
    """Status and code are right, exactly the wrong members are named, and the answer says what to do."""
    row = ROWS[name]
    reply = await sent(shared_stack, row, row.path.format(**payments))
    assert (reply.status, reply.json["code"]) == (row.status, row.code), reply.text
    errors = reply.json.get("errors", [])
    assert sorted(error["field"] for error in errors) == sorted(row.fields), errors
    assert bool(errors) == (reply.status == 422)
    said = " ".join([reply.json["detail"], *(error["message"] for error in errors)])
    assert [words for words in row.words if words not in said] == [], said
    assert re.findall(r"`|JsonNumber|NoneType|\bint\b|\bstr\b|\bdict\b", said) == []


AS_EXPLAINED = {
    "idempotency_key_required": "no idempotency key",
    "invalid_idempotency_key": "a short one",
    "unauthorized": "Basic",
    "not_found": "a payment of nobody",
    "method_not_allowed": "PUT",
    "invalid_state": "cancel after capture",
    "increase_over_limit": "update over the limit",
    "unsupported_media_type": "a form",
    "unsupported_by_provider": "cancel of a PSP payment",
    "unknown_account": "no account",
    "no_route": "neither",
    "amount_too_large": "refund of more",
    "currency_not_supported": "not the provider's",
    "deposit_method_not_found": "no method",
    "card_data_refused": "a card number",
}
"""Rows that are answered just as the example of their code says, ids aside."""


@shared
@pytest.mark.parametrize("code", AS_EXPLAINED)
async def test_the_example_of_a_code_is_what_is_answered(
    shared_stack: GatewayStack, payments: dict[str, str], code: str
) -> None:
    """Whoever reads the page of an error finds there what was answered."""
    row = ROWS[AS_EXPLAINED[code]]
    answer, shown = (await sent(shared_stack, row, row.path.format(**payments))).json, example(code)
    assert (answer["detail"], answer.get("errors")) == (shown["detail"], shown.get("errors"))
    assert list(answer) == list(shown)


@shared
@pytest.mark.parametrize("name", RAW)
async def test_bytes_that_are_no_body(shared_stack: GatewayStack, name: str) -> None:
    """What cannot be read says where."""
    body, status, code, words = RAW[name]
    reply = await shared_stack.call("POST", "/v1/payments", data=body, key=new_key())
    assert (reply.status, reply.json["code"]) == (status, code)
    assert words in reply.json["detail"]


@shared
async def test_very_many_mistakes_are_counted(shared_stack: GatewayStack) -> None:
    """The answer names the first and says how many more there are; it does not grow with the body."""
    order = {"items": [{"price": 1} for _ in range(400)]}
    reply = await shared_stack.create(psp_body(order=order, **{f"m{number}": 1 for number in range(200)}))
    errors = reply.json["errors"]
    assert len(errors) == 51
    assert errors[-1] == {"field": "$", "message": "and 1200 more problems"}


@shared
@pytest.mark.parametrize(
    ("make", "ways"),
    [
        (psp_body, "go on with it or choose another merchant_reference"),
        (creditkey_body, "go on with it, cancel it or choose another merchant_reference"),
    ],
)
async def test_a_duplicate_names_the_payment_and_how_to_go_on(
    shared_stack: GatewayStack, make: Callable[[], dict[str, Any]], ways: str
) -> None:
    """The reference is taken: by which payment, and what now, which is no cancel where the provider has none."""
    body = make()
    first = (await shared_stack.create(body)).json["id"]
    reply = await shared_stack.create(body)
    assert (reply.status, reply.json["code"], reply.json["payment_id"]) == (409, "duplicate_reference", first)
    assert reply.json["detail"] == f"payment {first} has this merchant_reference and is still live: {ways}"


@shared
async def test_a_key_for_another_request_names_the_header(shared_stack: GatewayStack) -> None:
    """The member that is wrong is the key."""
    body, key = psp_body(), new_key()
    assert (await shared_stack.create(body, key=key)).status == 201
    reply = await shared_stack.create({**body, "amount": "1.00"}, key=key)
    assert (reply.status, reply.json["code"]) == (422, "idempotency_key_reused")
    [error] = reply.json["errors"]
    assert (error["field"], "use a new key" in error["message"]) == ("Idempotency-Key", True)


@shared
@pytest.mark.parametrize("blank", ["  ", "\t\n", "\u00a0", "\u200b", "\u3000"])
async def test_texts_of_blanks_are_not_given(shared_stack: GatewayStack, blank: str) -> None:
    """An optional one is left out: what the provider gets has no empty name."""
    body = psp_body(customer={"id": blank, "name": blank, "email": "dana@reyes.example", "phone": blank})
    reply = await shared_stack.create(body)
    assert reply.status == 201, reply.text
    [request] = [one for one in await shared_stack.provider_requests("psp") if reply.json["id"] in one["body"]]
    assert blank not in json.loads(request["body"]).values()


@shared
@pytest.mark.parametrize("literal", ["2", "2.0", "2e0", "20e-1", "0.2E+1"])
async def test_a_whole_quantity_may_be_written_in_any_way(shared_stack: GatewayStack, literal: str) -> None:
    """The published ``integer`` is any number without a fraction."""
    body = json.dumps(psp_body(order={"items": [{**ITEM, "quantity": "LITERAL"}]})).replace('"LITERAL"', literal)
    reply = await shared_stack.call("POST", "/v1/payments", data=body.encode(), key=new_key())
    assert reply.status == 201, reply.text
