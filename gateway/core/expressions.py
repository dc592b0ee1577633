"""JMESPath, for computed fields and routing: compiled at load, searched over plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

_UNFIT = (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError)
"""What a search raises over a value its expression does not fit. The library lets Python's own errors through:
``amount < `1` `` over a text amount is a ``TypeError``, ``ceil`` of the text "inf" an ``OverflowError``."""


class Expression(Protocol):
    """A compiled expression."""

    def search(self, value: Any) -> Any:
        """What the expression finds in a value; None for nothing."""
        ...


class _Compiled:
    """An expression that finds nothing where it does not fit, and equals another of the same text."""

    __slots__ = ("_parsed", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parsed = jmespath.compile(text)

    def search(self, value: Any) -> Any:
        """Search, with nothing as the answer to everything that does not fit."""
        try:
            return self._parsed.search(value)
        except _UNFIT:
            return None

    def calls(self) -> Iterator[tuple[str, int]]:
        """The functions it calls, each with the number of arguments."""
        return _calls_in(self._parsed.parsed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Compiled) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def compile_expression(text: str) -> Expression:
    """Compile JMESPath. Raises ``ValueError`` that says what does not parse, or which function is called wrongly."""
    try:
        compiled = _Compiled(text)
        for name, given in compiled.calls():
            _check_call(name, given)
    except RecursionError:
        raise ValueError("is no JMESPath expression: nested too deeply") from None
    except ValueError as problem:  # a JMESPathError is one
        raise ValueError(f"is no JMESPath expression: {str(problem).splitlines()[0].rstrip(':')}") from None
    return compiled


def _check_call(name: str, given: int) -> None:
    """Refuse a call that could only ever find nothing: the library itself looks when it is too late."""
    function = Functions.FUNCTION_TABLE.get(name)
    if function is None:
        raise ValueError(f'unknown function "{name}"')
    signature = function["signature"]
    wanted, more = len(signature), any(parameter.get("variadic") for parameter in signature)
    if given < wanted or (given > wanted and not more):
        raise ValueError(f'function "{name}" takes {wanted} argument(s), not {given}')


def _calls_in(node: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    if node["type"] == "function_expression":
        yield node["value"], len(node["children"])
    for child in node["children"]:
        if isinstance(child, Mapping):  # a slice has plain numbers
            yield from _calls_in(child)
