"""A second verifier of PSP Open API's callbacks, written from ``docs/providers/psp_open_api.md`` alone.

It shares no code with the plugin or the core: own JSON scanner, own printing of numbers, own signature, own table of
states. It must agree with the gateway about every callback.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tests.security.json_scanner import Number, Unreadable, Value, scan

DAY = 86_400_000
"""Milliseconds."""

LONGEST_ID = 1024
"""Characters of a ``transaction_id``."""

_STAGES = {0: "failed", 1: "captured", 2: "processing"}
_KEY = re.compile("[=&\x00-\x1f\x7f-\x9f]")
_LIKE_A_MEMBER = re.compile("&[A-Za-z_][A-Za-z0-9_.-]*=")


@dataclass(frozen=True)
class Merchant:
    """A merchant as the bridge knows it: the account behind it and its credentials."""

    tenant: str
    account: str
    merchant_id: str
    token: str


@dataclass
class Order:
    """A payment as both parties know it: ``state`` is waiting, processing, captured or failed."""

    payment_id: str
    merchant: Merchant
    amount: Fraction
    currency: str
    created: int
    state: str = "waiting"
    transaction_id: str | None = None
    applied: set[tuple[object, ...]] = field(default_factory=set)


@dataclass(frozen=True)
class Sent:
    """One callback: to which account's address, how, and when (Unix milliseconds)."""

    merchant: Merchant
    method: str
    suffix: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: int


class Refusal(Exception):
    """The callback must not be answered with success; the message says why."""


def verify(sent: Sent, orders: Mapping[str, Order]) -> Order:
    """Apply a callback to the orders and return the one it is about. Raises ``Refusal`` and changes nothing."""
    _envelope(sent)
    body, texts = _proved(sent)
    if body.get("merchant_id") != sent.merchant.merchant_id:
        raise Refusal("merchant_id")
    order = orders.get(body["order_no"]) if isinstance(body.get("order_no"), str) else None
    if order is None or order.merchant is not sent.merchant:
        raise Refusal("order")
    stage = _STAGES.get(_number(body, texts, "status"))  # type: ignore[call-overload]  # a fraction equals its integer
    if stage is None:
        raise Refusal("status")
    if len(texts.get("transaction_id", "")) > LONGEST_ID:
        raise Refusal("transaction_id")
    amount, currency = _amount(body, texts), _currency(body)
    event = (stage, texts.get("transaction_id") or None, amount, currency)
    if event in order.applied:
        return order
    _agrees(order, amount, currency, _number(body, texts, "time"), sent.at)
    _move(order, stage, event[1])
    order.applied.add(event)
    return order


def string_a(body: Mapping[str, Value], *, canonical: bool) -> tuple[str, dict[str, str]]:
    """StringA of a body, and the texts of its members. Raises ``Refusal`` for what must not be signed."""
    texts: dict[str, str] = {}
    for key, value in body.items():
        if _KEY.search(key):
            raise Refusal("a key that could be read as several members")
        if isinstance(value, list | dict) and value:
            raise Refusal("a container with content")
        if isinstance(value, Number):
            texts[key] = javascript(value.text) if canonical else value.text
        elif isinstance(value, bool):
            texts[key] = "true" if value else "false"
        elif isinstance(value, str) and value:
            texts[key] = value
    ordered = sorted((key for key in texts if key != "sign"), key=lambda key: list(_code_units(key)))
    return "&".join(f"{key}={texts[key]}" for key in ordered), texts


def signed(string: str, token: str) -> str:
    """The sign of StringA."""
    return hashlib.sha1((string + token).encode()).hexdigest().upper()


def javascript(literal: str) -> str:
    """A number as ECMAScript's ``String(number)`` prints it. Raises ``Refusal`` for one that is not finite."""
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise Refusal("a number that is not finite")
    if number == 0:
        return "0"
    mantissa, exponent = next(
        text.split("e") for places in range(17) if float(text := f"{abs(number):.{places}e}") == abs(number)
    )
    digits, power = mantissa.replace(".", ""), int(exponent)
    sign = "-" if number < 0 else ""
    if power >= 21 or power < -6:
        return f"{sign}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{'+' if power > 0 else '-'}{abs(power)}"
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    whole, part = digits[: power + 1].ljust(power + 1, "0"), digits[power + 1 :]
    return f"{sign}{whole}{'.' if part else ''}{part}"


