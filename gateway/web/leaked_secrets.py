"""Keys and secrets that a caller sent where they do not belong: the request is refused, or the text is not kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gateway.core import strictjson
from gateway.core.card_numbers import holds_issued_number, may_hold_card_number
from gateway.core.credentials import holds_credential
from gateway.core.encodings import decoded
from gateway.core.errors import invalid
from gateway.core.masking import Mask
from gateway.core.wording import child_path
from gateway.flows.masks import Masks


def refuse_secrets(body: bytes, masks: Sequence[Mask]) -> None:
    """Refuse a body that holds a key, or a secret that one of ``masks`` knows. Raises ``validation_failed``.

    A secret is found as it is and as it is written in a URL or in JSON. A clean body costs a microsecond.
    """
    if _holds_secret(body.decode("utf-8", "replace"), masks):
        field = _field_of(body, partial(_holds_secret, masks=masks))
        raise invalid((field, "holds a key or a secret; it belongs nowhere but in its own header"))


def _holds_secret(text: str, masks: Sequence[Mask]) -> bool:
    if _holds_plainly(text, masks):
        return True
    return ("%" in text or "\\u" in text) and _holds_plainly(decoded(text), masks)


def _holds_plainly(text: str, masks: Sequence[Mask]) -> bool:
    return holds_credential(text) or any(mask.is_plainly_in(text) for mask in masks)


def may_be_an_id(text: str, masks: Masks) -> bool:
    """Whether a text that a caller chose may be kept as an id: it is not a key, a secret or a card number."""
    is_card = may_hold_card_number(text) and holds_issued_number(text)
    return not is_card and not masks.is_secret(text)


def _field_of(body: bytes, holds: Callable[[str], bool]) -> str:
    try:
        return _path_to(strictjson.loads(body), "$", holds) or "$"
    except strictjson.NotStrictJson:
        return "$"


def _path_to(value: Any, path: str, holds: Callable[[str], bool]) -> str | None:
    """The path of the first text that holds a secret, or of the object with such a name; None where nothing does."""
    if isinstance(value, str):
        return path if holds(value) else None
    if isinstance(value, dict):
        if any(map(holds, value)):
            return path
        inner = ((child_path(path, name), member) for name, member in value.items())
    elif isinstance(value, list):
        inner = ((child_path(path, number), member) for number, member in enumerate(value))
    else:
        return None
    return next((found for at, member in inner if (found := _path_to(member, at, holds)) is not None), None)
