"""The forms in which one text travels: percent, JSON and HTML escapes, base64, hex. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote

ROUNDS = 4
"""How many layers of encoding are taken off."""

_UNSEEN = "\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_CONTROL = re.compile(f"[{_UNSEEN}]")
_ENCODED = re.compile(rf"[%\\&{_UNSEEN}]")
_PLAIN = bytes(code for code in range(0x20, 0x7F) if chr(code) not in "%\\&")
_ZEROS_AHEAD = re.compile(r"(&#[xX]?)0+(?=[0-9A-Fa-f])")
_NO_CHARACTER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{7,});?")
_JSON_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(["/\\]))')
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")


def without_control(text: str, instead: str = "") -> str:
    """A text without control and invisible characters, or with ``instead`` in their place."""
    return _CONTROL.sub(instead, text)


def is_plain(text: str) -> bool:
    """Whether a text is ASCII without escapes and control characters: then it is decoded already. A quick look."""
    return text.isascii() and not text.encode().translate(None, _PLAIN)


def decoded(text: str) -> str:
    """A text without escapes and without control characters, as often as it takes; the text itself if it has none."""
    for _ in range(ROUNDS):
        if _ENCODED.search(text) is None:
            break
        before = text
        text = without_control(_without_html_escapes(_without_json_escapes(unquote(text))))
        if text == before:
            break
    return text


def written_forms(text: str) -> tuple[str, ...]:
    """The text itself, and as URLs and JSON usually write it: what can be put back exactly where it stood."""
    percent = {quote(text, safe=""), quote(text), quote_plus(text)}
    lower = {re.sub("%..", lambda escape: escape[0].lower(), form) for form in percent}
    escaped = json.dumps(text)[1:-1]
    return tuple(dict.fromkeys((text, *sorted(percent | lower), escaped, escaped.replace("/", "\\/"))))


def base64_cores(text: str) -> Iterator[str]:
    """What base64 shows of a text wherever it stands within what was encoded: three ways, in both alphabets."""
    data = text.encode("utf-8", "surrogateescape")
    for before in range(3):
        begin, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        core = base64.b64encode(bytes(before) + data).decode()[begin:end]
        yield from {core, core.translate(_URL_SAFE)}


def hex_form(text: str) -> str:
    """A text's bytes in lower-case hex."""
    return text.encode("utf-8", "surrogateescape").hex()


_URL_SAFE = str.maketrans("+/", "-_")


def _without_html_escapes(text: str) -> str:
    """The text without character references. Python refuses to read very long numbers, which no character has."""
    if "&" not in text:
        return text
    return html.unescape(_NO_CHARACTER.sub("\ufffd", _ZEROS_AHEAD.sub(r"\1", text)))


def _without_json_escapes(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _JSON_ESCAPE.sub(lambda found: found[3] or chr(int(found[1] or found[2], 16)), text)
    whole = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), plain)
    return _HALF.sub("\ufffd", whole)
