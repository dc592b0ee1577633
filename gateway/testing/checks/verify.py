"""Callbacks as ``verify`` reads them: the samples, what was never signed, and what makes two of them the same event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import msgspec

from gateway.core.errors import CallbackRejected
from gateway.core.facts import Event
from gateway.testing.calls import Call, Outcome, Received
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.callbacks import Known, believed, events_of, known_callbacks, signing_calls, verify_call
from gateway.testing.checks.common import PURITY, is_unusable, not_as_said
from gateway.testing.checks.parse import BODIES, HTML, PAGE
from gateway.testing.recipes import ids_of
from gateway.testing.render import JSON
from gateway.testing.subject import Subject
from gateway.testing.watch import RefusedCall

GENERAL = ("verify-raises", "verify-returns", "secret-shown")
LATER = timedelta(seconds=20)
"""After which the provider repeats a callback: within every tolerance of signed times."""


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield the samples, what nobody signed, and pairs of callbacks."""
    yield from (Case(("sign-callback", *PURITY), (call,)) for call in signing_calls(subject))
    known = known_callbacks(subject)
    for one in known:
        yield Case(("callback", "swapped-id", "delta-and-total", *GENERAL, *PURITY), (one.call,), one.gives)
    yield from (Case((*GENERAL, "forged-callback"), (call,)) for call in _unsigned(subject))
    proved = [one for one, _ in believed(subject)]
    yield from _repeated(proved)
    for number, one in enumerate(proved):
        yield from (Case(("event-id-shared",), (one.call, other.call)) for other in proved[:number])
    for one in proved:
        other = next(label for label in subject.labels if label != one.call.account)
        yield Case(("other-tenant",), (one.call, msgspec.structs.replace(one.call, account=other)))
    if not known and _believes(subject):
        yield Found("samples", "no callback is known: what verify believes is not checked")


def _unsigned(subject: Subject) -> Iterator[Call]:
    for method in ("POST", "GET", "PUT"):
        for body, headers in (*((body, JSON) for body in BODIES), (PAGE, HTML), (b"a=b&c=d", ())):
            for suffix in ("", "return"):
                given = Received(method=method, headers=headers, body=body, suffix=suffix)
                yield verify_call(subject.label, given)
    back = f"status=paid&result=success&payment_id={ids_of()['payment_id']}&amount=10.00"
    for named in (None, ids_of()["payment_id"]):
        yield verify_call(subject.label, Received(method="GET", suffix="return", query=back, payment_id=named))


def _repeated(proved: Sequence[Known]) -> Iterator[Case]:
    for one in proved:
        received = one.call.received or Received()
        later = msgspec.structs.replace(received, at=received.at + LATER)
        yield Case(("event-id-changes",), (one.call, msgspec.structs.replace(one.call, received=later)))


def _believes(subject: Subject) -> bool:
    """Whether the provider can believe a callback at all: one that returns only hints needs no samples."""
    hints = getattr(type(subject.provider).verify, "__annotations__", {}).get("return", "")
    return "Event" in str(hints) or not hints


def _raises(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    error = outcomes[0].error
    is_fine = error is None or isinstance(error, CallbackRejected | RefusedCall)
    return None if is_fine else f"{case.calls[0]} {outcomes[0]}"


def _cannot_sign(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    problem = f"returned {outcomes[0].wrong}" if outcomes[0].wrong else str(outcomes[0])
    return f"{case.calls[0]} {problem}" if outcomes[0].wrong or outcomes[0].error else None


def _changes(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    first, second = (events_of(one.value) for one in outcomes)
    ids = [
        (one.event_id, two.event_id) for one, two in zip(first, second, strict=False) if one.event_id != two.event_id
    ]
    return f"{case.calls[0]} is event {ids[0][0]!r}, and repeated {ids[0][1]!r}" if ids else None


def _shared(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    first, second = (events_of(one.value) for one in outcomes)
    for one, two in ((one, two) for one in first for two in second):
        if one.event_id == two.event_id and _facts(one) != _facts(two):
            return f"{case.calls[0]} and {case.calls[1]} are both event {one.event_id!r}"
    return None


def _facts(event: Event) -> tuple[object, ...]:
    return (event.observation, event.operation)


def _other(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    is_believed = bool(events_of(outcomes[1].value))
    return f"{case.calls[0]} of {case.calls[0].account} is believed on {case.calls[1].account}" if is_believed else None


def _is_both(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    for event in events_of(outcomes[0].value):
        if event.operation is not None and event.observation.refunded is not None:
            return f"{case.calls[0]} reports an operation and {event.observation.refunded} as refunded in all"
    return None


JUDGES: Mapping[str, Judge] = {
    "callback": not_as_said,
    "delta-and-total": _is_both,
    "verify-raises": _raises,
    "verify-returns": is_unusable,
    "sign-callback": _cannot_sign,
    "event-id-changes": _changes,
    "event-id-shared": _shared,
    "other-tenant": _other,
}
