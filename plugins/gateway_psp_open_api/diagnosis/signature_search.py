"""Find out how a sender signs, from the digest alone: what is found reproduces the sign that was sent. Pure.

It tries every single mistake, every two common ones, the whole body as JSON, and the token as a member. The tables and
the size of a body bound the work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple

import gateway
from gateway_psp_open_api import signature
from gateway_psp_open_api.diagnosis.printing_mistakes import Mistake, Printed, canonical, literal
from gateway_psp_open_api.diagnosis.signing_mistakes import (
    ADD,
    CHOOSE,
    HASH,
    JOIN,
    LENGTHS,
    ORDER,
    PRINT,
    RIGHT,
    TABLES,
    TOKEN_KEYS,
    absent,
)

MOST_MEMBERS, LONGEST_TEXT = 24, 2048
"""Members, and characters of StringA, up to which a body is searched: no honest callback is larger."""

FEW_MEMBERS = 12
"""Members up to which two mistakes are searched for together."""

NOTHING: Mapping[str, str] = {}

Mistakes = Mapping[int, Mistake]
"""The mistakes, by the number of their table. Empty: all is right."""


class Found(NamedTuple):
    """What a sender does: its mistakes by name, and the name of the token it signs with."""

    mistakes: tuple[str, ...]
    token: str


def search(
    body: Mapping[str, Any], given: bytes, tokens: Mapping[str, str], renamed: Mapping[str, str] = NOTHING
) -> Found | None:
    """Find how a digest was made; None if the way is not known here, or the body is too large.

    ``tokens`` by their names; ``renamed``: what API-1 calls members, by their own names.
    """
    members = {key: value for key, value in body.items() if key != "sign"}
    try:
        if len(members) > MOST_MEMBERS or len(signature.canonical(members)) > LONGEST_TEXT:
            return None
        texts = chain(_of_members(members, renamed, len(given)), _of_bodies(members, len(given)))
        found = next((found for digest, found in _signed(texts, tokens) if digest == given), None)
        return found or _with_token_as_member(members, given, tokens)
    except (signature.Unsignable, UnicodeEncodeError):
        return None


Text = tuple[str, Mistakes, tuple[str, ...]]
"""A text in place of StringA, how it is signed, and the names of all its mistakes."""


def _signed(texts: Iterable[Text], tokens: Mapping[str, str]) -> Iterator[tuple[bytes, Found]]:
    """Sign each text with each token."""
    for text, mistakes, names in texts:
        add, make = _maker(mistakes, ADD), _maker(mistakes, HASH)
        for token_name, token in tokens.items():
            yield make(add(text, token), text, token), Found(names, token_name)


def _of_members(members: Mapping[str, Any], renamed: Mapping[str, str], length: int) -> Iterator[Text]:
    """Make StringA with every set of mistakes that gives a digest of this length, the simplest first."""
    left_out = tuple(Mistake(f"{key[:64]} left out", lambda name, *_, key=key: name != key) for key in members)
    tables = {
        **TABLES,
        CHOOSE: (*TABLES[CHOOSE], *left_out),
        ORDER: (*TABLES[ORDER], *absent(members)),
        JOIN: (*TABLES[JOIN], *_api1_names(renamed)),
    }
    made: dict[tuple[Any, ...], str] = {}
    same = _text(members, {}, canonical) == _text(members, {}, literal)
    for mistakes in _combinations(tables, length, in_pairs=len(members) <= FEW_MEMBERS):
        for right in (canonical,) if same or PRINT in mistakes else (canonical, literal):
            key = (right, *(mistakes.get(place) for place in (PRINT, CHOOSE, ORDER, JOIN)))
            text = made.get(key)
            if text is None:
                text = made[key] = _text(members, mistakes, right)
            yield text, mistakes, _names(mistakes)


def _api1_names(renamed: Mapping[str, str]) -> Iterator[Mistake]:
    """Sign the members under the names that the account's API-1 has for them."""

    def make(pairs: Sequence[tuple[str, str]]) -> str:
        joined: str = RIGHT[JOIN](sorted((renamed.get(key, key), text) for key, text in pairs))
        return joined

    if renamed:
        names = ", ".join(f"{key} for {name}" for name, key in renamed.items())
        yield Mistake(f"the names of API-1 ({names})", make)


def _of_bodies(members: Mapping[str, Any], length: int) -> Iterator[Text]:
    """Sign the whole body as JSON in place of StringA, with at most one more mistake."""
    candidates = [*_combinations({ADD: TABLES[ADD], HASH: TABLES[HASH]}, length)]
    for name, text in _bodies(members):
        yield from ((text, mistakes, (name, *_names(mistakes))) for mistakes in candidates)


def _with_token_as_member(members: Mapping[str, Any], given: bytes, tokens: Mapping[str, str]) -> Found | None:
    """Sign the token as one of the members, and not after them."""
    for token_name, token in tokens.items():
        for key in TOKEN_KEYS:
            text = _text({**members, key: token}, {}, canonical)
            for mistakes in _combinations({HASH: TABLES[HASH]}, len(given)):
                if _maker(mistakes, HASH)(text, text, token) == given:
                    return Found((f"the token as a member {key}", *_names(mistakes)), token_name)
    return None


def _combinations(
    tables: Mapping[int, Sequence[Mistake]], length: int, *, in_pairs: bool = False
) -> Iterator[Mistakes]:
    """Yield no mistake, each single one, each two common ones; only those whose digest is of this length."""
    singles = [(place, mistake) for place, table in tables.items() for mistake in table]
    common = [single for single in singles if single[1].is_common and in_pairs]
    pairs = (pair for pair in combinations(common, 2) if pair[0][0] != pair[1][0])
    for chosen in chain([()], ((single,) for single in singles), pairs):
        mistakes = dict(chosen)
        if LENGTHS.get(mistakes[HASH].name if HASH in mistakes else "") == length:
            yield mistakes


def _text(members: Mapping[str, Any], mistakes: Mistakes, right: Printed) -> str:
    show, takes_part = mistakes[PRINT].make if PRINT in mistakes else right, _maker(mistakes, CHOOSE)
    printed = ((key, value, show(key, value)) for key, value in members.items())
    pairs = [(key, text) for key, value, text in printed if text is not None and takes_part(key, value, text)]
    joined: str = _maker(mistakes, JOIN)(_maker(mistakes, ORDER)(pairs))
    return joined


def _maker(mistakes: Mistakes, place: int) -> Callable[..., Any]:
    return mistakes[place].make if place in mistakes else RIGHT[place]


def _names(mistakes: Mistakes) -> tuple[str, ...]:
    return tuple(mistake.name for mistake in mistakes.values())


def _bodies(members: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Write the body as JSON encoders do, each variant with its name."""
    for sign, kept in (("", members), (", with an empty sign", {**members, "sign": ""})):
        for order, ordered in (("", kept), (", sorted by key", dict(sorted(kept.items())))):
            plain = gateway.dumps(ordered).decode()
            for blanks, text in (("", plain), (" with blanks", json.dumps(json.loads(plain), ensure_ascii=False))):
                yield f"the JSON body{blanks} instead of key=value{order}{sign}", text
                if not text.isascii():
                    yield f"the JSON body in ASCII{blanks} instead of key=value{order}{sign}", _in_ascii(text)


def _in_ascii(text: str) -> str:
    return "".join(one if one.isascii() else json.dumps(one)[1:-1] for one in text)
