"""Compare what a plugin gave with what a sample says it gives: a word, or an object with the members that matter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from gateway.core.errors import CallbackRejected, OutcomeUnknown, ProviderError, Reason
from gateway.core.facts import Stage
from gateway.core.secret import Secret
from gateway.core.strictjson import JsonNumber
from gateway.core.wording import unknown_name
from gateway.testing.calls import Outcome
from gateway.testing.render import filled

_STAGES, _REASONS = frozenset(Stage), frozenset(Reason)
_KINDS = {
    "observation": "Observation",
    "declined": "Declined",
    "pending": "Pending",
    "absent": "Absent",
    "ask": "Ask",
    "session": "Session",
    "event": "Event",
    "hint": "Hint",
    "request": "HttpRequest",
}
_NOTHING = frozenset({"nothing", "none", "null", "ignored"})
_REJECTED = frozenset({"rejected", "refused", "callbackrejected"})
_UNKNOWN = frozenset({"unknown", "outcomeunknown", "unreadable"})
_INSIDE = ("observation", "operation", "outcome")


def difference(expected: Any, outcome: Outcome) -> str | None:
    """How an outcome differs from what a sample says, its placeholders filled in; None if it does not.

    Raises ``UnusableSamples``.
    """
    expected = filled(expected)
    if isinstance(outcome.value, tuple) and not isinstance(expected, list):
        value = outcome.value[0] if len(outcome.value) == 1 else outcome.value
        outcome = msgspec.structs.replace(outcome, value=value)
    if isinstance(expected, list):
        return _of_several(expected, outcome)
    if expected is None or isinstance(expected, str):
        return _of_word((expected or "nothing").lower(), outcome)
    if not isinstance(expected, Mapping):
        return f"gives must be a word or an object, not {type(expected).__name__}"
    return _of_object(dict(expected), outcome)


def _of_several(expected: list[Any], outcome: Outcome) -> str | None:
    values = outcome.value if isinstance(outcome.value, tuple) else (outcome.value,)
    if outcome.error is not None or len(values) != len(expected):
        return f"{len(expected)} were expected, but it {outcome}"
    each = (difference(one, Outcome(value=value)) for one, value in zip(expected, values, strict=True))
    return next((problem for problem in each if problem), None)


def _of_word(word: str, outcome: Outcome) -> str | None:
    value, error = outcome.value, outcome.error
    if word in _NOTHING:
        is_it = error is None and value in (None, ())
    elif word in _REJECTED:
        is_it = isinstance(error, CallbackRejected)
    elif isinstance(error, CallbackRejected):
        is_it = word == error.reason
    elif word in _UNKNOWN:
        stage = _stage(value)
        is_it = isinstance(error, OutcomeUnknown | ProviderError) or (error is None and stage is Stage.UNKNOWN)
    elif word in _STAGES:
        is_it = error is None and _stage(value) == word
    elif word in _KINDS:
        is_it = error is None and type(value).__name__ == _KINDS[word]
    else:
        return f'"{word}" is not a word for what is given; write an object with kind and members'
    return None if is_it else f"{word} was expected, but it {outcome}"


def _of_object(expected: dict[str, Any], outcome: Outcome) -> str | None:
    kind = next((expected.pop(name) for name in ("kind", "type", "raises") if name in expected), None)
    if kind is None and len(expected) == 1:
        (only,) = expected
        if only.lower() in _KINDS and isinstance(expected[only], Mapping):
            kind, expected = only, dict(expected[only])
    if kind is None and isinstance(outcome.error, CallbackRejected):
        kind = expected.pop("reason", "rejected")
    problem = _of_word(str(kind).lower(), outcome) if kind is not None else None
    if problem is None and outcome.error is not None and kind is None:
        problem = f"it {outcome}"
    if problem is not None or outcome.error is not None:
        return problem
    for name, wanted in expected.items():
        if name == "stage" and str(wanted) not in _STAGES:
            return unknown_name(str(wanted), list(_STAGES), f'"{wanted}" is not a stage')
        found = _member(outcome.value, name)
        if not _is_same(wanted, found):
            return f"{name} should be {_shown(wanted)}, not {_shown(found)}"
    return None


def _stage(value: Any) -> Any:
    seen = getattr(value, "observation", value)
    return getattr(seen, "stage", None)


def _member(value: Any, name: str) -> Any:
    """A member of a fact, or of the observation inside it."""
    for holder in (value, *(getattr(value, inside, None) for inside in _INSIDE)):
        if name in getattr(holder, "__struct_fields__", ()):
            return getattr(holder, name)
    return None


def _is_same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping):
        if isinstance(found, msgspec.Struct):
            return all(_is_same(inner, _member(found, name)) for name, inner in wanted.items())
        return isinstance(found, Mapping) and all(_is_same(inner, found.get(name)) for name, inner in wanted.items())
    if isinstance(wanted, list):
        is_list = isinstance(found, list | tuple) and len(found) == len(wanted)
        return is_list and all(map(_is_same, wanted, found))
    text = wanted.text if isinstance(wanted, JsonNumber) else wanted
    match found:
        case Decimal():
            return _decimal(text) == found
        case Secret():
            return bool(text == found.reveal())
        case datetime():
            return isinstance(text, str) and datetime.fromisoformat(text) == found
        case bool() | None:
            return text is found
        case int() | float():
            return _decimal(text) == Decimal(str(found))
        case msgspec.Struct():
            return str(text).lower() == type(found).__name__.lower()
        case _:
            return bool(text == found)


def _decimal(text: Any) -> Decimal | None:
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return None


def _shown(value: Any) -> str:
    return (
        value.text
        if isinstance(value, JsonNumber)
        else repr(str(value) if isinstance(value, Decimal | Stage) else value)
    )
