"""Money is exact: digits of the currency, never a rounding, never a float."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.money import Amount, Money, currency_digits, quantized


@pytest.mark.parametrize(
    ("given", "digits", "text"),
    [
        ("1067.33", 2, "1067.33"),
        ("1067.3", 2, "1067.30"),
        ("500", 0, "500"),
        ("500.000", 0, "500"),
        ("1.25", 3, "1.250"),
        ("1E+2", 2, "100.00"),
        ("0.0000010", 6, "0.000001"),
        ("-5", 2, "-5.00"),
        ("9999999999999.99", 2, "9999999999999.99"),
    ],
)
def test_amount_has_the_digits_of_its_currency(given: str, digits: int, text: str) -> None:
    """An exact amount is written with just the digits of its currency."""
    assert Money.of(Decimal(given), "XXX", digits).text() == text


@pytest.mark.parametrize(("given", "digits"), [("10.001", 2), ("0.1", 0), ("1.2345", 3), ("1E-40", 2)])
def test_more_digits_than_the_currency_are_refused(given: str, digits: int) -> None:
    """An amount is never rounded to its currency: it is an error."""
    with pytest.raises(ValueError, match=f"more than the {digits} decimals|must have no decimals"):
        quantized(Decimal(given), digits)


@pytest.mark.parametrize("given", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(given: str) -> None:
    """Only finite amounts are money."""
    with pytest.raises(ValueError, match="finite"):
        quantized(Decimal(given), 2)


@pytest.mark.parametrize(
    "given", ["1E+999999", "1E-999999", "1" * 61, "1" * 30, "0." + "1" * 61, "0E+99999", "1" * 27 + ".00"]
)
def test_huge_amounts_are_refused(given: str) -> None:
    """An amount with more digits than decimal arithmetic keeps is refused by its size, at no cost."""
    with pytest.raises(ValueError, match="too many digits"):
        quantized(Decimal(given), 2)


@given(amount=st.decimals(allow_nan=False, allow_infinity=False), digits=st.integers(0, 8))
def test_quantizing_keeps_the_value_or_refuses(amount: Decimal, digits: int) -> None:
    """Whatever is given: the result equals it and has the digits, or there is none."""
    try:
        exact = quantized(amount, digits)
    except ValueError:
        return
    assert exact == amount
    assert exact.as_tuple().exponent == -digits


@pytest.mark.parametrize(
    ("given", "digits", "minor"), [("1067.33", 2, 106733), ("500", 0, 500), ("1.25", 3, 1250), ("0.01", 2, 1)]
)
def test_minor_units(given: str, digits: int, minor: int) -> None:
    """The smallest unit of the currency is a whole number."""
    assert Money.of(Decimal(given), "XXX", digits).minor_units() == minor


@pytest.mark.parametrize(
    ("given", "digits", "text"),
    [("100", 2, "100"), ("1067.30", 2, "1067.3"), ("1067.33", 2, "1067.33"), ("500", 0, "500"), ("0.10", 2, "0.1")],
)
def test_shortest_text_has_no_trailing_zeros(given: str, digits: int, text: str) -> None:
    """The shortest text drops zeros behind the point and no others."""
    assert Money.of(Decimal(given), "XXX", digits).shortest() == text


def test_with_amount_keeps_the_currency() -> None:
    """Another amount of the same currency has the same digits."""
    assert Money.of(Decimal("1"), "USD", 2).with_amount(Decimal("2.5")) == Money(Decimal("2.50"), "USD", 2)


@pytest.mark.parametrize("given", ["10.50", "0", "-1", 7, Decimal("10.50")])
def test_amounts_are_read_exactly(given: str | int | Decimal) -> None:
    """Decimal text, integers and exact decimals are read as they stand."""
    assert Amount.read(given) == Decimal(given)


@pytest.mark.parametrize(
    "given",
    ["", " 1", "1 ", "1,5", "1_000", "+1", "1e2", "1E2", ".5", "5.", "0x1", "NaN", "Infinity", "١", "1\n", "1" * 31],
)
def test_other_texts_are_no_amounts(given: str) -> None:
    """Exponents, blanks, separators, signs and digits of other scripts are refused."""
    with pytest.raises(ValueError, match="must be a decimal"):
        Amount.read(given)


@pytest.mark.parametrize("given", [1.5, True, None, [], Decimal("1E+2"), Decimal("NaN")])
def test_other_values_are_no_amounts(given: object) -> None:
    """Floats, booleans and numbers written with an exponent are refused."""
    with pytest.raises(ValueError, match="must be a decimal"):
        Amount.read(given)


@pytest.mark.parametrize(
    ("code", "digits"),
    [
        ("USD", 2),
        ("JPY", 0),
        ("KWD", 3),
        ("CLF", 4),
        ("IQD", 3),
        ("USDT", None),
        ("usd", None),
        ("XAU", None),
        ("", None),
    ],
)
def test_digits_of_iso_4217(code: str, digits: int | None) -> None:
    """ISO 4217 says how many decimals a currency has; what has none there is no money."""
    assert currency_digits(code, {}) == digits


def test_own_currencies_come_from_the_settings() -> None:
    """A currency beyond ISO 4217 has the digits the settings give it."""
    assert currency_digits("USDT", {"USDT": 6}) == 6
