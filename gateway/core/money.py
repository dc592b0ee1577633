"""Exact money: a ``Decimal`` that has just the digits of its currency. Floats never enter.

Digits come from ISO 4217 (library ``iso4217``) or from ``currencies:`` in the settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from functools import cache, lru_cache
from typing import Self

import msgspec

MAX_DIGITS = 15
"""Digits an amount may be written with: JavaScript, Python and PHP agree on these as numbers."""

_PRECISION = 28
"""Digits that decimal arithmetic keeps; an amount that needs more could be rounded."""

_AMOUNT_TEXT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")


class Amount(Decimal):
    """A decimal as a tenant writes it: digits with one point, nothing else. Not yet checked against a currency."""

    @classmethod
    def read(cls, given: object) -> Self:
        """Take decimal text, an integer or an exact ``Decimal``. Raises ``ValueError`` worded for the tenant."""
        if isinstance(given, bool) or not isinstance(given, str | int | Decimal):
            raise ValueError('must be a decimal string such as "10.50" or a number')
        text = given if isinstance(given, str) else str(given)
        if _AMOUNT_TEXT.fullmatch(text) is None:
            raise ValueError('must be a decimal such as "10.50", without exponent, blank or separator')
        return cls(text)


class Money(msgspec.Struct, frozen=True):
    """``amount`` in major units, quantised to ``digits`` decimals of ``currency`` (ISO 4217, or of the settings)."""

    amount: Decimal
    currency: str
    digits: int

    @classmethod
    def of(cls, amount: Decimal, currency: str, digits: int) -> Self:
        """Make money of an exact amount. Raises ``ValueError`` when it has more digits than the currency."""
        return cls(quantized(amount, digits), currency, digits)

    def with_amount(self, amount: Decimal) -> Money:
        """The same currency with another amount."""
        return Money.of(amount, self.currency, self.digits)

    def text(self) -> str:
        """Decimal text with all digits of the currency: ``"1067.30"``, JPY ``"500"``."""
        return f"{self.amount:f}"

    def shortest(self) -> str:
        """Decimal text without trailing zeros: ``"1067.3"``. Also a JSON number."""
        text = f"{self.amount:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    def minor_units(self) -> int:
        """The amount in the currency's smallest unit: 1067.33 USD is 106733."""
        return int(self.amount.scaleb(self.digits))


def as_text(amount: Decimal, money: Money) -> str:
    """An amount in the currency of ``money``, as text with all its digits."""
    return f"{amount:.{money.digits}f}"


def quantized(amount: Decimal, digits: int) -> Decimal:
    """Give ``amount`` exactly ``digits`` decimals. Raises ``ValueError`` rather than round."""
    unit = _unit(digits)
    if amount.same_quantum(unit) and amount.adjusted() + digits < _PRECISION:
        return Decimal(amount)  # it has them already, as nearly every amount has
    if not amount.is_finite():
        raise ValueError("must be a finite decimal")
    exact = Decimal(amount)
    if len(exact.as_tuple().digits) > 60 or abs(exact.adjusted()) > 60 or exact.adjusted() + digits >= _PRECISION:
        raise ValueError("has too many digits")
    rounded = exact.quantize(unit)
    if rounded != exact:
        raise _too_fine(digits)
    return rounded


def _too_fine(digits: int) -> ValueError:
    if not digits:
        return ValueError('must have no decimals, as its currency has none: such as "500"')
    return ValueError(f"has more than the {digits} decimals of its currency")


@cache
def _unit(digits: int) -> Decimal:
    """One of the smallest unit: 0.01 for two decimals."""
    return Decimal(1).scaleb(-digits)


def rounded_down(amount: Decimal, digits: int) -> Decimal:
    """Give ``amount`` ``digits`` decimals, what lies beyond them cut off. Raises ``ValueError`` as ``quantized``."""
    if not amount.is_finite() or abs(amount.adjusted()) > 60 or amount.adjusted() + digits >= _PRECISION:
        raise ValueError("has too many digits")
    return quantized(amount.quantize(_unit(digits), rounding=ROUND_DOWN), digits)


def as_written(amount: Decimal, digits: int) -> Decimal:
    """Like ``quantized``, for what a tenant wrote: a further decimal is refused even if it is a zero."""
    exact = quantized(amount, digits)
    if amount.same_quantum(exact):
        return exact
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > digits:
        raise _too_fine(digits)
    return exact


def currency_digits(code: str, extra: Mapping[str, int]) -> int | None:
    """Return how many decimals ``code`` has; None when it is not a currency to pay in. ``extra`` wins."""
    return extra[code] if code in extra else _iso_digits(code)


@lru_cache(maxsize=512)
def _iso_digits(code: str) -> int | None:
    try:
        import iso4217  # a large XML file, which no start waits for

        digits = iso4217.Currency(code).exponent
    except ValueError:
        return None
    return digits if isinstance(digits, int) else None