def exact(text: str) -> Fraction | None:
    """A number's exact value; None beyond 60 digits or thirty places before or behind the point."""
    found = re.fullmatch(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]{1,6}))?", text)
    if found is None:
        return None
    sign, whole, part, power = found[1], found[2], found[3] or "", int(found[4] or 0)
    digits = (whole + part).lstrip("0") or "0"
    first = len(digits) - 1 + power - len(part)
    if len(digits) > 60 or abs(first) > 30:
        return None
    value = Fraction(int(digits)) * Fraction(10) ** (power - len(part))
    return -value if sign else value


def _envelope(sent: Sent) -> None:
    if sent.method != "POST":
        raise Refusal("method")
    types = [value for name, value in sent.headers if name.lower() == "content-type"]
    if len(types) != 1 or types[0].split(";")[0].strip().lower() != "application/json":
        raise Refusal("media type")
    if sent.suffix.strip("/") not in ("", "pay/callback"):
        raise Refusal("path")
    tokens = [value for name, value in sent.headers if name.lower() == "crm-pay-token"]
    if tokens != [sent.merchant.token]:
        raise Refusal("token")


def _proved(sent: Sent) -> tuple[Mapping[str, Value], dict[str, str]]:
    """The body and the texts its sign vouches for: numbers as written if those sign, else as JavaScript prints them."""
    try:
        body = scan(sent.body)
    except Unreadable as problem:
        raise Refusal(str(problem)) from None
    if not isinstance(body, dict):
        raise Refusal("no object")
    both = [string_a(body, canonical=canonical) for canonical in (False, True)]
    given = body.get("sign")
    if not isinstance(given, str) or re.fullmatch("[0-9A-Fa-f]{40}", given) is None:
        raise Refusal("sign")
    if any(isinstance(value, str) and _LIKE_A_MEMBER.search(value) for value in body.values()):
        raise Refusal("a text that could be read as several members")
    for string, texts in both:
        if signed(string, sent.merchant.token) == given.upper():
            return body, {key: text for key, text in texts.items() if isinstance(body[key], Number | str)}
    raise Refusal("sign")


def _number(body: Mapping[str, Value], texts: Mapping[str, str], name: str) -> Fraction | None:
    return exact(texts[name]) if isinstance(body.get(name), Number) else None


def _amount(body: Mapping[str, Value], texts: Mapping[str, str]) -> Fraction | None:
    text = body.get("amount")
    if isinstance(text, str):
        return Fraction(text) if re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,30})?", text) else None
    return _number(body, texts, "amount")


def _currency(body: Mapping[str, Value]) -> str | None:
    given = body.get("currency")
    is_code = isinstance(given, str) and re.fullmatch("[A-Za-z0-9]{2,12}", given)
    return given.upper() if is_code and isinstance(given, str) else None


def _agrees(order: Order, amount: Fraction | None, currency: str | None, time: Fraction | None, now: int) -> None:
    if currency != order.currency:
        raise Refusal("currency")
    if amount != order.amount:
        raise Refusal("amount")
    is_time = time is not None and time.denominator == 1 and 10**11 <= time <= 253_402_300_799_999
    if time is None or not is_time or not order.created - DAY <= time <= now + DAY:
        raise Refusal("time")


def _move(order: Order, stage: str, transaction_id: str | None) -> None:
    if order.state in ("captured", "failed"):
        raise Refusal("finished")
    other = None not in (order.transaction_id, transaction_id) and order.transaction_id != transaction_id
    if order.state == stage == "processing" and other:
        raise Refusal("processing under another id")
    order.state = stage
    order.transaction_id = transaction_id or order.transaction_id


def _code_units(text: str) -> Iterator[int]:
    for character in map(ord, text):
        if character > 0xFFFF:
            yield 0xD800 + (character - 0x10000 >> 10)
            yield 0xDC00 + (character & 0x3FF)
        else:
            yield character
