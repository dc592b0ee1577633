"""What each error code means to the people who get it: why it happens, what to do, and an example.

One table for ``/problems/{code}``, the OpenAPI document and docs/api.md. ``PROBLEMS`` in ``errors.py`` holds what a
program needs, the status and the title.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.core.errors import PROBLEMS

REQUEST_ID = "req_01a2dd2a5f0c7e3b9d1f4a6b8c0e2d4f"
PAYMENT, OPERATION = "pay_01a2dd2a5f0c7e3b9d1f4a6b8c0e2d50", "op_01a2dd2a5f0c7e3b9d1f4a6b8c0e2d51"


class Guide(msgspec.Struct, frozen=True):
    """``why`` an error happens and the ``remedy``, as sentences; ``shown``: the further members of an example answer.

    ``shown`` has ``detail``, unless that is the title, and whatever else the error carries; ``example`` adds the rest.
    """

    why: str
    remedy: str
    shown: Mapping[str, Any] = {}


def _named(*problems: tuple[str, str], detail: str | None = None, **more: Any) -> dict[str, Any]:
    """The members of an answer that names members of the request."""
    errors = [{"field": field, "message": message} for field, message in problems]
    said = detail or "; ".join(f"{field}: {message}" for field, message in problems)
    return {"detail": said, "errors": errors, **more}


def _of_field(field: str, message: str, **more: Any) -> dict[str, Any]:
    """The members of an answer whose one sentence is about one member."""
    return _named((field, message), detail=message, **more)


GUIDES: dict[str, Guide] = {
    "malformed_json": Guide(
        "The body is not strict JSON: a trailing comma, a repeated member, NaN, half of a surrogate pair, or too deep"
        " nesting.",
        "Correct the place that the detail names; write the body with a JSON library rather than by hand.",
        {"detail": "expecting property name enclosed in double quotes at line 1 column 20"},
    ),
    "idempotency_key_required": Guide(
        "Requests that change something at a provider need an `Idempotency-Key`, so that repeating one has a single"
        " effect.",
        "Send an `Idempotency-Key` header: a new value, such as a UUID, for each thing you want done, and the same"
        " value when you repeat it.",
        {"detail": "send an Idempotency-Key header: a new value such as a UUID for each thing you want done"},
    ),
    "invalid_idempotency_key": Guide(
        "The key is not 8 to 128 of A-Z a-z 0-9 _ -, was sent twice, or is itself a key or a secret.",
        "Use a UUID, or your own name for this request without other characters.",
        {"detail": "an Idempotency-Key is 8 to 128 of A-Z a-z 0-9 _ -, such as a UUID; yours has 4 characters"},
    ),
    "unauthorized": Guide(
        "There is no Authorization header, it is not of the form Bearer KEY, or the key is unknown or has expired.",
        "Send `Authorization: Bearer` and the whole key, once. Ask the operators of this gateway for a new key where"
        " yours is not known or has expired.",
        {"detail": "send Authorization: Bearer <tenant key>"},
    ),
    "forbidden": Guide(
        "Only operators get this: the role of the key does not allow it, or another key must approve what this one"
        " asked for.",
        "Use a key with the role that the detail names; an approval needs the key of somebody else.",
        {"detail": 'this needs a key with the role operate; "dana" has read'},
    ),
    "not_found": Guide(
        "There is no such route, or this tenant has no such resource. Resources of other tenants are answered the same"
        " way.",
        "The detail says which: compare method and path with the list of routes, or the id and the key you used.",
        {"detail": 'there is no payment with this id under this tenant; payment ids begin with "pay_"'},
    ),
    "method_not_allowed": Guide(
        "The path exists, but not with this method.",
        "Use one of the methods in the `Allow` header.",
        {"detail": "this path takes GET, HEAD and POST, not PUT"},
    ),
    "request_timeout": Guide(
        "The body came too slowly, or ended before its `Content-Length`. Nothing was done.",
        "Repeat the request, under the same `Idempotency-Key` where it has one.",
        {"detail": "the body did not arrive in time"},
    ),
    "request_in_progress": Guide(
        "The first request under this `Idempotency-Key` still runs, or has no outcome yet.",
        "Repeat the same request with the same key after `Retry-After` seconds, until it is answered otherwise.",
        {
            "detail": "the first request under this Idempotency-Key is still running; repeat it with the same key",
        },
    ),
    "duplicate_reference": Guide(
        "A live payment of this account has the same `merchant_reference`. It is named in `payment_id`.",
        "Read that payment and go on with it. If you want a second one, choose another `merchant_reference`, or cancel"
        " the first where its provider can cancel.",
        {
            "detail": f'payment {PAYMENT} has the merchant_reference "SO-7001" and is still live: go on with it,'
            " cancel it, or choose another reference",
            "payment_id": PAYMENT,
        },
    ),
    "operation_outcome_pending": Guide(
        "An earlier operation of this payment has no outcome yet, and only one is open at a time.",
        "Wait for its webhook, or read the payment until `pending_operation` is null; then repeat this request.",
        {
            "detail": f"operation {OPERATION} (capture) has no outcome yet: repeat this when pending_operation of the"
            " payment is null",
            "payment_id": PAYMENT,
            "operation_id": OPERATION,
        },
    ),
    "invalid_state": Guide(
        "The payment, or the webhook endpoint, is in a state that does not allow this.",
        "The detail names the state and those that allow it. With `replaced_by`, use that payment instead.",
        {
            "detail": "a payment that is captured cannot be canceled: only one that is created, awaiting_customer,"
            " processing, authorized or expired can; it can be refunded",
            "payment_id": PAYMENT,
        },
    ),
    "increase_over_limit": Guide(
        "The new amount is more than the provider's limit above what the customer agreed to. Nothing was changed.",
        'Show the `alerts` to your staff; then repeat the request with `"allow_new_checkout": true` to begin a new'
        " checkout for the new total.",
        {
            "detail": "nothing was changed and nobody was notified: 150.00 USD above what the customer accepted, at"
            ' most 100.00 is allowed; repeat with "allow_new_checkout": true to begin a new checkout for the new total,'
            " of which the customer is notified then",
            "payment_id": PAYMENT,
            "alerts": [{"code": "increase_over_limit", "message": "The amount rises above the provider's limit."}],
        },
    ),
    "under_review": Guide(
        "The provider proved something that contradicts this payment, so a person must review it first.",
        "Ask the operators of this gateway to resolve the review. Reading and `sync` still work.",
        {
            "detail": "the payment is under review (amount: the provider shows 90.00 USD; this payment is of 120.00"
            " USD); the operators of this gateway must resolve that first",
            "payment_id": PAYMENT,
        },
    ),
    "body_too_large": Guide(
        "The body is larger than 64 KiB.",
        "Leave out what is not needed, such as long texts of items.",
        {"detail": "a body has at most 64 KiB"},
    ),
    "unsupported_media_type": Guide(
        "The body is not announced as `application/json`, or it is compressed.",
        "Send `Content-Type: application/json` and the body as it is.",
        {"detail": "send the body as application/json, with that Content-Type"},
    ),
    "validation_failed": Guide(
        "Members or query parameters are missing, unknown, or of a kind or value that cannot be used; or a text holds a"
        " key or a secret.",
        "Correct every member that `errors` names.",
        _named(
            ("$.amount", "must be more than zero"),
            ("$.reference", 'is not known; did you mean "merchant_reference"?'),
        ),
    ),
    "idempotency_key_reused": Guide(
        "This `Idempotency-Key` was used for a request with another method, path or body.",
        "Use a new key for a new request; repeat a request unchanged under its own key.",
        _of_field("Idempotency-Key", "was used for another request: use a new key, or repeat that request unchanged"),
    ),
    "unsupported_by_provider": Guide(
        "The provider of this payment does not support this.",
        "Use one of the commands that the detail lists; `GET /v1/accounts` has them for every account.",
        _of_field("$", "psp_open_api cannot cancel a payment; it can create", payment_id=PAYMENT),
    ),
    "unknown_account": Guide(
        "The tenant has no such account, or the account does not accept new payments.",
        "Name one of the accounts that the detail lists, or none to let the gateway choose.",
        _of_field("$.account", 'there is no account "sepa"; known are creditkey-main, psp-main'),
    ),
    "no_route": Guide(
        "No account was named, and the tenant's routing rules choose none; or a rule took too many steps.",
        "Name an account or a `deposit_method`.",
        _of_field(
            "$.account",
            "no routing rule fits: name an account (creditkey-main, psp-main) or a deposit_method (bank)",
        ),
    ),
    "amount_too_large": Guide(
        "The amount is more than what is left to capture or to refund.",
        "Ask for at most what the detail says, or leave the amount out to take all of it.",
        _of_field("$.amount", "at most 1067.33 USD can be refunded"),
    ),
    "currency_not_supported": Guide(
        "The currency is unknown, or the account or deposit method does not accept it.",
        "Use one of the currencies that the detail lists, or another account or deposit method.",
        _of_field("$.currency", 'account "creditkey-main" does not take EUR; it takes USD only'),
    ),
    "deposit_method_not_found": Guide(
        "The tenant has no such deposit method.",
        "Use one that the detail lists; `GET /v1/deposit-methods` shows them with their labels.",
        _of_field("$.deposit_method", 'there is no deposit method "sepa"; known are bank'),
    ),
    "card_data_refused": Guide(
        "A text of the body, or the `Idempotency-Key`, seems to hold a card number. Nothing of it was stored.",
        "Remove it: card numbers are entered on the provider's page and nowhere else.",
        _named(("$.metadata.note", "seems to hold a card number: remove it, card data is never sent here")),
    ),
    "rate_limited": Guide(
        "There were more requests than the tenant's `rate_limit` allows, or one payment was synced too often; or,"
        " without a valid key, one address sent too many requests.",
        "Wait for `Retry-After` seconds, then repeat.",
        {"detail": "at most 50 requests per second (100 at once) for this tenant: repeat after Retry-After"},
    ),
    "internal_error": Guide(
        "The gateway failed. The operators find the cause in the log under `request_id`.",
        "Repeat the request under the same `Idempotency-Key`: that is safe. Tell the operators the `request_id` if it"
        " happens again.",
        {"detail": "KeyError"},
    ),
    "provider_error": Guide(
        "A login or lookup at the provider that has to come first failed. Nothing was done or stored.",
        "Repeat the request later, under the same `Idempotency-Key`.",
        {"detail": "no connection to the provider could be made"},
    ),
    "store_unavailable": Guide(
        "The gateway's store cannot be used just now. This request did nothing; an earlier one under its"
        " `Idempotency-Key` may have had its effect.",
        "Repeat the request after `Retry-After` seconds, under the same `Idempotency-Key`: it has one effect.",
    ),
    "store_in_doubt": Guide(
        "The connection to the gateway's store was lost while the request was stored. The gateway finds out"
        " whether it was; if so, the request is carried out.",
        "Repeat the request after `Retry-After` seconds, under the same `Idempotency-Key`: it has one effect.",
    ),
    "low_disk": Guide(
        "The disk of the gateway's store is almost full: no new payments are accepted, everything else still works.",
        "Repeat the request later; the operators are warned.",
    ),
    "shutting_down": Guide(
        "The gateway is stopping or being restarted. This request did nothing; an earlier one under its"
        " `Idempotency-Key` may have had its effect.",
        "Repeat the request after `Retry-After` seconds, under the same `Idempotency-Key`.",
    ),
    "storage_budget_exceeded": Guide(
        "The tenant's storage budget is used up: no new payments are accepted, everything else still works.",
        "Ask the operators of this gateway for more space (`limits.tenant_bytes`).",
        {"detail": "the budget of stored data is used up: ask the operators of this gateway for more"},
    ),
}
"""For every key of ``PROBLEMS``."""


def example(code: str, folder: str = "") -> dict[str, Any]:
    """A whole answer with this code, as the gateway gives it. ``folder`` is the path of its public address."""
    problem, shown = PROBLEMS[code], GUIDES[code].shown
    members = {"type": f"{folder}/problems/{code}", "title": problem.title, "status": problem.status}
    return {**members, "detail": problem.title.lower(), "code": code, "request_id": REQUEST_ID, **shown}


def table() -> Sequence[tuple[int, str, str, str]]:
    """Status, code, why and remedy of every code, in the order of ``PROBLEMS``."""
    return [(problem.status, code, GUIDES[code].why, GUIDES[code].remedy) for code, problem in PROBLEMS.items()]
