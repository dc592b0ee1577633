"""Two tenants' accounts: nothing of one is in the other's requests, whichever was used first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.core.masking import Mask
from gateway.core.wire import HttpRequest
from gateway.testing.calls import Call, Outcome
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.subject import UNTOUCHED, Subject

SHORTEST = 6
"""Characters of a value that is not in a request by chance."""


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield each command built for A, B, A and B, and for B where A was never used."""
    first, other = subject.labels
    order = (first, other, first, other, other + UNTOUCHED)
    for command in subject.commands:
        recipe = subject.recipe(command, subject.moneys[0])
        yield Case(("tenants-mixed",), tuple(Call(member="build", account=one, recipe=recipe) for one in order))
    if hasattr(subject.provider, "login"):
        yield Case(("tenants-mixed",), tuple(Call(member="login", account=one) for one in order))


def _mixed(subject: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    made = [one.value if isinstance(one.value, HttpRequest) else None for one in outcomes]
    labels = [call.account.removesuffix(UNTOUCHED) for call in case.calls]
    own = {label: _own_values(subject, label) for label in labels}
    for label, request in zip(labels, made, strict=True):
        for other in set(labels) - {label}:
            mask = Mask(own[other] - own[label])
            if request is not None and mask.holds(_text(request)):
                return f"{case.calls[0]}: the request of {label} holds a value of {other}, which was used before"
    if made[0] != made[2] or made[1] != made[3]:
        return f"{case.calls[0]}: the request of one account is another one after the other account was used"
    if made[1] != made[4]:
        return f"{case.calls[0]}: the request of {labels[1]} depends on {labels[0]}, which was used before"
    return None


def _own_values(subject: Subject, label: str) -> set[str]:
    texts = set(_texts(msgspec.to_builtins(subject.accounts[label].config, enc_hook=lambda _: None)))
    return {one for one in (*texts, *(secret.reveal() for secret in subject.secrets(label))) if len(one) >= SHORTEST}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _text(request: HttpRequest) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in request.headers)
    return f"{request.url}\n{headers}\n{request.body.decode(errors='replace')}"


JUDGES: Mapping[str, Judge] = {"tenants-mixed": _mixed}
