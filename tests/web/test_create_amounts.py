"""Amounts and currencies of a create: what is read exactly, what is refused, and that charges come to the amount."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, order_of, psp_body


@pytest.mark.parametrize("number", [b"1.62e1", b"162e-1", b"1.10E1", b"1e2", b"0.0000001"])
async def test_an_amount_is_read_from_its_text(stack: GatewayStack, number: bytes) -> None:
    """A JSON number with an exponent, or with more decimals than its currency, is refused and named."""
    body = b'{"merchant_reference":"D-1","currency":"USD","account":"psp-main","amount":' + number + b"}"
    reply = await stack.call("POST", "/v1/payments", data=body, key=new_key())
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "$.amount")


shared = pytest.mark.asyncio(loop_scope="module")


async def send(stack: GatewayStack, text: bytes, *, content_type: str = "application/json") -> Reply:
    """Send raw bytes as a create."""
    headers = {"Content-Type": content_type}
    return await stack.call("POST", "/v1/payments", data=text, key=new_key(), headers=headers)


def with_literal(member: str, literal: str, **changes: Any) -> bytes:
    """A create whose top member is written as this JSON literal."""
    return json.dumps(psp_body(**{member: "LITERAL", **changes})).replace('"LITERAL"', literal).encode()


def refused(reply: Reply) -> tuple[int, str, list[str]]:
    """Status, code and the members that are named."""
    return reply.status, reply.json["code"], [one["field"] for one in reply.json.get("errors", [])]


@shared
@pytest.mark.parametrize(
    ("literal", "currency", "shown"),
    [
        ('"10.50"', "USD", "10.50"),
        ("10.50", "USD", "10.50"),
        ("10.5", "USD", "10.50"),
        ("10", "USD", "10.00"),
        ('"10.5"', "USD", "10.50"),
        ('"0.01"', "USD", "0.01"),
        ('"500"', "JPY", "500"),
        ("500", "JPY", "500"),
        ('"1.250"', "KWD", "1.250"),
        ('"1.25"', "KWD", "1.250"),
        ('"9999999999999.99"', "USD", "9999999999999.99"),
        ("1067.33", "USD", "1067.33"),
        ("0.1", "USD", "0.10"),
    ],
)
async def test_amounts_that_are_taken(shared_stack: GatewayStack, literal: str, currency: str, shown: str) -> None:
    """An amount is decimal text or a JSON number, read from its text, and shown with its currency's digits."""
    reply = await send(shared_stack, with_literal("amount", literal, currency=currency))
    assert (reply.status, reply.json["amount"], reply.json["currency"]) == (201, shown, currency)


@shared
@pytest.mark.parametrize(
    ("literal", "currency"),
    [
        ('"10.505"', "USD"),
        ("10.505", "USD"),
        ('"500.5"', "JPY"),
        ('"500.0"', "JPY"),
        ('"10.500"', "USD"),
        ('"1.2505"', "KWD"),
        ('"0"', "USD"),
        ('"0.00"', "USD"),
        ("0", "USD"),
        ("-1", "USD"),
        ('"-1.00"', "USD"),
        ('"12345678901234.56"', "USD"),
        ('"1e2"', "USD"),
        ("1e2", "USD"),
        ("1E400", "USD"),
        ("1e-400", "USD"),
        ("9" * 400, "USD"),
        ('"10,50"', "USD"),
        ('"1 000"', "USD"),
        ('" 10.50"', "USD"),
        ('"+10.50"', "USD"),
        ('"10."', "USD"),
        ('".5"', "USD"),
        ('"٣"', "USD"),
        ('"NaN"', "USD"),
        ('"Infinity"', "USD"),
        ('"0x10"', "USD"),
        ('""', "USD"),
        ("true", "USD"),
        ("null", "USD"),
        ("[]", "USD"),
        ("{}", "USD"),
    ],
)
async def test_amounts_that_are_refused(shared_stack: GatewayStack, literal: str, currency: str) -> None:
    """Nothing is rounded, and no float, exponent, separator or zero passes for an amount."""
    reply = await send(shared_stack, with_literal("amount", literal, currency=currency))
    assert refused(reply) == (422, "validation_failed", ["$.amount"])


@shared
@pytest.mark.parametrize(
    ("currency", "status", "code"),
    [
        ("usd", 422, "validation_failed"),
        ("US", 422, "currency_not_supported"),
        ("ZZZ", 422, "currency_not_supported"),
        ("XXX", 422, "currency_not_supported"),
        ("XAU", 422, "currency_not_supported"),
        ("USDT", 422, "currency_not_supported"),
        ("", 422, "validation_failed"),
        ("€", 422, "validation_failed"),
    ],
)
async def test_currencies_that_are_refused(shared_stack: GatewayStack, currency: str, status: int, code: str) -> None:
    """A currency is an ISO 4217 code in upper case in which money can be paid, unless settings list it."""
    reply = await shared_stack.create(psp_body(currency=currency))
    assert (reply.status, reply.json["code"]) == (status, code)


@shared
async def test_a_currency_the_provider_does_not_take(shared_stack: GatewayStack) -> None:
    """Credit Key takes dollars only."""
    body = creditkey_body(currency="EUR")
    assert (await shared_stack.create(body)).json["code"] == "currency_not_supported"


@shared
@pytest.mark.parametrize(
    ("charges", "amount", "field"),
    [
        ({"total": "10.00", "grand_total": "11.00"}, "11.00", "$.order.charges.grand_total"),
        ({"total": "10.00", "tax": "1.00", "grand_total": "11.00"}, "11.01", "$.order.charges.grand_total"),
        (
            {"total": "10.00", "discount_amount": "1.00", "grand_total": "11.00"},
            "11.00",
            "$.order.charges.grand_total",
        ),
        (
            {"total": "10.00", "discount_amount": "-1.00", "grand_total": "11.00"},
            "11.00",
            "$.order.charges.discount_amount",
        ),
    ],
)
async def test_charges_must_come_to_the_amount(
    shared_stack: GatewayStack, charges: dict[str, str], amount: str, field: str
) -> None:
    """total + shipping + tax - discount_amount = grand_total = amount, to the cent."""
    reply = await shared_stack.create(psp_body(amount=amount, order={"charges": charges}))
    assert refused(reply) == (422, "validation_failed", [field])


@shared
@pytest.mark.parametrize(
    "charges",
    [
        {"total": "10.00", "grand_total": "10.00"},
        {"total": 10, "shipping": 0.1, "tax": "0.2", "grand_total": "10.30"},
        {"total": "12", "shipping": None, "tax": None, "discount_amount": "2", "grand_total": "10"},
    ],
    ids=str,
)
async def test_charges_that_come_to_the_amount(shared_stack: GatewayStack, charges: dict[str, Any]) -> None:
    """Absent and null charges are zero; numbers are read from their text."""
    order = {**order_of("1.00"), "charges": charges}
    reply = await shared_stack.create(creditkey_body(amount=str(charges["grand_total"]), order=order))
    assert reply.status == 201, reply.text


@shared
async def test_item_sums_are_not_checked(shared_stack: GatewayStack) -> None:
    """Items need not add up to the total: discounts and bundles are the tenant's affair."""
    assert (await shared_stack.create(creditkey_body(amount="1.00", order=order_of("1.00")))).status == 201
