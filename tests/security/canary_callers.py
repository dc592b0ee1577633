"""Tenants, operators and strangers put secrets and card numbers into every text, header, path and query."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from tests.security.canaries import CARDS, SETTINGS, STRANGERS, in_groups, spellings
from tests.security.canary_gateway import ObservedGateway
from tests.security.canary_requests import OF_PROVIDERS, OURS, Work, create, endpoint_of, globex_token, some
from tests.support.stack import creditkey_body, psp_body

Place = Callable[[Any, str], None]


def _set(*path: Any) -> Place:
    def place(body: Any, text: str) -> None:
        for step in path[:-1]:
            body = body[step] if isinstance(body, list) else body.setdefault(step, {})
        body[path[-1]] = text

    return place


def _name(*path: Any) -> Place:
    def place(body: Any, text: str) -> None:
        for step in path:
            body = body.setdefault(step, {})
        body[text] = "x"

    return place


FREE: dict[str, Place] = {
    "customer.name": _set("customer", "name"),
    "customer.language": _set("customer", "language"),
    "customer.device": _set("customer", "device"),
    "item name": _set("order", "items", 0, "name"),
    "item size": _set("order", "items", 0, "size"),
    "item color": _set("order", "items", 0, "color"),
    **{
        f"address {name}": _set("order", "billing_address", name)
        for name in ("first_name", "last_name", "company_name", "address1", "address2", "city", "state")
    },
    "metadata value": _set("metadata", "note"),
    "metadata name": _name("metadata"),
    "fields value": _set("fields", "custom_1"),
    "fields name": _name("fields"),
    "account": _set("account"),
    "deposit_method": _set("deposit_method"),
    "currency": _set("currency"),
    "amount": _set("amount"),
    "unknown member": _set("unknown"),
    "name of a member": _name(),
    "unknown member of an item": _set("order", "items", 0, "unknown"),
    "name of a member of the customer": _name("customer"),
}
"""Members of a create body in which a card number is refused in any spelling."""

IDS: dict[str, Place] = {
    "customer.email": _set("customer", "email"),
    "zip": _set("order", "billing_address", "zip"),
    "rep_email": _set("checkout", "rep_email"),
    "return_url": lambda body, text: body.update(return_url=f"https://shop.example/{quote(text)}"),
    "cancel_url": lambda body, text: body.update(cancel_url=f"https://shop.example/?a={quote(text)}"),
}
"""Members in which only complete card numbers are refused."""

REFERENCES: dict[str, Place] = {
    "customer.id": _set("customer", "id"),
    "customer.phone": _set("customer", "phone"),
    "phone_number": _set("order", "billing_address", "phone_number"),
    "merchant_reference": _set("merchant_reference"),
    "sku": _set("order", "items", 0, "sku"),
    "merchant_id": _set("order", "items", 0, "merchant_id"),
}
"""Members that are often numbers: only what is grouped as on a card is refused (docs/adr/0023)."""


def careless_tenants(observed: ObservedGateway) -> Iterator[Work]:
    """Tenants put card numbers and secrets into every member of every body, headers, paths and queries."""
    misplaced = [SETTINGS[name] for name in (*OURS, *OF_PROVIDERS)]
    for places, spelled in ((FREE, spellings), (IDS, lambda card: spellings(card)[:10]), (REFERENCES, in_groups)):
        for at, put in enumerate(places.values()):
            forms = [spelled(card)[(at + number) % len(spelled(card))] for number, card in enumerate(CARDS)]
            for text in (*forms[at % 3 :: 3], *misplaced[at % 3 :: 3]):
                body = json.loads(json.dumps(creditkey_body()))
                put(body, text)
                yield create(observed, body)
    for card in CARDS:
        yield create(observed, psp_body(metadata={"a": card[:8], "b": card[8:]}))
        yield create(
            observed, psp_body(customer={"name": card[:4]}, metadata={"b": card[4:8], "c": card[8:12], "d": card[12:]})
        )
    for at, text in enumerate((*CARDS, *misplaced)):
        yield from some(_around_a_tenants_call(observed, text), at)


def _around_a_tenants_call(observed: ObservedGateway, text: str) -> Iterator[Work]:
    """Put one text into headers, paths, queries and the bodies of all other calls."""

    def call(method: str, path: str, body: Any = None, **headers: str) -> Work:
        keyed = {"Idempotency-Key": f"key-{uuid.uuid4().hex}", **headers}
        return observed.call(method, path, body, key="acme's key", headers=keyed)

    yield create(observed, psp_body(), **{"Idempotency-Key": text})
    yield create(observed, psp_body(), **{"X-Request-Id": text})
    yield create(
        observed, psp_body(), **{"User-Agent": text, "X-Api-Key": text, "Referer": f"https://x.example/{text}"}
    )
    yield create(observed, json.dumps(text).encode())
    yield create(observed, f'{{"merchant_reference": "{text}", "amount": '.encode())
    yield create(observed, f'{{"{text}": 1, "{text}": 2}}'.encode())
    yield create(observed, psp_body(), **{"Content-Type": text})
    quoted = quote(text, safe="")
    for path in (
        "/v1/payments/{}",
        "/v1/payments/{}/events",
        "/problems/{}",
        "/docs/{}",
        "/{}",
        "/v1/{}",
        "/callbacks/{}",
    ):
        yield call("GET", path.format(quoted))
    names = (
        "merchant_reference",
        "cursor",
        "limit",
        "state",
        "account",
        "created_after",
        "key",
        "payment_id",
        "status",
    )
    lists = ("/v1/payments", "/v1/webhooks/deliveries", "/v1/accounts", "/v1/deposit-methods")
    for at, path in enumerate(lists):
        yield call("GET", f"{path}?{'&'.join(f'{name}={quoted}' for name in names[at % 3 :: 3])}")
        yield call("GET", f"{path}?{quoted}={quoted}")
    payment = "/v1/payments/pay_0192f0c4a5b87c3d9e1f2a3b4c5d6e7f"
    for body in ({"merchant_status": text}, {"amount": text}, {text: text}, {"order": {"items": [{"name": text}]}}):
        yield call("POST", f"{payment}/capture", body)
        yield call("PATCH", payment, body)
    for path in ("/refunds", "/cancel", "/sync"):
        yield call("POST", f"{payment}{path}", {"reason": text})
        yield call("POST", f"{payment}{path}", {text: text})
    for path in ("test", "enable", "redeliver", f"deliveries/{quoted}/redeliver"):
        yield call("POST", f"/v1/webhooks/{path}", {"created_after": text, text: text})


def careless_operators(observed: ObservedGateway) -> Iterator[Work]:
    """Operators do the same on their listener."""
    for at, text in enumerate((*CARDS, *(SETTINGS[name] for name in (*OURS, *OF_PROVIDERS)))):
        yield from some(_around_an_operators_call(observed, text), at)


RESOLVING = (
    "reviews/{}/resolve",
    "operations/{}/resolve",
    "inbox/{}/replay",
    "inbox/{}/reverify",
    "deliveries/{}/redeliver",
)


def _around_an_operators_call(observed: ObservedGateway, text: str) -> Iterator[Work]:
    quoted, headers = quote(text, safe=""), {"X-Request-Id": text}
    for path in RESOLVING:
        for body in ({"reason": text, "outcome": "declined"}, {"actor": text, "reason": "x"}, {text: text}):
            address = f"/admin/v1/{path.format(quoted)}"
            yield observed.call("POST", address, body, key="operators' key", admin=True, headers=headers)
    for path in ("inbox", "deliveries", "reviews", "operations"):
        for query in (f"{quoted}={quoted}", f"tenant={quoted}", f"cursor={quoted}&status={quoted}"):
            yield observed.call("GET", f"/admin/v1/{path}?{query}", key="second operators' key", admin=True)


def strangers(observed: ObservedGateway) -> Iterator[Work]:
    """Callers send credentials that open nothing, on both listeners and at callback endpoints."""
    basic = base64.b64encode(f"user:{STRANGERS['basic password']}".encode()).decode()
    headers = (
        {"Authorization": f"Bearer {STRANGERS['mistyped key']}"},
        {"Authorization": f"Basic {basic}"},
        {"Proxy-Authorization": f"Basic {STRANGERS['proxy password']}"},
        {"Cookie": f"session={STRANGERS['cookie']}; a=b"},
        {"X-Api-Key": STRANGERS["x-api-key"]},
        {"X-Auth-Token": STRANGERS["x-auth-token"]},
        {"X-Session-Token": STRANGERS["x-session"]},
        *({"Authorization": f"Bearer {SETTINGS[name]}"} for name in ("acme's expired key", "globex's key")),
        {"crm-pay-token": globex_token(observed)},
        {"X-Auth-Token": globex_token(observed)},
    )
    for one in headers:
        for path in (
            "/v1/payments",
            "/v1/accounts",
            endpoint_of(observed, "psp-main"),
            endpoint_of(observed, "canary-main"),
        ):
            yield observed.call("POST", path, {}, headers=one)
        yield observed.call("GET", "/admin/v1/inbox", headers=one, admin=True)
