"""Tenants, their PSP accounts, and the PSP's request: the checks and the work that the gateway does too."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, NamedTuple

from bench.psp_callbacks import Account
from bench.settings import TENANT_KEYS


class Tenant(NamedTuple):
    """A tenant with its one account."""

    name: str
    account: Account


def _account(name: str) -> Account:
    token = hashlib.sha256(f"{name}, bench only".encode()).hexdigest()
    return Account(f"/callbacks/{name}", f"merchant-of-{name}", token)


TENANTS = {name: Tenant(name, _account(name)) for name in TENANT_KEYS}
TENANT_OF_KEY = {hashlib.sha256(key.encode()).hexdigest(): TENANTS[name] for name, key in TENANT_KEYS.items()}
"""SHA-256 of an API key -> tenant."""

LANGUAGES = {"en-us": "EN"}


def psp_request(account: Account, payment_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Map a create to the PSP's sixteen fields, and sign them."""
    customer, metadata = body["customer"], body["metadata"]
    fields = {
        "merchant_id": account.merchant_id,
        "order_no": payment_id,
        "sum": float(body["amount"]),
        "currency": body["currency"],
        "user_id": customer["id"],
        "user_name": customer["name"],
        "email": customer["email"],
        "phone": customer["phone"],
        "country": customer["nationality"].upper(),
        "lang": LANGUAGES.get(customer["language"], "EN"),
        "device": customer["device"],
        "channel": "web",
        "branch": metadata.get("warehouse", "none"),
        "extra_0": "constant 0",
        "extra_1": "constant 1",
        "return_url": f"http://127.0.0.1/return/{payment_id}",
    }
    return fields | {"sign": signature(account, fields)}


def signature(account: Account, members: dict[str, Any]) -> str:
    """SHA-1 over the sorted members and the token, in upper case."""
    said = "&".join(f"{name}={members[name]}" for name in sorted(members)) + account.token
    return hashlib.sha1(said.encode()).hexdigest().upper()


def is_same_money(amount: Any, currency: str, expected: Decimal, expected_currency: str) -> bool:
    """Whether a callback names the payment's own amount."""
    return Decimal(str(amount)) == expected and currency == expected_currency
