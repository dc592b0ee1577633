"""What a request says for itself: amounts, charges, origins."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.core.documents import amount_hook
from gateway.core.money import Amount
from gateway.core.request_bodies import CreateBody
from gateway.core.validation import order_problems, total_problems, url_problems


def body(**members: Any) -> CreateBody:
    """A create body as a tenant sends it."""
    given = {"merchant_reference": "SO-1", "amount": "10.00", "currency": "USD", **members}
    return msgspec.convert(given, CreateBody, dec_hook=amount_hook)


def with_charges(**charges: str) -> list[tuple[str, str]]:
    """The problems of an order with these charges, for an amount of 10.00 USD."""
    return order_problems(body(order={"charges": charges}).order, 2, Decimal("10.00"))


@pytest.mark.parametrize(
    ("amount", "digits", "problem"),
    [
        ("0.01", 2, None),
        ("1", 0, None),
        ("9999999999999.99", 2, None),
        ("99999999999999.9", 2, None),
        ("999999999999999", 2, None),
        ("0000000000000010.00", 2, None),
        ("99999999999999.90", 2, "has more than 15 digits"),
        ("-0", 2, "must be more than zero"),
        ("-0.00", 2, "must be more than zero"),
        ("999999999999999", 0, None),
        ("10000000000000.00", 2, "has more than 15 digits"),
        ("1000000000000000", 0, "has more than 15 digits"),
        ("1" * 30, 2, "has too many digits"),
        ("0", 2, "must be more than zero"),
        ("0.00", 2, "must be more than zero"),
        ("-0.01", 2, "must be more than zero"),
        ("0.001", 2, "has more than the 2 decimals of its currency"),
        ("1.5", 0, 'must have no decimals, as its currency has none: such as "500"'),
    ],
)
def test_amounts(amount: str, digits: int, problem: str | None) -> None:
    """An amount is more than zero, is written with at most 15 digits and has no more decimals than its currency."""
    expected = [] if problem is None else [("$.amount", problem)]
    assert total_problems("$.amount", Amount(amount), digits) == expected


@pytest.mark.parametrize(
    "charges",
    [
        {"total": "10.00", "grand_total": "10.00"},
        {"total": "8", "shipping": "1.50", "tax": "1.50", "discount_amount": "1.00", "grand_total": "10"},
        {"total": "0.00", "shipping": "10.00", "grand_total": "10.00"},
    ],
)
def test_charges_that_add_up(charges: dict[str, str]) -> None:
    """total + shipping + tax - discount_amount = grand_total = amount; absent members are zero."""
    assert with_charges(**charges) == []


@pytest.mark.parametrize(
    ("charges", "field", "problem"),
    [
        (
            {"total": "9.99", "grand_total": "10.00"},
            "grand_total",
            "10.00 is not total + shipping + tax - discount_amount, which is 9.99",
        ),
        ({"total": "10.01", "grand_total": "10.01"}, "grand_total", "10.01 differs from amount 10.00"),
        ({"total": "11.00", "tax": "-1.00", "grand_total": "10.00"}, "tax", "must not be negative"),
        ({"total": "10.001", "grand_total": "10.001"}, "total", "has more than the 2 decimals of its currency"),
        (
            {"total": "9.00", "discount_amount": "1.00", "grand_total": "10.00"},
            "grand_total",
            "10.00 is not total + shipping + tax - discount_amount, which is 8.00",
        ),
    ],
)
def test_charges_that_do_not(charges: dict[str, str], field: str, problem: str) -> None:
    """Each wrong member is named."""
    found = with_charges(**charges)
    assert found[0][0] == f"$.order.charges.{field}"
    assert problem in found[0][1]


def test_charges_without_an_amount_to_compare() -> None:
    """Where no amount is given the charges must only add up by themselves."""
    order = body(order={"charges": {"total": "5.00", "grand_total": "5.00"}}).order
    assert order_problems(order, 2, None) == []


def test_prices_of_items() -> None:
    """Prices have the currency's decimals and are not negative; their sum is nobody's business."""
    items = [
        {"merchant_id": "m", "name": "n", "price": price, "quantity": 1} for price in ("1", "0.001", "-1", "0", "-0.00")
    ]
    assert order_problems(body(order={"items": items}).order, 2, Decimal("10.00")) == [
        ("$.order.items[1].price", "has more than the 2 decimals of its currency"),
        ("$.order.items[2].price", "must not be negative"),
        ("$.order.items[4].price", "must not be negative"),
    ]


ORIGINS = frozenset({"https://shop.example", "http://127.0.0.1:3000"})


@pytest.mark.parametrize(
    "url",
    [
        None,
        "https://shop.example",
        "https://shop.example/paid?x=1#y",
        "HTTPS://SHOP.example/",
        "http://127.0.0.1:3000/",
    ],
)
def test_urls_on_a_registered_origin(url: str | None) -> None:
    """An origin is scheme, host and port; upper case is no difference."""
    assert url_problems("$.return_url", url, ORIGINS) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/",
        "https://shop.example:444/",
        "https://shop.example.evil.example/",
        "https://evil.example/https://shop.example",
        "https://shop.example@evil.example/",
        "https://evil.example\\@shop.example/",
        "https://shop.example\\.evil.example/",
        "https://x:y@shop.example/",
        "//shop.example/",
        "/paid",
        "javascript:alert(1)",
        "https://shop.example/a b",
        "https://shop.example/\n",
        "https://shop.exämple/",
        "https://[::1/",
        "https://shop.example/#paid\r\nSet-Cookie: a=b",
        "https://shop.example/#\x00",
        "https://shop.example/#a\tb",
        "https://shop.example/#a b",
        "https://shop.example/#\x7f",
        "https://shop.example/#\u2028",
        "https://shop.example/#bezahlt-mit-\xe4",
        "https://shop.example/#a\\b",
        "https://shop.example/?a\\b",
        "https://shop.example\n#x",
        "",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """Nothing that a browser could read as another place passes."""
    assert [field for field, _ in url_problems("$.return_url", url, ORIGINS)] == ["$.return_url"]
