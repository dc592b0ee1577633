"""Accounts, commands and callbacks of psp_open_api for its tests, and the published contract vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from gateway_psp_open_api.config import PspConfig, prepare
from gateway_psp_open_api.requests import FIELDS
from gateway_psp_open_api.signature import canonical, sign

import gateway
from gateway.core.field_mapping import FieldChange, compile_map
from gateway.core.signing import derive

VECTORS = json.loads(
    (Path(__file__).parents[2] / "plugins/fixtures/psp_open_api/psp_signature_vectors.json").read_text("utf-8")
)
TOKEN = gateway.Secret("tkn_test_5b1f0c7e2a9d4836")
MERCHANT = "f23eb3a856284d0a87913e33ed581852"
NOW = datetime(2021, 9, 15, 9, 0, tzinfo=UTC)
MILLISECONDS = 1631696419516
TOLD = {
    "merchant_id": MERCHANT,
    "order_no": "pay_1",
    "transaction_id": "T-1",
    "amount": gateway.JsonNumber("432.98"),
    "currency": "USD",
    "time": gateway.JsonNumber(str(MILLISECONDS)),
    "status": gateway.JsonNumber("1"),
}
"""API-2 without its sign."""


def account(
    *, fields: Mapping[str, FieldChange] | None = None, generation: int = 1, previous: bool = False, **config: Any
) -> gateway.Account:
    """An account with a fixed merchant_id and token unless the config says otherwise."""

    def derived(purpose: str, previous: bool = False) -> gateway.Secret | None:
        if previous and not accepts_previous:
            return None
        return derive(gateway.Secret("master"), "acme", "psp", purpose, str(generation - previous))

    accepts_previous = previous
    field_map, problems = compile_map(FIELDS, fields or {})
    assert problems == []
    settings = {"app_url": "https://psp.example/bridge", "merchant_id": MERCHANT, "token": TOKEN, **config}
    made = gateway.Account(tenant="acme", name="psp", config=PspConfig(**settings), fields=field_map, derive=derived)
    return msgspec.structs.replace(made, prepared=prepare(made))


def create(amount: str = "162.48", currency: str = "USD", digits: int = 2, **parts: Any) -> gateway.CreatePayment:
    """A create command for one payment."""
    command = gateway.CreatePayment(
        payment_id="pay_1",
        merchant_reference="SO-1",
        provider_reference=None,
        money=gateway.Money.of(Decimal(amount), currency, digits),
        at=NOW,
        operation_id="op_1",
        customer=gateway.Customer(),
        order=gateway.Order(),
        checkout=gateway.Checkout(),
        fields={},
        metadata={},
        urls=gateway.Urls(
            callback="https://gw/c", return_="https://gw/r", cancel="https://gw/x", complete="https://gw/k"
        ),
    )
    return msgspec.structs.replace(command, **parts)


def signed(token: gateway.Secret = TOKEN, *, without: str = "", **changes: Any) -> bytes:
    """API-2's body with some members changed or left out, signed anew."""
    body = {key: value for key, value in {**TOLD, **changes}.items() if key != without}
    return gateway.dumps({**body, "sign": sign(canonical(body), token)})


def callback(body: bytes | None = None, *, header: str | None = TOKEN.reveal(), **changes: Any) -> gateway.Callback:
    """API-2 as the web layer hands it over."""
    headers: gateway.Headers = (("Content-Type", "application/json; charset=utf-8"),)
    if header is not None:
        headers = (*headers, ("Crm-Pay-Token", header))
    call = gateway.Callback(
        method="POST",
        suffix="pay/callback",
        query="",
        headers=headers,
        body=signed() if body is None else body,
        remote="192.0.2.7",
        received_at=NOW,
    )
    return msgspec.structs.replace(call, **changes)
