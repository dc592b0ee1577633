"""Take secrets out of texts that others wrote, in whatever encoding they occur there.

``Mask`` knows a set of secrets; ``line`` makes a provider's text fit to be stored and shown. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from gateway.core.card_numbers import without_card_numbers
from gateway.core.credentials import TRACES, without_credentials
from gateway.core.encodings import base64_cores, decoded, hex_form, is_plain, without_control, written_forms
from gateway.core.secret import Secret

SHORT = 6
"""A secret with fewer characters is found only where it stands alone: it may be a part of any word."""

LONG = 16
"""A secret of this length is in no honest text by chance."""

LONGEST_MESSAGE = 500
"""Characters of a provider's sentence that are kept."""

HALVED = 400
"""Characters at the end of what is looked at that may be half of a key or a card number, in whatever form."""

_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")


class _Form(NamedTuple):
    """One form of a secret, in lower case. ``alone``: only as a whole word; ``within``: a part of a base64 text."""

    text: str
    alone: bool = False
    within: bool = False


def stars(_: str) -> str:
    """What is shown instead of a secret."""
    return "***"


class Mask:
    """A set of secrets, to be found as they are, in any case, percent-encoded, escaped, in base64 or in hex.

    Finding nothing is cheap. A text that holds a secret only below an encoding is given back decoded: what matters
    is that the secret is gone.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if secret}
        self._long = tuple(secret for secret in known if len(secret) >= LONG)
        self._forms = tuple({form for secret in known for form in _forms(secret)})
        self._needles = tuple({form.text for form in self._forms})
        self.reach = max(map(len, self._needles), default=0)  # characters of the longest form
        self._suspects = (*self._needles, *TRACES)

    def is_plainly_in(self, text: str) -> bool:
        """Whether a text holds a long secret unescaped: a quick check of what a tenant wrote."""
        for secret in self._long:  # noqa: SIM110  # on every request: a generator would take twice as long
            if secret in text:
                return True
        return False

    def surely_spares(self, text: str) -> bool:
        """Whether a text surely holds no secret and no credential of the gateway, in any form.

        A quick look that nearly all texts pass; False says nothing. What joined texts do not hold, none of them does.
        """
        if not is_plain(text):
            return False
        lowered = text.lower()
        for suspect in self._suspects:  # noqa: SIM110  # on every callback: a generator would take a third longer
            if suspect in lowered:
                return False
        return True

    def holds(self, text: str) -> bool:
        """Whether a text holds a secret."""
        return self.over(text) != text

    def over(self, text: str, instead: Callable[[str], str] = stars) -> str:
        """Return the text with each secret replaced by ``instead(secret)``; the same text without any."""
        masked = self.over_plain(text, instead)
        plain = decoded(masked)
        if plain == masked:
            return masked
        cleaned = self.over_plain(plain, instead)
        return masked if cleaned == plain else cleaned

    def over_plain(self, text: str, instead: Callable[[str], str] = stars) -> str:
        """The same, for a text that the caller decodes itself."""
        lowered = _lowered(text)
        if not any(needle in lowered for needle in self._needles):
            return text
        parts, done = [], 0
        for begin, end in _joined(span for form in self._forms for span in _places(form, lowered, text)):
            parts += [text[done:begin], instead(text[begin:end])]
            done = end
        return "".join([*parts, text[done:]])


def line(text: str, mask: Mask, longest: int) -> str:
    """A provider's text as one line of at most ``longest`` characters, without secrets, keys and card numbers.

    Control characters go first: a secret must not come together when somebody else removes them later. Of a long text
    only the beginning is looked at, which takes a microsecond per character; its end may be half of a secret, and goes.
    """
    reach = mask.reach + HALVED
    is_cut = len(text) > 4 * longest + 2 * reach
    text = text[: 4 * longest + 2 * reach]
    joined = without_control(text)
    masked = mask.over(joined)
    shown = masked if masked != joined else mask.over(without_control(text, " "))
    cleaned = re.sub(" {2,}", " ", without_numbers_and_keys(shown))
    return (cleaned[:-reach] if is_cut else cleaned).strip()[:longest].rstrip()


def clean_message(text: object, secrets: Iterable[Secret], longest: int = LONGEST_MESSAGE) -> str:
    """Return a provider's text as ``line`` does, with the given secrets masked; empty for what is not a text."""
    return line(text, Mask(secret.reveal() for secret in secrets), longest) if isinstance(text, str) else ""


def without_numbers_and_keys(text: str) -> str:
    """The text without card numbers and the gateway's keys; one with them below an escape is returned decoded."""
    cleaned = without_card_numbers(without_credentials(text))
    plain = decoded(cleaned)
    if plain == cleaned:
        return cleaned
    again = without_card_numbers(without_credentials(plain))
    return cleaned if again == plain else again


def _forms(secret: str) -> Iterator[_Form]:
    alone = len(secret) < SHORT
    for written in written_forms(secret):
        yield _Form(written.lower(), alone=alone)
    if not alone:
        yield _Form(hex_form(secret))
        for core in base64_cores(secret):
            yield _Form(core.lower(), within=True)


def _lowered(text: str) -> str:
    """The text in lower case, each character where it was."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(map(_lowered_character, text))


def _lowered_character(character: str) -> str:
    return character.lower()[:1] or character


def _places(form: _Form, lowered: str, text: str) -> Iterator[tuple[int, int]]:
    """Where a form stands, each as (begin, end)."""
    begin = lowered.find(form.text)
    while begin >= 0:
        end = begin + len(form.text)
        if form.within:
            begin, end = _whole_base64(text, begin, end)
        if not form.alone or _stands_alone(text, begin, end):
            yield begin, end
        begin = lowered.find(form.text, end)


def _stands_alone(text: str, begin: int, end: int) -> bool:
    return not (text[max(begin - 1, 0) : begin].isalnum() or text[end : end + 1].isalnum())


def _whole_base64(text: str, begin: int, end: int) -> tuple[int, int]:
    """The whole base64 text around a part of it: with a secret its neighbours, such as a user's name, go too."""
    while begin > 0 and text[begin - 1] in _BASE64:
        begin -= 1
    while end < len(text) and text[end] in _BASE64:
        end += 1
    return begin, end


def _joined(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The places in order, those that overlap as one."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(places):
        if joined and begin < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def secrets_of(config: msgspec.Struct) -> tuple[Secret, ...]:
    """The secrets of an account's ``config``."""
    return tuple(secret for _, secret in secrets_in(config))


def secrets_in(value: object, *path: str) -> Iterator[tuple[str, Secret]]:
    """The secrets in a value, however deep, each with its path."""
    if isinstance(value, Secret):
        yield ".".join(path), value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from secrets_in(getattr(value, name), *path, name)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from secrets_in(inner, *path, str(name))
    elif isinstance(value, list | tuple | set | frozenset):
        for number, inner in enumerate(value):
            yield from secrets_in(inner, *path, str(number))
