"""Answers as ``parse`` reads them: the author's samples, and a corpus that no provider should send but proxies do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.core.errors import ProviderError
from gateway.core.facts import Absent, Ask, Declined, Observation, Pending, Stage, Succeeded, outcomes_in
from gateway.core.response_body import is_page
from gateway.core.response_outcome import NO_SUCH_PAYMENT
from gateway.core.wire import HttpResponse
from gateway.testing.calls import Call, Outcome
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.common import PURITY, not_as_said
from gateway.testing.recipes import COMMANDS, command_name, command_of, ids_of
from gateway.testing.render import JSON, filled, response_of
from gateway.testing.samples import Reply, UnusableSamples
from gateway.testing.subject import Subject
from gateway.testing.watch import RefusedCall

SUCCESS = frozenset({Stage.AWAITING_CUSTOMER, Stage.AUTHORIZED, Stage.CAPTURED})
GENERAL = ("parse-raises", "parse-returns", "success-from-refusal", "absent-without-proof", "page-as-answer")
SOFT = ("declined-page", "pending-success", "secret-shown")
HTML = (("Content-Type", "text/html; charset=utf-8"),)
ODD = "odd"
"""What a case expects of a body with a member that makes no sense: types must be right, sizes the gateway judges."""

_SIZES = ("characters", "not negative", "out of range")
PAGE = b"<!DOCTYPE html><html><head><title>503</title></head><body>status: captured, success: true</body></html>"
BODIES = (b"", b"{}", b"[]", b"null", b'"captured"', b"\xff\xfe{", b'{"a":', b"NaN", b"[" * 200, b'{"id": {"id": []}}')
STATUSES = (200, 201, 202, 204, 302, 400, 401, 402, 403, 404, 409, 410, 412, 422, 429, 451, 500, 502, 503, 504)


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield the samples, then each command with the corpus, then the samples' bodies under every other status."""
    replies = replies_of(subject)
    for reply, call in replies:
        yield Case(("reply", "swapped-id", *GENERAL, *SOFT, *PURITY), (call,), reply.gives)
    for command in subject.commands:
        recipe = subject.recipe(command, subject.moneys[0])
        for response in _corpus():
            call = Call(member="parse", account=subject.label, recipe=recipe, response=response)
            yield Case((*GENERAL, *SOFT), (call,))
    for _, call in replies:
        assert call.response is not None  # noqa: S101  # of a reply
        for status in STATUSES:
            other = msgspec.structs.replace(call.response, status=status)
            yield Case((*GENERAL, *SOFT), (msgspec.structs.replace(call, response=other),))


def replies_of(subject: Subject) -> list[tuple[Reply, Call]]:
    """The samples of answers to commands, each with its call. Raises ``UnusableSamples``."""
    found = []
    for number, reply in enumerate(subject.samples.replies):
        if reply.command == "login":
            continue
        name = command_name(reply.command)
        if name is None:
            known = ", ".join((*COMMANDS, "login"))
            raise UnusableSamples(f'replies[{number}].command: "{reply.command}" is not one of {known}')
        if name not in subject.commands:
            continue
        recipe = subject.recipe(name, reply.money or subject.moneys[0])
        recipe = msgspec.structs.replace(recipe, memory=recipe.memory | filled(reply.memory))
        label = subject.label_of(reply.account)
        found.append((reply, Call(member="parse", account=label, recipe=recipe, response=response_of(reply))))
    return found


def _corpus() -> Iterator[HttpResponse]:
    for status in STATUSES:
        yield from (HttpResponse(status=status, headers=JSON, body=body) for body in BODIES)
        yield HttpResponse(status=status, headers=HTML, body=PAGE)


def _raises(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    error = outcomes[0].error
    is_fine = error is None or isinstance(error, ProviderError | RefusedCall)
    return None if is_fine else f"{case.calls[0]} {outcomes[0]}"


def _returns(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    wrong = outcomes[0].wrong
    if wrong is None or (case.expects == ODD and any(one in wrong for one in _SIZES)):
        return None
    return f"{case.calls[0]} returned {wrong}"


def is_success(value: Any) -> bool:
    """Whether a fact moves the payment forward."""
    return isinstance(value, Observation) and value.stage in SUCCESS


def _from_refusal(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    is_refusal = _response(case).status >= 400
    return f"{case.calls[0]} {outcomes[0]}" if is_refusal and is_success(outcomes[0].value) else None


def _absent(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    if not isinstance(outcomes[0].value, Absent):
        return None
    response, recipe = _response(case), case.calls[0].recipe
    may_say_so = 200 <= response.status < 300 or response.status in NO_SUCH_PAYMENT
    is_lookup = recipe is not None and recipe.command == "FetchPayment"
    is_proof = is_lookup and may_say_so and not (is_page(response) and response.status < 300)
    return None if is_proof else f"{case.calls[0]} is read as Absent"


def _page(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    is_believed = is_page(_response(case)) and is_success(outcomes[0].value)
    return f"{case.calls[0]} {outcomes[0]}" if is_believed else None


def _swapped(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    call, ours = case.calls[0], ids_of()["payment_id"]
    given = call.response or call.received
    if given is None or ours.encode() not in given.body:
        return None
    values = outcomes[0].value if isinstance(outcomes[0].value, tuple) else (outcomes[0].value,)
    named = [getattr(getattr(value, "observation", value), "payment_id", None) for value in values]
    wrong = None if ours in named else next(filter(None, named), None)
    return f"{call} names {ours}, but payment_id is {wrong!r}" if wrong else None


def _declined_page(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    value = outcomes[0].value
    is_no = isinstance(value, Declined | Absent) and is_page(_response(case))
    return f"{case.calls[0]} is read as {type(value).__name__}" if is_no else None


def _shows(subject: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    for outcome in outcomes:
        texts = [str(outcome.error)] if outcome.error is not None else list(_public(outcome.value))
        for text in texts:
            if subject.mask.holds(text):
                return f"{case.calls[0]} shows a secret: {subject.mask.over(text)!r}"
    return None


def _public(value: Any) -> Iterator[str]:
    """Texts that may not hold a secret. What a lookup asks next is a request: only its URL is written to logs."""
    return texts_in((value.request.url, value.memory) if isinstance(value, Ask) else value)


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a fact."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from texts_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from (*texts_in(name), *texts_in(inner))
    elif isinstance(value, tuple):
        for inner in value:
            yield from texts_in(inner)


def _response(case: Case) -> HttpResponse:
    return case.calls[0].response or HttpResponse(status=0)


def _is_done_already(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    value, recipe = outcomes[0].value, case.calls[0].recipe
    if not isinstance(value, Pending) or outcomes[0].wrong or recipe is None:
        return None
    ours = getattr(command_of(recipe), "operation_id", None)
    done = [one for one in outcomes_in(value) if one.operation_id == ours and isinstance(one.outcome, Succeeded)]
    return f"{case.calls[0]} is read as Pending, and says that the operation succeeded" if done else None


JUDGES: Mapping[str, Judge] = {
    "reply": not_as_said,
    "parse-raises": _raises,
    "parse-returns": _returns,
    "success-from-refusal": _from_refusal,
    "absent-without-proof": _absent,
    "page-as-answer": _page,
    "swapped-id": _swapped,
    "pending-success": _is_done_already,
    "declined-page": _declined_page,
    "secret-shown": _shows,
}
