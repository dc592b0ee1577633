"""A provider's answer as it really comes: JSON under any media type, or something else, described for people."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, DecimalException
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec

from gateway.core.errors import OutcomeUnknown
from gateway.core.money import Amount, quantized
from gateway.core.strictjson import JsonNumber, NotStrictJson, loads, loads_exact
from gateway.core.urls import url_for_log
from gateway.core.wire import HttpResponse, header, media_type

T = TypeVar("T", bound=msgspec.Struct)

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_MEDIA_TYPE_CHARACTERS = 100
LARGEST_EXPONENT = 30
MOST_DIGITS = 60
"""Sizes of a JSON number that is read: an amount needs far less, and a larger one costs time."""

_USUAL = re.compile(rf"-?[0-9]{{1,{LARGEST_EXPONENT}}}(?:\.[0-9]{{1,{LARGEST_EXPONENT}}})?")
"""A number without exponent whose digits alone show that it is not too large."""

_QUOTED = re.compile(r"(?<=value) .*(?= - at `)", re.DOTALL)
"""What msgspec quotes of a value that is not one of a closed list; it might be a secret."""

_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_BEGINS_AS_PAGE = (b"<!doctype html", b"<html")
_FIRST_WORD = re.compile(rb"<?[!/]?[A-Za-z]{1,16}(?![A-Za-z])")
"""How a body begins, as far as it is shown: a tag's name or one word. More might be a customer's data or a secret."""

_PAGE_ADVICE = {
    401: "an HTML page, perhaps of a firewall or a login in front of the API",
    403: "an HTML page, perhaps of a firewall in front of the API",
    404: "an HTML page: check the address in the settings",
}


def json_of(response: HttpResponse) -> Any:
    """What an answer's body says, read as strictly as ``loads``. Raises ``NotStrictJson`` for what is not JSON."""
    return loads(response.body.removeprefix(BYTE_ORDER_MARK))


def json_object(response: HttpResponse) -> dict[str, Any]:
    """Return the members of an answer in JSON. Raises ``OutcomeUnknown`` for everything else."""
    return _members(response, loads)


def _members(response: HttpResponse, read: Callable[[bytes], Any]) -> dict[str, Any]:
    try:
        body = read(response.body.removeprefix(BYTE_ORDER_MARK))
    except NotStrictJson as problem:
        raise OutcomeUnknown(f"the answer is not readable: {problem}") from None
    if not isinstance(body, dict):
        raise OutcomeUnknown("the answer is JSON, but not an object")
    return body


def read_answer(response: HttpResponse, kind: type[T]) -> T:
    """Read an answer in JSON as a Struct. Raises ``OutcomeUnknown`` for everything else.

    Unknown members are ignored. A member of the type ``Amount`` is read as ``decimal_of`` does.
    """
    members = _members(response, _reader_for(kind))
    try:
        return _converted(members, kind)
    except ValueError as problem:
        raise OutcomeUnknown(f"the answer is not readable: {problem}") from None


def read_json(body: bytes, kind: type[T]) -> T:
    """Read the body of a callback as ``read_answer`` reads an answer. Raises ``ValueError``, which quotes no value."""
    return _converted(_reader_for(kind)(body), kind)


def _converted(value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind, dec_hook=_amount)
    except msgspec.ValidationError as problem:
        raise ValueError(_QUOTED.sub("", str(problem))) from None


