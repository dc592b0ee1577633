"""The samples of answers, changed a member at a time: unknown words, cut bodies, other numbers, other payments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.core.facts import Declined, Observation, Pending, Stage, outcomes_in
from gateway.core.strictjson import JsonNumber, dumps
from gateway.testing.calls import Call, Outcome
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.amounts import changed_amounts, not_exact
from gateway.testing.checks.parse import ODD, is_success, replies_of
from gateway.testing.recipes import ids_of
from gateway.testing.render import response_of
from gateway.testing.samples import Reply
from gateway.testing.subject import Subject
from gateway.testing.trees import GONE, changed, leaves, read

WORD = "KitUnknownWord"
CUTS = 24
"""Lengths at which a body is cut."""

_STATUS = frozenset({"status", "state", "result", "outcome", "type", "event"})
_ODD_NUMBERS = tuple(map(JsonNumber, ("1e400", "0.1234567890123456789", "99999999999999999999999999")))
_ODD: tuple[Any, ...] = (None, True, "", "x", WORD, [], {}, "12.34", *_ODD_NUMBERS, GONE)
"""What a member may hold that should not: anything, since providers change."""


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield the changed samples of those that are read as something."""
    for reply, call in replies_of(subject):
        outcome = subject.run(call)
        assert call.response is not None  # noqa: S101  # of a reply
        tree = read(call.response.body)
        if outcome.error is not None or tree is None:
            continue
        yield from _cut(call, outcome)
        yield from _words(call, tree)
        unknown = without_words(tree)
        if unknown is not None:
            yield Case(("unknown-outcome",), (_with(call, unknown),))
        yield from _others(reply, call)
        yield from _twice(call, tree)
        yield from _odd(call, tree)
        for changed_body, expects in changed_amounts(tree, outcome.value):
            yield Case(("inexact-amount",), (call, _with(call, changed_body)), expects)


def _with(call: Call, body: Any) -> Call:
    """The same call with another body."""
    assert call.response is not None  # noqa: S101  # of a reply
    raw = body if isinstance(body, bytes) else dumps(body)
    return msgspec.structs.replace(call, response=msgspec.structs.replace(call.response, body=raw))


def _cut(call: Call, outcome: Outcome) -> Iterator[Case]:
    body = call.response.body if call.response else b""
    if is_success(outcome.value):
        for length in range(0, len(body), max(1, len(body) // CUTS)):
            yield Case(("cut-answer",), (_with(call, body[:length]),))


def _words(call: Call, tree: Any) -> Iterator[Case]:
    for path, value in leaves(tree):
        if isinstance(value, str) and value and not value.startswith(("http", "pay_", "op_")):
            yield Case(("unknown-word",), (call, _with(call, changed(tree, path, WORD))), value)


def _others(reply: Reply, call: Call) -> Iterator[Case]:
    """The same answer about another payment."""
    other = msgspec.structs.replace(call, response=response_of(reply, payment=2))
    if other != call:
        yield Case(("copied-id",), (other,), "payment_id")
    ours, others = ids_of(), ids_of(2)
    assert call.response is not None  # noqa: S101  # of a reply
    for name in ("provider_reference", "operation_id"):
        body = call.response.body.replace(ours[name].encode(), others[name].encode())
        if body != call.response.body:
            yield Case(("copied-id",), (_with(call, body),), name)


def _twice(call: Call, tree: Any) -> Iterator[Case]:
    if isinstance(tree, Mapping) and tree:
        name = next(iter(tree))
        body = dumps(tree)
        yield Case(("member-twice",), (_with(call, b"{" + dumps({name: WORD})[1:-1] + b"," + body[1:]),))


def _odd(call: Call, tree: Any) -> Iterator[Case]:
    for path, _ in leaves(tree):
        for value in _ODD:
            yield Case(("parse-raises", "parse-returns"), (_with(call, changed(tree, path, value)),), ODD)


def _is_read(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    return f"{case.calls[0]} {outcomes[0]}" if is_success(outcomes[0].value) else None


def _is_known(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    """A word that, changed, gives another stage or was the status itself, must give none."""
    before, after = outcomes[0].value, outcomes[1].value
    stage, raw = stage_of(after), getattr(getattr(before, "observation", before), "raw_status", None)
    if stage in (None, Stage.UNKNOWN) or isinstance(after, Pending):
        is_no = isinstance(after, Declined) and not isinstance(before, Declined)
        return f"{case.calls[1]} with an unknown word for {case.expects!r} is read as a no" if is_no else None
    if _is_refund(case.calls[1]) and stage is Stage.CAPTURED:
        return None  # what is refunded was captured: the word moves nothing
    is_status = stage != stage_of(before) or raw == case.expects
    return f"an unknown word in place of {case.expects!r} is read as {stage}" if is_status else None


def _is_refund(call: Call) -> bool:
    return call.recipe is not None and call.recipe.command == "RefundPayment"


def stage_of(value: Any) -> Any:
    """The stage of a fact; None without one."""
    return getattr(getattr(value, "observation", value), "stage", None)


def _is_copied(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    seen, name = outcomes[0].value, case.expects or "payment_id"
    if outcomes[0].wrong or not isinstance(seen, Observation | Pending):
        return None
    seen = seen.observation if isinstance(seen, Pending) else seen
    found = [one.operation_id for one in seen.operations] if name == "operation_id" else [getattr(seen, name)]
    what = name.split("_")[0]
    return f"{case.calls[0]} is about another {what}, but {name} is ours" if ids_of()[name] in found else None


def without_words(tree: Any) -> Any:
    """The body with a word that nobody knows for every status, and null for every flag; None where it has neither."""
    found = None
    for path, value in leaves(tree):
        is_word = isinstance(value, str) and path and str(path[-1]).lower() in _STATUS
        if is_word or isinstance(value, bool):
            found = changed(tree if found is None else found, path, WORD if is_word else None)
    return found


def _has_outcome(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    if outcomes[0].wrong:
        return None
    value = outcomes[0].value
    facts: list[Any] = [getattr(one, "reported", one) for one in (value if isinstance(value, tuple) else (value,))]
    known = [one.outcome for fact in facts for one in outcomes_in(fact) if one.outcome is not None]
    return f"{case.calls[0]} says that an operation is {type(known[0]).__name__}" if known else None


def _is_last(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    return f"{case.calls[0]} is read" if is_success(outcomes[0].value) else None


JUDGES: Mapping[str, Judge] = {
    "cut-answer": _is_read,
    "unknown-word": _is_known,
    "copied-id": _is_copied,
    "unknown-outcome": _has_outcome,
    "member-twice": _is_last,
    "inexact-amount": not_exact,
}
