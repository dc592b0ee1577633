"""Rules about a request's own content, whatever the provider: amounts, charges, origins.

Each function returns (field, message) pairs; an empty list means nothing is wrong. A mandatory member that is None
could not be read: that is reported already, and what depends on it is not checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal

from gateway.core.commands import Charges, Order
from gateway.core.money import MAX_DIGITS, as_written
from gateway.core.urls import origin_of, page_url

Problems = list[tuple[str, str]]

UNBALANCED = (
    "{given:f} is not total + shipping + tax - discount_amount, which is {sum:f}: store credit and gift cards belong in"
    " discount_amount, fees in shipping or in an item of their own"
)

DIFFERS = "{given:f} differs from amount {amount:f}"
DIFFERS_FROM_STORED = "{given:f} differs from the payment's amount {amount:f}: send amount too"
"""How charges do not come to the amount that a request names, or to the payment's where it names none."""

MAX_ORIGINS_NAMED = 20
"""Registered origins that an error lists."""


def amount_problems(field: str, amount: Decimal | None, digits: int | None) -> Problems:
    """An amount to be paid: more than zero, no more decimals than its currency; without one, any number."""
    if amount is None:
        return []
    problem = _misfit(amount, digits)
    if problem is not None:
        return [(field, problem)]
    return [(field, "must be more than zero")] if amount <= 0 else []


def total_problems(field: str, amount: Decimal | None, digits: int | None) -> Problems:
    """The amount of a payment, which besides is written with at most 15 digits; zeros at its beginning do not count.

    What is captured or refunded later is shown with all decimals of the currency, so it may be longer.
    """
    problems = amount_problems(field, amount, digits)
    is_long = not problems and amount is not None and len(amount.as_tuple().digits) > MAX_DIGITS
    return [(field, f"has more than {MAX_DIGITS} digits")] if is_long else problems


def order_problems(
    order: Order | None, digits: int | None, amount: Decimal | None, *, identity: bool = True, differs: str = DIFFERS
) -> Problems:
    """The amounts inside an order, and that its charges come to ``amount`` (where one is given).

    ``identity``: the charges must also add up to their own grand total. ``differs``: how a difference is said.
    """
    if order is None:
        return []
    problems: Problems = []
    for path, which, part in _amounts_of(order):
        problem = _misfit(part, digits) or ("must not be negative" if part.is_signed() else None)
        problems += [(path.format(which), problem)] if problem is not None else []
    charges = order.charges
    if charges is None or problems or None in (charges.total, charges.grand_total):
        return problems
    if identity and not add_up(charges):
        unbalanced = UNBALANCED.format(given=charges.grand_total, sum=sum_of(charges))
        problems.append(("$.order.charges.grand_total", unbalanced))
    elif amount is not None and charges.grand_total != amount:
        problems.append(("$.order.charges.grand_total", differs.format(given=charges.grand_total, amount=amount)))
    return problems


def add_up(charges: Charges | None) -> bool:
    """Whether ``total + shipping + tax - discount_amount = grand_total``; charges that are absent do."""
    return charges is None or sum_of(charges) == charges.grand_total


def sum_of(charges: Charges) -> Decimal:
    """What the parts of charges come to."""
    zero = Decimal(0)
    return charges.total + (charges.shipping or zero) + (charges.tax or zero) - (charges.discount_amount or zero)


def url_problems(field: str, url: str | None, origins: Collection[str]) -> Problems:
    """A browser is only sent to an origin the tenant registered (``return_origins``)."""
    if url is None or origin_of(url) in origins:
        return []
    try:
        page_url(url)
    except ValueError as wrong:
        return [(field, str(wrong))]
    return [(field, f"is not on an origin registered for this tenant; {_registered(origins)}")]


def _registered(origins: Collection[str]) -> str:
    """The origins a tenant may use, as far as they fit on a line."""
    if not origins:
        return "no origin is registered: the gateway's operator adds them to return_origins"
    shown = sorted(origins)[:MAX_ORIGINS_NAMED]
    more = len(origins) - len(shown)
    return "registered origins: " + ", ".join(shown) + (f" and {more} more" if more else "")


def _misfit(amount: Decimal, digits: int | None) -> str | None:
    """Why an amount is not one of a currency with so many decimals; None where it is, or where they are not known."""
    try:
        if digits is not None:
            as_written(amount, digits)
    except ValueError as problem:
        return str(problem)
    return None


def _amounts_of(order: Order) -> Iterator[tuple[str, int | str, Decimal]]:
    """Each amount, with the form of its path and what to put into it: nearly no path is ever shown."""
    for number, item in enumerate(order.items or ()):
        if item is not None and item.price is not None:
            yield "$.order.items[{}].price", number, item.price
    if order.charges is not None:
        for name in order.charges.__struct_fields__:
            value = getattr(order.charges, name)
            if value is not None:
                yield "$.order.charges.{}", name, value
