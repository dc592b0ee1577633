"""Callbacks that somebody changed on the way, or made up: none of them may be believed as something else."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gateway.core.strictjson import dumps
from gateway.core.wire import Headers
from gateway.testing.calls import Call, Outcome, Received
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.amounts import changed_amounts
from gateway.testing.checks.callbacks import Known, believed, events_of, verify_call
from gateway.testing.checks.changed_answers import WORD, without_words
from gateway.testing.render import is_signed_here, received_of
from gateway.testing.subject import Subject
from gateway.testing.trees import changed, leaves, read

MOST_CHANGES = 400
"""Bytes of a body, or of a query, that are changed; of longer ones every second, third, …"""

MOST_CUTS = 40
TOLERATED = 2
"""Characters of a signature that may count for nothing, such as the last of an encoding."""

LOCAL = "127.0.0.1"
FORWARDED = ("X-Forwarded-For", "X-Real-IP")

_CLASSES = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
_ORDINARY = frozenset({"content-type", "content-length", "host", "user-agent", "accept", "accept-encoding"})


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield each proved callback with a change: of a byte, of its headers, of its formatting."""
    for known, _ in believed(subject):
        received = known.call.received or Received()
        for other in (*_changed_bytes(received), *_cut_bodies(received)):
            yield Case(("forged-callback",), (known.call, _with(known.call, other)))
        for name in _proofs(subject, known.call, received):
            yield from _partial(known.call, received, name)
        lower = tuple((name.lower(), value) for name, value in received.headers)
        yield Case(("header-case",), (known.call, _with(known.call, _but(received, headers=lower))))
        yield from _signed_anew(subject, known)


def _but(received: Received, **changes: object) -> Received:
    return msgspec.structs.replace(received, **changes)


def _with(call: Call, received: Received) -> Call:
    return verify_call(call.account, received)


