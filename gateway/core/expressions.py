"""JMESPath, for computed fields, maps and routing: compiled at load, searched in a bounded number of steps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from gateway.core.plain_expressions import Part, plain_search

STEPS = 20_000
"""How much one search may do: parts of the expression that are evaluated, once for each element they are evaluated for,
and the elements of what is made, compared or handed to a function (of a text, each 64 characters)."""

MAX_TOTAL_STEPS = 150_000
"""How much all expressions of maps may do for one request or webhook, what they find included."""

MAX_DEPTH = 300
"""How deeply the parts of one expression may be nested; a search goes down as far within one stack."""

_UNFIT = (JMESPathError, TypeError, ValueError, ArithmeticError)
"""What a search raises over a value its expression does not fit. The library lets Python's own errors through:
``amount < `1` `` over a text amount is a ``TypeError``, ``ceil`` of the text "inf" an ``OverflowError``."""

_WHOLE = frozenset({"current", "identity"})
"""Parts that find the whole of what they see."""

_MAKES = frozenset({"multi_select_list", "multi_select_dict", "flatten", "slice", "function_expression"})
"""Parts that make lists, mappings and texts."""

_SKIM = frozenset({"keys", "length", "map", "merge", "not_null", "reverse", "to_array", "type", "values"})
"""Functions that do not look into the elements of what they are given."""


class TooManySteps(Exception):  # not a fault: the expression and the value do not go together
    """A search would take more steps than it may. What it finds is not known, so nothing may be built on it."""

    def __init__(self, said: str = f"takes more than {STEPS} steps over this payment") -> None:
        super().__init__(said)


class Budget:
    """The steps that are left to expressions searched one after the other. Changes with each of them."""

    __slots__ = ("left",)

    def __init__(self, left: int = MAX_TOTAL_STEPS) -> None:
        self.left = left

    def take(self, steps: int) -> None:
        """Take steps. Raises ``TooManySteps`` where there are not as many; then none are left."""
        self.left -= steps
        if self.left < 0:
            self.left = 0
            raise TooManySteps(f"takes, with all expressions before it, more than {MAX_TOTAL_STEPS} steps")


class DoesNotFit(Exception):  # nor is this one
    """An expression asks of a value what it cannot do, such as a sum of texts."""


class Expression(Protocol):
    """A compiled expression. ``names``: the members of a value that it may look at; None where it may at all.

    ``parsed``: its parts as ``jmespath`` has them.
    """

    text: str
    names: frozenset[str] | None
    parsed: Part

    def search(self, value: Any, budget: Budget | None = None) -> Any:
        """What the expression finds in a value; None for nothing. Raises ``TooManySteps``."""
        ...

    def find(self, value: Any, budget: Budget | None = None) -> Any:
        """Search like ``search``. Raises ``DoesNotFit`` instead of finding nothing where the value does not fit."""
        ...

    def nodes(self) -> Iterator[tuple[Part, int]]:
        """Its parts, each with how deeply it is nested."""
        ...


class _Compiled:
    """An expression that finds nothing where it does not fit, and equals another of the same text."""

    __slots__ = ("_count", "_measures", "_plain", "names", "parsed", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.parsed: Part = jmespath.compile(text).parsed
        self._measures = _measures(self.parsed)
        parts = [part for part, _ in self.nodes()]
        self._count = len(parts)
        self._plain = plain_search(self.parsed) if self._count <= STEPS else None
        self.names = _names(parts)

    def search(self, value: Any, budget: Budget | None = None) -> Any:
        """Search, with nothing as the answer to everything that does not fit."""
        try:
            return self.find(value, budget)
        except DoesNotFit:
            return None

    def find(self, value: Any, budget: Budget | None = None) -> Any:
        """Search, and say where something does not fit."""
        if self._plain is not None:
            if budget is not None:
                budget.take(self._count)
            return self._plain(value)
        if budget is not None:
            budget.take(1)
        interpreter = _Interpreter(self._measures)
        try:
            return interpreter.visit(self.parsed, value)
        except JMESPathTypeError as problem:
            wanted = " or ".join(problem.expected_types)
            raise DoesNotFit(f"does not fit this body: {problem.function_name}() takes {wanted}") from None
        except _UNFIT:
            raise DoesNotFit("does not fit this body") from None
        except RecursionError:
            raise TooManySteps from None
        finally:
            if budget is not None:
                budget.take(STEPS - max(interpreter.left, 0))

    def nodes(self) -> Iterator[tuple[Part, int]]:
        """Its parts, each with how deeply it is nested."""
        return nodes_of(self.parsed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Compiled) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


Measure = Callable[[object, int], int]
"""Say how many steps it takes to go through a value; where it is more than the given number, how many more does not
matter."""


class _Functions(Functions):
    @signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: str, texts: list[str]) -> str:
        """Join as the library does, unless the separators alone are too long: no other function multiplies."""
        if len(separator) * len(texts) > STEPS * 64:
            raise TooManySteps
        return separator.join(texts)


_OPTIONS = Options(custom_functions=_Functions())


class _Interpreter(TreeInterpreter):
    """The library's interpreter, for one search, counting its steps. ``measures`` are by ``id`` of a part."""

    def __init__(self, measures: Mapping[int, Measure]) -> None:
        super().__init__(_OPTIONS)
        self._measure_of = measures.get
        self._methods: dict[str, Callable[..., Any]] = {}
        self.left = STEPS

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """Evaluate one part. Not by ``super()``, which would need half as much stack again."""
        kind = node["type"]
        method = self._methods.get(kind)
        if method is None:
            method = self._methods[kind] = getattr(self, f"visit_{kind}")
        found = method(node, *args, **kwargs)
        measure = self._measure_of(id(node))
        self.left -= 1 if measure is None else measure(found, self.left)
        if self.left < 0:
            raise TooManySteps
        return found


