"""The gateway's own credentials, of any owner, recognised by their form alone. Pure.

Bearer keys, webhook secrets and the tokens of payments' links: of most of them the gateway knows a hash only, so a text
can be searched for their form and not for their value.
"""

from __future__ import annotations

import base64
import re

from gateway.core.encodings import base64_cores, hex_form

_FORMS = {
    "gw_": re.compile(r"gw_[A-Za-z0-9-]{1,32}_[A-Za-z0-9_-]{20,}"),
    "whsec_": re.compile(r"whsec_[A-Za-z0-9+/=_-]{24,}"),
    "return/": re.compile(r"(?<=return/)[A-Za-z0-9_-]{43}"),
    "cancel/": re.compile(r"(?<=cancel/)[A-Za-z0-9_-]{43}"),
    "complete/": re.compile(r"(?<=complete/)[A-Za-z0-9_-]{43}"),
}
"""By a text that always stands there: looking for it is quick."""

_TRACES = tuple({trace for mark in _FORMS for trace in (*base64_cores(mark), hex_form(mark), hex_form(mark).upper())})
"""One of these is in every text that holds one in base64 or hex, and in few others."""

TRACES = tuple({text.lower() for text in (*_FORMS, *_TRACES)})
"""In lower case: one of these is in every text that ``without_credentials`` changes."""

_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{36,}={0,2}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_STANDARD = str.maketrans("-_", "+/")


def holds_credential(text: str) -> bool:
    """Whether a text holds what looks like a key, a webhook secret or a signed link of the gateway, unescaped."""
    for mark, pattern in _FORMS.items():  # noqa: SIM110  # on every request: a generator would take twice as long
        if mark in text and pattern.search(text) is not None:
            return True
    return False


def without_credentials(text: str, instead: str = "***") -> str:
    """The text with ``instead`` for each of them, and for each text in base64 or hex that holds one."""
    for mark, pattern in _FORMS.items():
        text = pattern.sub(instead, text) if mark in text else text
    if not any(trace in text for trace in _TRACES):
        return text
    return _ENCODED.sub(lambda found: instead if _is_one_below(found[0]) else found[0], text)


def _is_one_below(encoded: str) -> bool:
    if _HEX.fullmatch(encoded) is not None:
        return holds_credential(bytes.fromhex(encoded).decode("latin-1"))
    digits = encoded.rstrip("=").translate(_STANDARD)
    whole = digits[: len(digits) - (len(digits) % 4 == 1)]
    return holds_credential(base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("latin-1"))
