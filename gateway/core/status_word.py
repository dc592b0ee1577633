"""A provider's status as one short word for people, whatever JSON it was. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.core.masking import clean_message
from gateway.core.secret import Secret
from gateway.core.strictjson import JsonNumber

MAX_CHARACTERS = 64
"""Characters of a status that are kept."""

_PLAIN = re.compile(r"[A-Za-z0-9_.-](?:[A-Za-z0-9_. -]*[A-Za-z0-9_.-])?")


def status_word(value: object, secrets: Iterable[Secret] = ()) -> str:
    """Return the status in at most 64 of its characters; null and a missing one are ``none``.

    A text is quoted where it would be misread without: with blanks around it, or of digits alone, which is not the
    status that the number is. Control characters are left out, and it says so. The ``secrets`` are masked before the
    text is cut: half a secret would not be found.
    """
    if isinstance(value, JsonNumber):
        return value.text[:MAX_CHARACTERS]
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return "none" if value is None else f"a {type(value).__name__}"
    masked = clean_message(value, secrets) if secrets else value
    if "***" in masked:
        value = masked
    head = value[:MAX_CHARACTERS]
    printable = "".join(filter(str.isprintable, head))
    is_plain = _PLAIN.fullmatch(printable) is not None and not printable.isdigit() and printable != "none"
    word = printable if is_plain else f'"{printable}"'
    return word if printable == head else f"{word}, without its control characters"
