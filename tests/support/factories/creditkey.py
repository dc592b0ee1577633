"""Parts for the Credit Key tests: an account, an order, one command of each kind."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from gateway_creditkey import CreditKey
from gateway_creditkey.config import CreditKeyConfig

import gateway
from gateway.core.field_mapping import FieldChange, compile_map

FIXTURES = Path(__file__).parents[2] / "plugins/fixtures/creditkey"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CREDENTIALS = {"public_key": "pk_test", "shared_secret": "ss_test"}


def fixture(name: str) -> bytes:
    """The bytes of one sample."""
    return (FIXTURES / name).read_bytes()


def no_secret(purpose: str, previous: bool = False) -> gateway.Secret | None:
    """Credit Key's accounts derive nothing."""
    return None


def make_account(fields: dict[str, FieldChange] | None = None, **config: Any) -> gateway.Account:
    """An account at ``https://ck.example/app`` with the samples' credentials."""
    given = {
        "base_url": "https://ck.example/app",
        "public_key": gateway.Secret("pk_test"),
        "shared_secret": gateway.Secret("ss_test"),
    }
    compiled, problems = compile_map(CreditKey.fields, fields or {})
    assert not problems
    return gateway.Account(
        tenant="acme",
        name="creditkey-main",
        config=CreditKeyConfig(**{**given, **config}),
        fields=compiled,
        derive=no_secret,
    )


def usd(text: str) -> gateway.Money:
    """Dollars."""
    return gateway.Money.of(Decimal(text), "USD", 2)


def make_order(shipping: str = "60.00", grand_total: str = "1067.33", **changes: Any) -> gateway.Order:
    """The order of the samples."""
    amount = gateway.Amount
    parts = {
        "items": [
            gateway.Item(merchant_id="PJ-1", name="Pallet jack", price=amount("410"), quantity=2, sku="PJ-1"),
            gateway.Item(
                merchant_id="SW-9", name="Stretch wrap", price=amount("24.5"), quantity=5, sku="SW-9", color="clear"
            ),
        ],
        "charges": gateway.Charges(
            total=amount("942.50"),
            shipping=amount(shipping),
            tax=amount("84.83"),
            discount_amount=amount("20"),
            grand_total=amount(grand_total),
        ),
        "billing_address": gateway.Address(
            first_name="Dana",
            last_name="Reyes",
            company_name="Reyes Supply",
            email="dana@reyes.example",
            address1="12 Dock Rd",
            address2="",
            city="Tacoma",
            state="WA",
            zip="98421",
            phone_number="253-555-0142",
        ),
    }
    return gateway.Order(**{**parts, **changes})


def urls(base: str = "https://pay.example/callbacks/e1") -> gateway.Urls:
    """Our addresses for one payment."""
    return gateway.Urls(
        callback=base,
        return_=f"{base}/return/tok_9f2",
        cancel=f"{base}/cancel/tok_9f2",
        complete=f"{base}/complete/tok_9f2",
    )


COMMON: dict[str, Any] = {"payment_id": "pay_1", "merchant_reference": "SO-7001", "at": AT}


def create(**changes: Any) -> gateway.CreatePayment:
    """Begin the samples' order in link mode."""
    given: dict[str, Any] = {
        **COMMON,
        "provider_reference": None,
        "money": usd("1067.33"),
        "operation_id": "op_1",
        "customer": gateway.Customer(id="C-88"),
        "order": make_order(),
        "checkout": gateway.Checkout(
            mode="link", contact_method="email", notify_rep=True, rep_email="rep@merchant.example"
        ),
        "fields": {},
        "metadata": {"warehouse": "7"},
        "urls": urls(),
    }
    return gateway.CreatePayment(**{**given, **changes})


_MORE: dict[type[gateway.Command], dict[str, Any]] = {
    gateway.CompletePayment: {},
    gateway.CancelPayment: {},
    gateway.UpdatePayment: {"order": None, "merchant_status": None},
    gateway.CapturePayment: {"order": None, "merchant_status": None},
    gateway.RefundPayment: {"reason": None},
}


def command(kind: type[gateway.Command], amount: str = "1142.33", **changes: Any) -> gateway.Command:
    """Any command but create and fetch, for the samples' order."""
    given = {**COMMON, "provider_reference": "CK-TST1001", "money": usd(amount), "operation_id": "op_2"}
    return kind(**{**given, **_MORE[kind], **changes})


def fetch(provider_reference: str | None = "CK-TST1001", **changes: Any) -> gateway.FetchPayment:
    """Look the samples' order up."""
    given = {**COMMON, "provider_reference": provider_reference, "money": usd("1142.33")}
    return gateway.FetchPayment(**{**given, **changes})


def answer(
    body: bytes | dict[str, Any] | list[Any], status: int = 200, kind: str = "application/json"
) -> gateway.HttpResponse:
    """An answer of Credit Key."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return gateway.HttpResponse(status=status, headers=(("Content-Type", kind),), body=data)
