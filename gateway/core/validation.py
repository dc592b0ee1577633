"""Rules about a request's own content, whatever the provider: amounts, charges, origins, card numbers.

Each function returns (field, message) pairs; an empty list means nothing is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from decimal import Decimal

from gateway.core.commands import Order
from gateway.core.money import MAX_DIGITS, as_written
from gateway.core.requests import CreateBody
from gateway.core.wire import origin_of

Problems = list[tuple[str, str]]

_DIGIT_GROUPS = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_MOST_GROUPS = 20


def amount_problems(field: str, amount: Decimal, digits: int) -> Problems:
    """An amount to be paid: more than zero, at most 15 digits, no more decimals than its currency."""
    try:
        exact = as_written(amount, digits)
    except ValueError as problem:
        return [(field, str(problem))]
    if exact <= 0:
        return [(field, "must be more than zero")]
    if len(exact.as_tuple().digits) > MAX_DIGITS:
        return [(field, f"has more than {MAX_DIGITS} digits")]
    return []


def order_problems(order: Order | None, digits: int, amount: Decimal | None) -> Problems:
    """The amounts inside an order, and that its charges add up to ``amount`` (where one is given)."""
    if order is None:
        return []
    problems: Problems = []
    for field, part in _amounts_of(order):
        problems += [(field, message) for message in _part_problems(part, digits)]
    charges = order.charges
    if charges is None or problems:
        return problems
    zero = Decimal(0)
    total = charges.total + (charges.shipping or zero) + (charges.tax or zero) - (charges.discount_amount or zero)
    if total != charges.grand_total:
        problems.append(("$.order.charges.grand_total", "is not total + shipping + tax - discount_amount"))
    elif amount is not None and charges.grand_total != amount:
        problems.append(("$.order.charges.grand_total", "differs from amount"))
    return problems


def url_problems(field: str, url: str | None, origins: Collection[str]) -> Problems:
    """A browser is only sent to an origin the tenant registered (``return_origins``)."""
    if url is None:
        return []
    if "\\" in url or origin_of(url) not in origins:
        return [(field, "is not on an origin registered for this tenant")]
    return []


def card_fields(body: CreateBody) -> list[str]:
    """Members that seem to hold a card number. Ids, references, SKUs and phones are not looked at."""
    return [field for field, text in _free_texts(body) if holds_card_number(text)]


def holds_card_number(text: str) -> bool:
    """Whether 13 to 19 digits look like a card number: the first digit, the length, the Luhn sum.

    Groups of digits are tried together and apart: a security code or a date may stand beside the number.
    """
    for run in _DIGIT_GROUPS.finditer(text):
        groups = re.split("[ -]", run.group())
        starts = range(len(groups))
        if any(_is_card("".join(groups[at:end])) for at in starts for end in range(at + 1, at + _MOST_GROUPS)):
            return True
    return False


def _is_card(digits: str) -> bool:
    begins = "4" if len(digits) == 13 else "23456"
    return 13 <= len(digits) <= 19 and digits[0] in begins and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _part_problems(amount: Decimal, digits: int) -> list[str]:
    try:
        exact = as_written(amount, digits)
    except ValueError as problem:
        return [str(problem)]
    return ["must not be negative"] if exact < 0 else []


def _amounts_of(order: Order) -> Iterator[tuple[str, Decimal]]:
    for number, item in enumerate(order.items or ()):
        yield f"$.order.items[{number}].price", item.price
    if order.charges is not None:
        for name in order.charges.__struct_fields__:
            value = getattr(order.charges, name)
            if value is not None:
                yield f"$.order.charges.{name}", value


def _free_texts(body: CreateBody) -> Iterator[tuple[str, str]]:
    if body.customer is not None and body.customer.name:
        yield "$.customer.name", body.customer.name
    for part in ("fields", "metadata"):
        for name, text in (getattr(body, part) or {}).items():
            if holds_card_number(name):
                yield f"$.{part} (a name)", name
            yield f"$.{part}.{name}", text
    for number, item in enumerate((body.order.items if body.order else None) or ()):
        yield f"$.order.items[{number}].name", item.name