@cache
def _reader_for(kind: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    """How the body is read: whole numbers as ``int`` if the Struct, or one in it, has a member of that type."""
    return loads_exact if _mentions_int(kind, set()) else loads


def _mentions_int(kind: Any, seen: set[type]) -> bool:
    inner = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
        seen.add(kind)
        inner = tuple(member.type for member in msgspec.structs.fields(kind))
    return kind is int or any(_mentions_int(one, seen) for one in inner)


def _amount(wanted: type, given: object) -> Amount:
    if wanted is Amount:
        return Amount(decimal_of(given))
    raise TypeError(f"no reader for {wanted.__name__}")


def decimal_of(value: object) -> Decimal:
    """Return the exact value of a JSON number or a decimal text such as ``"10.50"``. Raises ``ValueError``.

    A number may have an exponent of up to 30 and 60 digits; a text has neither exponent nor blank.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, JsonNumber):
        return Decimal(Amount.read(value))
    if _USUAL.fullmatch(value.text) is not None:
        return Decimal(value.text)
    try:
        number = value.decimal()
    except DecimalException:  # an exponent beyond what a Decimal holds
        raise ValueError("must be a number of ordinary size") from None
    if abs(number.adjusted()) > LARGEST_EXPONENT or len(number.as_tuple().digits) > MOST_DIGITS:
        raise ValueError("must be a number of ordinary size")
    return number


def read_amount(value: object, digits: int, name: str) -> Decimal | None:
    """Return an amount of an answer with its currency's ``digits``; None if it is absent.

    Raises ``OutcomeUnknown``, beginning with ``name``, for one that is negative or not exact.
    """
    if value is None:
        return None
    try:
        amount = quantized(decimal_of(value), digits)
    except ValueError as problem:
        raise OutcomeUnknown(f"{name} {problem}") from None
    if amount < 0:
        raise OutcomeUnknown(f"{name} is negative")
    return amount


def read_id(value: object, name: str) -> str | None:
    """Return somebody's id in an answer: a text, or a number as it was written, since some return digits as a number.

    None if it is absent. Raises ``OutcomeUnknown``, beginning with ``name``, for any other value.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, JsonNumber):
        return value.text
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise OutcomeUnknown(f"{name} is neither a text nor a number")


def unusual(response: HttpResponse) -> tuple[str, ...]:
    """What an answer in JSON has that the protocol does not promise, in a few words each; empty for nearly all."""
    found = []
    if media_type(response.headers) != "application/json":
        given = ", ".join(header(response.headers, "content-type"))
        found.append(f"media type {given[:MAX_MEDIA_TYPE_CHARACTERS]}" if given else "no media type")
    if response.body.startswith(BYTE_ORDER_MARK):
        found.append("a byte order mark")
    return tuple(found)


def is_page(response: HttpResponse) -> bool:
    """Whether an answer is a page for people, as proxies, firewalls and mistyped addresses give it."""
    return media_type(response.headers) in _PAGES or _begins_as_page(response.body)


def _begins_as_page(body: bytes) -> bool:
    return body[:200].lstrip().lower().startswith(_BEGINS_AS_PAGE)


def described(response: HttpResponse) -> str:
    """What came, for people who look for the cause: status, media type, size, how it begins; nothing of its content.

    Mask it before it is cut and shown: media type and address are the provider's own texts.
    """
    parts = [f"HTTP {response.status}", media_type(response.headers) or "no media type"]
    parts.append(f"{len(response.body)} bytes" if response.body else "no body")
    parts += [f"to {url_for_log(place)}" for place in header(response.headers, "location")[:1]]
    return ", ".join([*parts, *_nature(response)])


def _nature(response: HttpResponse) -> tuple[str, ...]:
    """What kind of body it is, where that says what to do, or else how it begins."""
    encodings = [one.lower() for one in header(response.headers, "content-encoding")]
    if encodings not in ([], ["identity"]):
        return (f"compressed ({encodings[0][:20]}) although identity was asked for",)
    is_advised = response.status in _PAGE_ADVICE and is_page(response)
    if is_advised or _begins_as_page(response.body):  # PHP calls whatever it writes text/html
        return (_PAGE_ADVICE.get(response.status, "an HTML page"),)
    word = _FIRST_WORD.match(response.body.removeprefix(BYTE_ORDER_MARK).lstrip())
    return () if word is None else (f'begins with "{word[0].decode()}"',)
