"""Card numbers within texts: found however they are written, and masked. Pure, in linear time.

Digits are any that Unicode has. What stands between two of them without being a letter or a digit, up to three
characters, only separates groups. Which neighbouring groups may be a number: docs/adr/0023 says why.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

SHORTEST, LONGEST = 13, 19
"""Digits of a card number."""

SHORTEST_PART = 4
"""Digits of each part of a number that was split over several texts."""

WITH_SURPLUS = (16, 17)
"""Digits of a group that may be a number of 15 or 16 and one more, written without a gap."""

_CLOSE = re.compile(r"\d[\d\W_]{11,}\d")
"""Digits with no letter between them: a quick look that leaves out most of a text."""

_HEX_ID = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{24,})(?![0-9A-Za-z])"
)
"""UUIDs, object ids and hashes: one in a thousand has digits like a card number."""

_TOGETHER = re.compile(rb"[2-68][0-9]{12}")
_SEPARATORS = bytes(code for code in range(128) if not chr(code).isalnum())

_ENOUGH = re.compile(rf"(?:\D*\d){{{SHORTEST}}}")
_GROUP = re.compile(r"\d+")


class _Kind(NamedTuple):
    """What may be a card number: how its groups are separated, how it begins, and how many digits it then has.

    ``lengths`` belong to the groups of ``prefix``, longest first. Every number begins with one of 2 to 6 and 8; that
    alone leaves out most dates.
    """

    run: re.Pattern[str]
    prefix: re.Pattern[str]
    lengths: tuple[range, ...]

    def lengths_at(self, digits: str, place: int) -> range:
        """How many digits a number that begins at this place may have."""
        found = self.prefix.match(digits, place)
        return self.lengths[found.lastindex - 1] if found is not None and found.lastindex else range(0)


_PROMISED = _Kind(
    re.compile(r"[2-68](?:[ -]?\d){12,}"),
    re.compile(r"(4)|([2356])"),
    (range(19, 12, -1), range(19, 13, -1)),
)
"""What api.md promises to refuse: groups of any width, from any issuer."""

_AS_ISSUED = _Kind(
    re.compile(r"[2-68](?:[\W_]{0,3}\d){12,}"),
    re.compile(
        r"(4)"  # Visa
        r"|(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)"  # Mastercard
        r"|(3[47])"  # American Express
        r"|(6011|64[4-9]|65|352[89]|35[3-8]|62|81|220[0-4])"  # Discover, JCB, UnionPay, Mir
        r"|(60|82|508)"  # RuPay
        r"|(30[0-5]|3095|3[689])"  # Diners
        r"|(5018|5020|5038|5893|6304|6759|676[1-3])"  # Maestro
    ),
    (
        range(19, 12, -3),
        range(16, 15, -1),
        range(15, 14, -1),
        range(19, 15, -1),
        range(16, 15, -1),
        range(19, 13, -1),
        range(19, 12, -1),
    ),
)
"""Numbers with the prefixes and lengths that issuers use, however their groups are separated."""

_WIDTHS = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 3, 3, 3), (8, 8), (6, 13)})
"""How the digits are grouped on cards and in forms."""


class Window(NamedTuple):
    """Neighbouring groups of digits that may be a card number.

    ``surplus``: of one long group the first or the last digit is left out of ``digits``.
    """

    text: str
    groups: Sequence[re.Match[str]]
    digits: str
    surplus: bool = False

    @property
    def begin(self) -> int:
        """Where it begins in its text."""
        return self.groups[0].start()

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.groups[-1].end()

    @property
    def widths(self) -> tuple[int, ...]:
        """How many digits each group has."""
        return tuple(len(group[0]) for group in self.groups)

    @property
    def belongs_together(self) -> bool:
        """Whether the groups are separated alike, or are as long as those on a card."""
        between = {self.text[one.end() : two.start()] for one, two in pairwise(self.groups)}
        return len(between) <= 1 or self.widths in _WIDTHS


def may_hold_card_number(text: str) -> bool:
    """Whether a text has as many digits as a card number; a quick look, also at one that is percent-encoded."""
    return len(text) >= SHORTEST and _ENOUGH.match(text) is not None


def may_hold_close_digits(text: str) -> bool:
    """Whether a text may hold the digits of a card number with no letter between them: a quick look."""
    # Three C calls: every run of either kind is a row of digits once its separators are left out.
    return not text.isascii() or _TOGETHER.search(text.encode().translate(None, _SEPARATORS)) is not None


def holds_card_number(text: str) -> bool:
    """Whether a free text holds what may be a card number, alone or beside other digits."""
    promised = any(not one.surplus for one in _windows(text, _PROMISED))
    return promised or any(one.belongs_together for one in _windows(text, _AS_ISSUED))


def holds_issued_number(text: str) -> bool:
    """Whether a text such as an id or an address holds a whole number of 15 digits or more as issuers make them."""
    windows = _windows(text, _AS_ISSUED)
    return any(len(one.digits) >= 15 and one.belongs_together and not one.surplus for one in windows)


def is_written_as_on_a_card(text: str) -> bool:
    """Whether a text holds a card number in groups as on a card: hardly any reference is written so."""
    return any(one.widths in _WIDTHS for one in _windows(text, _AS_ISSUED))


def without_card_numbers(text: str, instead: Callable[[str], str] = lambda last: f"****{last}") -> str:
    """The text with ``instead(last four digits)`` for every card number."""
    parts, done = [], 0
    for window in _windows(text, _AS_ISSUED):
        if window.begin >= done and window.belongs_together:
            parts += [text[done : window.begin], instead(window.digits[-4:])]
            done = window.end
    return "".join([*parts, text[done:]])


def split_number(parts: Sequence[str]) -> tuple[int, int] | None:
    """Find neighbouring texts that together are a number of 15 or 16 digits: the first, and the one after the last."""
    digits = ["".join(filter(str.isdigit, _plain(part))) for part in parts]
    for first in range(len(digits)):
        joined = ""
        for after, part in enumerate(digits[first:], first + 1):
            joined += part
            if len(part) < SHORTEST_PART or len(joined) > 16:
                break
            if len(joined) >= 15 and len(joined) in _AS_ISSUED.lengths_at(joined, 0) and _luhn(joined)(0, len(joined)):
                return first, after
    return None


def _windows(text: str, kind: _Kind) -> Iterator[Window]:
    """The windows that match and pass Luhn, by their beginning; of those with one beginning the longest first."""
    if not may_hold_close_digits(text) or (text.isascii() and kind.run.search(text) is None):
        return  # as most texts: what is crossed out below only makes fewer
    plain = _plain(text)
    for close in _CLOSE.finditer(plain):
        for run in kind.run.finditer(plain, *close.span()):
            groups = list(_GROUP.finditer(plain, _begin_of_group(plain, run.start()), run.end()))
            yield from _windows_of(plain, groups, kind)


def _begin_of_group(text: str, place: int) -> int:
    while place > 0 and text[place - 1].isdigit():
        place -= 1
    return place


def _windows_of(text: str, groups: list[re.Match[str]], kind: _Kind) -> Iterator[Window]:
    """The windows of one run of groups. Luhn sums come from running totals, so hostile texts cost little more."""
    digits = "".join(group[0] for group in groups)
    group_at = {end: number for number, end in enumerate(accumulate(len(group[0]) for group in groups), start=1)}
    passes = _luhn(digits)
    begin = 0
    for after, number in group_at.items():
        for length in kind.lengths_at(digits, begin):
            last = group_at.get(begin + length)
            if last is not None and passes(begin, begin + length):
                yield Window(text, groups[number - 1 : last], digits[begin : begin + length])
        if after - begin in WITH_SURPLUS:
            for start, end in ((begin, after - 1), (begin + 1, after)):
                if end - start in kind.lengths_at(digits, start) and passes(start, end):
                    yield Window(text, groups[number - 1 : number], digits[start:end], surplus=True)
        begin = after


def _luhn(digits: str) -> Callable[[int, int], bool]:
    """Return the test whether the digits from one place up to another pass Luhn."""
    codes = digits.encode()
    doubled = codes.translate(_DOUBLED)
    totals = []
    for parity in (0, 1):  # of the places that are doubled: those before the last, the last but two, …
        mixed = bytearray(codes.translate(_SINGLE))
        mixed[parity::2] = doubled[parity::2]
        totals.append(list(accumulate(mixed, initial=0)))
    return lambda begin, end: (totals[end % 2][end] - totals[end % 2][begin]) % 10 == 0


_SINGLE = bytes(code - 48 if 48 <= code <= 57 else 0 for code in range(256))
_DOUBLED = bytes(sum(divmod(2 * (code - 48), 10)) if 48 <= code <= 57 else 0 for code in range(256))


def _plain(text: str) -> str:
    """The text with its digits in ASCII and without hex ids, each character where it was."""
    digits = text if text.isascii() else "".join(map(_digit, text))
    return _HEX_ID.sub(_crossed_out, digits)


def _crossed_out(found: re.Match[str]) -> str:
    """Crosses for an id; what has no letter at all may be a number."""
    return found[0] if found[0].replace("-", "").isdigit() else "x" * len(found[0])


def _digit(character: str) -> str:
    """Any digit as an ASCII digit, any other character as it is."""
    value = unicodedata.digit(character, None)
    return character if value is None else str(value)
