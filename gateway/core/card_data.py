"""Which members of a body hold a card number. Every text of every body is tested; one table says how.

docs/adr/0023 weighs what is refused by mistake against what would be kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import msgspec
from msgspec.structs import astuple

from gateway.core.card_numbers import (
    holds_card_number,
    holds_issued_number,
    is_written_as_on_a_card,
    may_hold_card_number,
    may_hold_close_digits,
    split_number,
)
from gateway.core.encodings import decoded, is_plain
from gateway.core.errors import invalid
from gateway.core.wording import child_path

Test = Callable[[str], bool]

TESTS: dict[str, Test] = {
    "merchant_reference": is_written_as_on_a_card,
    "merchant_id": is_written_as_on_a_card,
    "sku": is_written_as_on_a_card,
    "id": is_written_as_on_a_card,
    "phone": is_written_as_on_a_card,
    "phone_number": is_written_as_on_a_card,
    "zip": holds_issued_number,
    "email": holds_issued_number,
    "rep_email": holds_issued_number,
    "return_url": holds_issued_number,
    "cancel_url": holds_issued_number,
}
"""How members that honestly hold long numbers are tested, by their name; all others are free texts."""

IDEMPOTENCY_KEY = "Idempotency-Key"

REFUSED = "seems to hold a card number: remove it, card data is never sent here"

_ONLY_DIGITS = re.compile(r"(?:[\W_]*\d){4,15}[\W_]*")


class _Text(NamedTuple):
    """One text of a body, and how it is tested."""

    field: str
    text: str
    test: Test = holds_card_number


def refuse_card_data(body: msgspec.Struct | None, idempotency_key: str = "") -> None:
    """Refuse a request that holds a card number anywhere. Raises ``card_data_refused``, which names the members."""
    found = card_fields(body, idempotency_key)
    if found:
        raise invalid(*((field, REFUSED) for field in found), code="card_data_refused")


def card_fields(body: msgspec.Struct | None, idempotency_key: str = "") -> list[str]:
    """The members of a request that seem to hold a card number, or a part of one."""
    if _is_surely_clean(body, idempotency_key):
        return []
    texts = list(_texts(body, "$"))
    if may_hold_card_number(idempotency_key):
        texts.append(_Text(IDEMPOTENCY_KEY, idempotency_key, holds_issued_number))
    reference = getattr(body, "merchant_reference", None)
    found = [one.field for one in texts if _holds(one, reference)]
    return found or _fields_of_split_number([one for one in texts if one.test is holds_card_number])


def _is_surely_clean(body: msgspec.Struct | None, idempotency_key: str) -> bool:
    """Whether no test below can find anything: one look at all texts together, which nearly every body passes."""
    free: list[str] = []
    tested = [idempotency_key]
    _gather(body, free, tested)
    reference = getattr(body, "merchant_reference", None)
    if reference is not None:  # what is left of an address without it may be a number
        tested += [text.replace(reference, "") for text in tested if reference in text]
    joined = "x".join([*free, *tested])  # a letter: no number reaches over it
    if not is_plain(joined) or may_hold_close_digits(joined):
        return False
    return len([text for text in free if not text[:1].isalpha() and _ONLY_DIGITS.fullmatch(text)]) < 2


def _gather(value: object, free: list[str], tested: list[str]) -> None:
    """Sort a body's texts and the names that the tenant chose by whether they may be parts of a number."""
    if isinstance(value, msgspec.Struct):
        for is_tested, member in zip(_are_tested(type(value)), astuple(value), strict=True):
            if isinstance(member, str):
                (tested if is_tested else free).append(member)
            elif member is not None:
                _gather(member, free, tested)
    elif isinstance(value, dict):
        tested.extend(value)
        free.extend(text for text in value.values() if text is not None)
    elif isinstance(value, list):
        for member in value:
            _gather(member, free, tested)


@cache
def _are_tested(kind: type[msgspec.Struct]) -> tuple[bool, ...]:
    """Which members of a Struct have a test of their own, in its order."""
    return tuple(name in TESTS for name in kind.__struct_fields__)


def _holds(one: _Text, reference: str | None) -> bool:
    """Whether a text holds a card number, as it is or below percent and other escapes.

    Ids and addresses are tested without the order's own reference, which may be a long number by itself.
    """
    text = decoded(one.text)
    if reference is not None and one.test is holds_issued_number:
        text = text.replace(reference, "")
    return one.test(text)


def _fields_of_split_number(texts: list[_Text]) -> list[str]:
    parts = [one for one in texts if _ONLY_DIGITS.fullmatch(one.text)]
    place = split_number([one.text for one in parts])
    return [one.field for one in parts[slice(*place)]] if place is not None else []


def _texts(value: object, path: str) -> Iterator[_Text]:
    """The texts of a body that have digits enough, with their paths; names that the tenant chose are texts too."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            member = getattr(value, name)
            if isinstance(member, str):
                if _matters(member):
                    yield _Text(f"{path}.{name}", member, TESTS.get(name, holds_card_number))
            elif isinstance(member, msgspec.Struct | dict | list):
                yield from _texts(member, f"{path}.{name}")
    elif isinstance(value, dict):
        for name, member in value.items():
            if may_hold_card_number(name) and holds_card_number(decoded(name)):
                yield _Text(f"{path} (a name)", name)
            elif member is not None and _matters(member):
                yield _Text(child_path(path, name), member)
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _texts(member, f"{path}[{number}]")


def _matters(text: str) -> bool:
    """Whether a text may hold a card number or be a part of one: a quick look that most texts do not pass."""
    return may_hold_card_number(text) or _ONLY_DIGITS.fullmatch(text) is not None