def _changed_bytes(received: Received) -> Iterator[Received]:
    body, query = received.body, received.query
    for at in range(0, len(body), len(body) // MOST_CHANGES + 1):
        yield _but(received, body=body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
    for at in range(0, len(query), len(query) // MOST_CHANGES + 1):
        yield _but(received, query=query[:at] + _another(query[at]) + query[at + 1 :])


def _cut_bodies(received: Received) -> Iterator[Received]:
    body = received.body
    yield from (_but(received, body=body[:at]) for at in range(0, len(body), len(body) // MOST_CUTS + 1))


def _proofs(subject: Subject, call: Call, received: Received) -> list[str]:
    """The headers that prove the callback: with another value it is refused."""
    names = {name for name, _ in received.headers if name.lower() not in _ORDINARY}
    return sorted(name for name in names if not _believes(subject, call, _set(received, name, _junk)))


def _believes(subject: Subject, call: Call, received: Received) -> bool:
    return bool(events_of(subject.run(_with(call, received)).value))


def _set(received: Received, name: str, make: object) -> Received:
    def value_of(value: str) -> str:
        return make(value) if callable(make) else str(make)

    headers = tuple((one, value_of(value) if one == name else value) for one, value in received.headers)
    return _but(received, headers=headers)


def _junk(value: str) -> str:
    return "".join(_another(one) for one in value)


def _another(character: str) -> str:
    """Another character of the same kind, never the same letter in the other case."""
    kind = next((one for one in _CLASSES if character in one), None)
    return kind[(kind.index(character) + 1) % len(kind)] if kind else "A" if character != "A" else "B"


def _partial(call: Call, received: Received, name: str) -> Iterator[Case]:
    value = next(value for one, value in received.headers if one == name)
    gone: Headers = tuple(pair for pair in received.headers if pair[0] != name)
    cut = [value[:at] for at in range(0, len(value), len(value) // MOST_CUTS + 1)]
    junk = _set(received, name, _junk)
    doubled = [(*received.headers, (name, _junk(value))), ((name, _junk(value)), *received.headers)]
    others = [_but(received, headers=gone), *(_set(received, name, short) for short in cut)]
    others += [_but(received, headers=both) for both in doubled]
    others += [way for one in (junk, _but(received, headers=gone)) for way in _other_ways(one)]
    yield from (Case(("partial-signature",), (call, _with(call, other)), [name]) for other in others)
    yield Case(("partial-signature",), (call, *(_with(call, one) for one in _flipped(received, name, value))), [name])


def _other_ways(received: Received) -> Iterator[Received]:
    """A callback without its proof, by the ways on which a proof might be left out."""
    yield from (_but(received, headers=(*received.headers, (name, LOCAL))) for name in FORWARDED)
    yield _but(received, remote=LOCAL)
    yield from (_but(received, query=f"{received.query}&{word}=1".lstrip("&")) for word in ("debug", "test"))
    yield from (_but(received, method=method) for method in ("GET", "PUT") if method != received.method)


def _flipped(received: Received, name: str, value: str) -> Iterator[Received]:
    """The header with another character at each place."""
    for at, character in enumerate(value):
        if character.isalnum():
            yield _set(received, name, value[:at] + _another(character) + value[at + 1 :])


def _signed_anew(subject: Subject, known: Known) -> Iterator[Case]:
    """Other bodies under a signature that the kit makes: of the same JSON written otherwise, of other words."""
    sample, call = known.sample, known.call
    received = call.received or Received()
    tree = read(received.body)
    if sample is None or tree is None or sample.signs != "bytes":
        return
    spaced = json.dumps(json.loads(received.body), indent=1).encode()
    if spaced != received.body:
        yield Case(("reencoded",), (call, _with(call, _but(received, body=spaced))), "old")
    if not is_signed_here(sample):
        return
    account = subject.account(call.account)
    yield Case(("reencoded",), (call, _with(call, received_of(sample, account, body=spaced))), "new")
    for path, value in leaves(tree):
        if isinstance(value, str) and value and not value.startswith(("http", "pay_", "op_")):
            other = _with(call, received_of(sample, account, body=dumps(changed(tree, path, WORD))))
            yield Case(("unknown-word",), (call, other), value)
    unknown = without_words(tree)
    if unknown is not None:
        other = _with(call, received_of(sample, account, body=dumps(unknown)))
        yield Case(("unknown-outcome",), (other,))
    (event, *_) = events_of(subject.run(call).value)
    for body, expects in changed_amounts(tree, event):
        other = _with(call, received_of(sample, account, body=dumps(body)))
        yield Case(("inexact-amount",), (call, other), expects)


def _forged(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    events = events_of(outcomes[-1].value)
    if not events:
        return None
    if len(outcomes) == 1:
        return f"{case.calls[0]} was signed by nobody and is believed"
    if events == events_of(outcomes[0].value):
        return None
    return f"{case.calls[1]} differs from what was signed in a byte and is believed as something else"


def _incomplete(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    name, changed_calls = case.expects[0], outcomes[1:]
    accepted = sum(bool(events_of(one.value)) for one in changed_calls)
    if len(changed_calls) > 1:
        return f"{accepted} characters of {name} may be any" if accepted > TOLERATED else None
    signed, received = (call.received or Received() for call in case.calls)
    given = [value for one, value in received.headers if one == name]
    shown = f"with {name} {' and '.join(map(repr, given))}" if given else f"without {name}"
    shown += "".join(f", {one}: {value}" for one, value in received.headers if one in FORWARDED)
    ways = (way for way in ("method", "query", "remote") if getattr(signed, way) != getattr(received, way))
    shown += "".join(f", {way} {getattr(received, way)!r}" for way in ways)
    return f"a callback {shown} is believed" if accepted else None


def _cares_for_case(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    is_same = events_of(outcomes[0].value) == events_of(outcomes[1].value)
    return None if is_same else f"{case.calls[0]} with header names in lower case {outcomes[1]}"


def _reencoded(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    events = events_of(outcomes[1].value)
    if case.expects == "old":
        return f"{case.calls[1]} was reformatted and is believed under the old signature" if events else None
    is_same = [one.observation for one in events] == [one.observation for one in events_of(outcomes[0].value)]
    return None if is_same else f"{case.calls[1]} is formatted otherwise and signed, and {outcomes[1]}"


JUDGES: Mapping[str, Judge] = {
    "forged-callback": _forged,
    "partial-signature": _incomplete,
    "header-case": _cares_for_case,
    "reencoded": _reencoded,
}
