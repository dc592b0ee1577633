"""Patterns of the settings, matched by RE2: in time that grows with the text alone, whatever the pattern.

Python's ``re`` may try every way to read a text before it says no: ``(a+)+`` over thirty letters takes minutes. RE2
never backtracks, so it has no backreferences and no look-around; a pattern that needs them is refused at load.
"""

from __future__ import annotations

import functools
import re
from typing import Any

MAX_PROGRAM_SIZE = 5_000
"""Instructions of one compiled pattern; RE2 may pass each of them for each byte of the text. ``.{1,255}`` has 2,550."""

MEMORY = 1 << 20
"""Bytes one pattern may occupy, compiled and while it matches."""

_ZERO_LEFT_OUT = re.compile(r"(?<!\\)\{,[0-9]+\}")
"""``x{,5}`` is ``x{0,5}`` to Python and five plain characters to RE2."""

_TOO_LARGE = "pattern is too large: write + and max_length in place of a large repetition"


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_compiled",)

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    @property
    def size(self) -> int:
        """How many instructions it has."""
        return int(self._compiled.programsize)

    def fits(self, text: str) -> bool:
        """Whether the whole text matches."""
        return self._compiled.fullmatch(text.encode("utf-8", "surrogatepass")) is not None


@functools.cache
def compile_pattern(text: str) -> Pattern:
    """Compile a pattern, once for each text. Raises ``ValueError`` that says why it cannot be used."""
    import re2  # imported here because few settings have patterns

    if _ZERO_LEFT_OUT.search(text):
        raise ValueError("pattern has a repetition without a lower bound: write {0,5} for {,5}")
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    options.never_capture = True
    try:
        pattern = Pattern(re2.compile(text, options))
    except (re2.error, UnicodeError) as problem:
        raise ValueError(_why(text, problem)) from None
    if pattern.size > MAX_PROGRAM_SIZE:
        raise ValueError(_TOO_LARGE)
    return pattern


def _why(text: str, problem: Exception) -> str:
    """Say what is wrong with a pattern that RE2 refuses, in Python's words where Python refuses it too."""
    said = problem.args[0].decode(errors="replace") if not isinstance(problem, UnicodeError) else "not valid Unicode"
    if said.startswith("pattern too large"):
        return _TOO_LARGE
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as mistake:
        return f"pattern is not a regular expression: {mistake}"
    return f"pattern needs what RE2 does not have (backreferences, look-around, \\Z, repetitions above 1000): {said}"
