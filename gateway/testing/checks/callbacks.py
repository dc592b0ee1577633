"""The callbacks to check with: the author's samples, and those that the provider's own ``sign_callback`` makes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from gateway.core.facts import Event, Stage
from gateway.core.wire import HttpRequest
from gateway.provider import CallbackDraft, Signs
from gateway.testing.calls import Call, Received
from gateway.testing.recipes import AT, BASE, ids_of, money_of
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
    if not isinstance(subject.provider, Signs):
        return
    for payment, stage in ((1, Stage.CAPTURED), (1, Stage.FAILED), (2, Stage.CAPTURED)):
        draft = CallbackDraft(
            payment_id=ids_of(payment)["payment_id"],
            money=money_of(subject.moneys[0]),
            stage=stage,
            at=AT + timedelta(seconds=payment),
            provider_reference=ids_of(payment)["provider_reference"],
        )
        made = subject.provider.sign_callback(draft, subject.account(subject.label), BASE)
        gives = {"kind": "event", "stage": stage.value, "payment_id": draft.payment_id}
        yield Known(verify_call(subject.label, _received(made)), gives)


def _received(made: HttpRequest) -> Received:
    path, _, query = made.url.removeprefix(BASE).partition("?")
    return Received(method=made.method, suffix=path.strip("/"), query=query, headers=made.headers, body=made.body)
