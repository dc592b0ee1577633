"""The callbacks to check with: the author's samples, and those that the provider's own ``sign_callback`` makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.core.facts import Event, Stage
from gateway.core.wire import HttpRequest
from gateway.provider import Signs
from gateway.testing.calls import Call, Drafted, Received
from gateway.testing.recipes import BASE, ids_of
from gateway.testing.render import received_of
from gateway.testing.samples import SampleCallback
from gateway.testing.subject import Subject


class Known(NamedTuple):
    """A callback and what it gives; ``sample`` is its sample, None if the provider signed it."""

    call: Call
    gives: Any
    sample: SampleCallback | None = None


def known_callbacks(subject: Subject) -> list[Known]:
    """Every callback whose meaning is known."""
    return [*_of_samples(subject), *_signed(subject)]


def believed(subject: Subject) -> Iterator[tuple[Known, tuple[Event, ...]]]:
    """Those that are proved, with their events."""
    for known in known_callbacks(subject):
        events = events_of(subject.run(known.call).value)
        if events:
            yield known, events


def events_of(value: Any) -> tuple[Event, ...]:
    """The events among what ``verify`` returned."""
    return tuple(one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Event))


def verify_call(account: str, received: Received) -> Call:
    """The call that verifies a callback."""
    return Call(member="verify", account=account, received=received)


def _of_samples(subject: Subject) -> Iterator[Known]:
    for sample in subject.samples.callbacks:
        label = subject.label_of(sample.account)
        yield Known(verify_call(label, received_of(sample, subject.account(label))), sample.gives, sample)


def _signed(subject: Subject) -> Iterator[Known]:
    for call in signing_calls(subject):
        made, signs = subject.run(call).value, call.signs
        if isinstance(made, HttpRequest) and signs is not None:
            gives = {"kind": "event", "stage": signs.stage, "payment_id": ids_of(signs.payment)["payment_id"]}
            yield Known(verify_call(subject.label, _received(made)), gives)


def signing_calls(subject: Subject) -> list[Call]:
    """The calls that make callbacks, where the provider can sign them: two outcomes of a payment, and of another."""
    if not isinstance(subject.provider, Signs):
        return []
    drafts = ((1, Stage.CAPTURED), (1, Stage.FAILED), (2, Stage.CAPTURED))
    signs = [Drafted(payment=payment, stage=stage, money=subject.moneys[0]) for payment, stage in drafts]
    return [Call(member="sign_callback", account=subject.label, signs=one) for one in signs]


def _received(made: HttpRequest) -> Received:
    path, _, query = made.url.removeprefix(BASE).partition("?")
    return Received(method=made.method, suffix=path.strip("/"), query=query, headers=made.headers, body=made.body)
