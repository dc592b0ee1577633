"""Signed API-2 callbacks, one line each, as ``load/callbacks.lua`` reads them."""

from __future__ import annotations

import hashlib
import time
from typing import NamedTuple

import msgspec


class Account(NamedTuple):
    """What a PSP knows of one account: where to call back, and what to sign with."""

    path: str
    merchant_id: str
    token: str


def line(account: Account, payment_id: str) -> str:
    """A success for one payment, for ``load/callbacks.lua``: path, token and body, with tabs between."""
    return f"{path(account)}\t{account.token}\t{body(account, payment_id, payment_id[-12:]).decode()}\n"


def path(account: Account) -> str:
    """Where the PSP sends an account's callbacks."""
    return f"{account.path}/pay/callback"


def body(account: Account, payment_id: str, transaction_id: str, status: int = 1, amount: float = 162.48) -> bytes:
    """A signed callback for one payment; by its status a success, or 0 for a failure."""
    members: dict[str, str | int | float] = {
        "merchant_id": account.merchant_id,
        "order_no": payment_id,
        "transaction_id": transaction_id,
        "amount": amount,
        "currency": "USD",
        "time": int(time.time() * 1000),
        "status": status,
    }
    signed = "&".join(f"{name}={members[name]}" for name in sorted(members)) + account.token
    members["sign"] = hashlib.sha1(signed.encode()).hexdigest().upper()
    return msgspec.json.encode(members)
