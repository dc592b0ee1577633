"""Requests other than creates, and headers and bodies, that are refused: what each is answered."""

from __future__ import annotations

import json

from tests.support.factories.invalid_creates import Row, ask, query
from tests.support.stack import key_of, order_of, psp_body

MISSING = f"pay_{'0' * 32}"


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
        {"amout": "1", "finish": True},
        422,
        "validation_failed",
        ["$.amout", "$.finish"],
        'did you mean "amount"?',
        "known are",
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
        "must be a string, not a number",
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
        "must be true or false, not a string",
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
    "a filter of one payment": query("expand=refunds", "expand", "known are reply", path="/v1/payments/{captured}"),
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
    "a member twice": (b'{"amount": "1", "amount": "2"}', 400, "malformed_json", "is written twice"),
    "NaN": (b'{"amount": NaN}', 400, "malformed_json", "NaN is not JSON"),
    "Latin-1": ('{"merchant_reference": "M\u00fcller"}'.encode("latin-1"), 400, "malformed_json", "not UTF-8"),
    "too large": (json.dumps({"metadata": {"k": "x" * 70_000}}).encode(), 413, "body_too_large", "at most 64 KiB"),
}
