"""The amount rule of an account: which proved amount fits."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.core.rules import Actual, AmountRule, Exact, Tolerance, amount_matches

HALF = Tolerance(absolute=Decimal("0.50"))
FIVE_PERMILLE = Tolerance(permille=Decimal(5))
BOTH = Tolerance(absolute=Decimal("0.30"), permille=Decimal(5))


@pytest.mark.parametrize(
    ("rule", "seen", "result"),
    [
        (Exact(), "100", True),
        (Exact(), "100.00", True),
        (Exact(), "100.01", False),
        (Exact(), "99.99", False),
        (HALF, "100.50", True),
        (HALF, "99.50", True),
        (HALF, "100.51", False),
        (HALF, "99.49", False),
        (FIVE_PERMILLE, "100.50", True),
        (FIVE_PERMILLE, "100.501", False),
        (BOTH, "99.50", True),
        (BOTH, "99.49", False),
        (Tolerance(), "100", True),
        (Tolerance(), "100.01", False),
        (Actual(), "0.01", True),
        (Actual(), "250", True),
    ],
)
def test_fits(rule: AmountRule, seen: str, result: bool) -> None:
    """Exact wants equality, Tolerance the larger of its two margins, Actual any positive amount."""
    assert amount_matches(rule, Decimal(seen), Decimal("100.00")) is result


@pytest.mark.parametrize("rule", [Exact(), HALF, Tolerance(absolute=Decimal(500)), Actual()])
@pytest.mark.parametrize("seen", ["0", "-100"])
def test_nothing_fits_no_amount(rule: AmountRule, seen: str) -> None:
    """Zero and less never fit, however wide the margin."""
    assert not amount_matches(rule, Decimal(seen), Decimal("100.00"))