def _length(value: object, _most: int = 0) -> int:
    """The steps to make a value: it and its elements, or 64 characters each."""
    if isinstance(value, str):
        return 1 + (len(value) >> 6)
    return 1 + len(value) if isinstance(value, list | dict) else 1


def size_of(value: object, most: int) -> int:
    """The steps to go through all that a value holds, as often as it holds it."""
    total, waiting = 0, [value]
    while waiting and total <= most:
        one = waiting.pop()
        total += _length(one)
        if isinstance(one, dict):
            waiting.extend(one)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return total


@functools.cache
def compile_expression(text: str) -> Expression:
    """Compile JMESPath, once for each text.

    Raises ``ValueError`` that says what does not parse, or which function is called wrongly.
    """
    try:
        compiled = _Compiled(text)
        for node, depth in compiled.nodes():
            if depth > MAX_DEPTH:
                raise RecursionError
            if node["type"] == "function_expression":
                _check_call(node["value"], len(node["children"]))
    except RecursionError:
        raise ValueError("is not a JMESPath expression: nested too deeply") from None
    except ValueError as problem:  # a JMESPathError is one
        raise ValueError(f"is not a JMESPath expression: {str(problem).splitlines()[0].rstrip(':')}") from None
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


def nodes_of(root: Part) -> Iterator[tuple[Part, int]]:
    """A part and all below it, each with how deeply it is nested."""
    waiting = [(root, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(child, depth + 1) for child in _children(node)]


def _names(parts: list[Mapping[str, Any]]) -> frozenset[str] | None:
    """Every name in an expression, those further down too: more than it looks at, but never less."""
    if any(part["type"] in _WHOLE for part in parts):
        return None
    return frozenset(part["value"] for part in parts if part["type"] == "field")


def _measures(root: Mapping[str, Any]) -> dict[int, Measure]:
    """How to measure what each part finds, where making it or going through it may take more than one step."""
    made = {id(node): _length for node, _ in nodes_of(root) if node["type"] in _MAKES}
    used = {id(child): size_of for node, _ in nodes_of(root) if _looks_into(node) for child in _children(node)}
    return {**made, **used}


def _looks_into(node: Mapping[str, Any]) -> bool:
    """Whether a part goes through the whole of what the parts below it find."""
    return node["type"] == "comparator" or (node["type"] == "function_expression" and node["value"] not in _SKIM)


def _children(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [child for child in node["children"] if isinstance(child, Mapping)]  # a slice has plain numbers
