"""Read a body of API-2 that is not the JSON object it should be, to explain it: nothing read here is believed. Pure.

Each step removes one thing that senders are known to wrap their JSON in, and names it as a fault. What is left is read
like any body. Bodies are at most 64 KiB, before and after decompression.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

import gateway

LONGEST = 64 * 1024
"""Bytes of a compressed body that are decompressed."""

WRAPPERS = ("data", "payload", "body", "json", "params", "notification")
"""Members in which senders wrap the whole object."""

FORM = "the body is a form (key=value&...): send a JSON object"

_number = gateway.JsonNumber
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_TRAILING_COMMA = re.compile(r",\s*(?=[}\]])")


class Reading(NamedTuple):
    """The members as far as they can be read (None: not at all), and the faults in how they are sent."""

    members: Mapping[str, Any] | None
    faults: tuple[str, ...] = ()
    is_form: bool = False
    """Whether they were sent as a form or in the query, where every value is text."""


def read(data: bytes, query: str) -> Reading:
    """Read a body in any wrapping. ``query``: what follows the ``?`` of the address."""
    faults: list[str] = []
    text = _text(data, faults)
    if not text.strip():
        fault = "the body is empty"
        members = _pairs(query)
        if members:
            fault += "; the members are in the query string: send them as a JSON body"
            return Reading(members, (fault,), is_form=True)
        return Reading(None, (f"{fault}: send the members as a JSON object",))
    value = _value(text.strip(), faults)
    return Reading(_object(value, faults), tuple(faults), is_form=FORM in faults)


def _text(data: bytes, faults: list[str]) -> str:
    """Decompress and decode the body."""
    if data[:2] == b"\x1f\x8b":
        faults.append("the body is compressed with gzip: send it as it is, without Content-Encoding")
        data = _decompressed(data)
    if data[:3] == b"\xef\xbb\xbf":
        faults.append("the body begins with a byte order mark (BOM): send UTF-8 without it")
        data = data[3:]
    encoding = _UTF16.get(data[:2]) or _bare_utf16(data)
    if encoding is not None:
        faults.append("the body is UTF-16: send UTF-8")
        return data.decode(encoding, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        faults.append("the body is not UTF-8, it looks like Latin-1 (ISO 8859-1): send UTF-8")
        return data.decode("latin-1")


def _decompressed(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, LONGEST)
    except zlib.error:
        return b""


def _bare_utf16(data: bytes) -> str | None:
    """Recognise UTF-16 without a byte order mark: every other byte of its first characters is zero."""
    if len(data) >= 4 and data[:4:2] == b"\0\0":
        return "utf-16-be"
    return "utf-16-le" if len(data) >= 4 and data[1:4:2] == b"\0\0" else None


def _value(text: str, faults: list[str]) -> Any:
    """Read a text as JSON, as a form, or in one of the spellings; None if it is neither."""
    for fault, unwrap in _SPELLINGS.items():
        inner = unwrap(text)
        if inner is None:
            continue
        value = _json(inner, faults)
        if value is not None:
            faults += [fault] if fault else []
            return value
    form = _pairs(text) if text[:1] not in "{[<\"'" else {}
    if form:
        faults.append(FORM)
    elif text.startswith("<"):
        faults.append("the body is XML or HTML: send a JSON object")
    return form or None


def _json(text: str, faults: list[str]) -> Any:
    """Read JSON; of a duplicate member the last counts, and it is a fault."""
    try:
        return gateway.loads(text.encode("utf-8", "replace"))
    except gateway.NotStrictJson:
        pass
    try:
        value = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError):
        return None
    double = _double(text)
    faults += [f'member "{double}" is there twice: send each once'] if double else []
    return value


def _double(text: str) -> str | None:
    """Return a name that is there twice in one object."""
    twice: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return dict(pairs)

    json.loads(text, object_pairs_hook=collect)
    return twice[0][:64] if twice else None


def _form_value(text: str) -> str | None:
    """Return the JSON that is the value of a member of a form, or a form's only name."""
    found = [part for pair in parse_qsl(text, keep_blank_values=True) for part in pair]
    return next((part for part in found if part.lstrip()[:1] == "{"), None) if text[:1] != "{" else None


_SPELLINGS: Mapping[str, Callable[[str], str | None]] = {
    "": lambda text: text,
    "the JSON is url-encoded: send it as it is": lambda text: unquote_plus(text) if text[:3].lower() == "%7b" else None,
    "the JSON is in a form member (data={...}): send it as the body itself": _form_value,
    "the JSON has a comma behind its last member": lambda text: _TRAILING_COMMA.sub("", text),
    "the body is written with single quotes, as Python prints a dict: use a JSON encoder": lambda text: (
        text.replace("'", '"').replace("None", "null").replace("True", "true").replace("False", "false")
    ),
}
"""What is wrong with a text ("" nothing), and how to get the JSON out of it; None if it does not look so."""


def _object(value: Any, faults: list[str]) -> Mapping[str, Any] | None:
    """Return the object with the members, out of what senders wrap it in."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        faults.append("the JSON object is inside a JSON text (encoded twice): send the object itself")
        value = _json(value, faults)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        faults.append("the object is in a list: send the object itself")
        value = value[0]
    if not isinstance(value, dict):
        return None
    inner = next((name for name in WRAPPERS if isinstance(value.get(name), dict) and "order_no" in value[name]), None)
    if inner is None:
        return value
    faults.append(f'the members are inside "{inner}": send them at the top level')
    members: dict[str, Any] = value[inner]
    return {**members, **({"sign": value["sign"]} if "sign" in value and "sign" not in members else {})}


def _pairs(text: str) -> dict[str, Any]:
    """Return the members of a form; empty for a text that is not one."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=100))
    except ValueError:
        return {}
