"""Logins: a session comes of a success alone, and never of a page of HTML or half an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gateway.core.errors import ProviderError
from gateway.core.wire import HttpResponse
from gateway.provider import Session
from gateway.testing.calls import Call, Outcome
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.common import PURITY
from gateway.testing.checks.parse import BODIES, HTML, PAGE
from gateway.testing.expected import difference
from gateway.testing.render import JSON, response_of
from gateway.testing.subject import Subject

REFUSALS = (400, 401, 403, 404, 429, 500, 503)


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield the sample of a login, the same with other statuses, and bodies that cannot be an answer."""
    if not hasattr(subject.provider, "login"):
        return
    empty = Call(member="parse_login", account=subject.label)
    for reply in subject.samples.replies:
        if reply.command == "login":
            response = response_of(reply)
            yield Case(("login", *PURITY), (_answered(empty, response),), reply.gives)
            yield from _of_another(subject, _answered(empty, response))
            others = [msgspec.structs.replace(response, status=status) for status in REFUSALS]
            yield from (Case(("login", "secret-shown"), (_answered(empty, one),), "refused") for one in others)
    for body, headers in (*((body, JSON) for body in BODIES), (PAGE, HTML)):
        for status in (200, *REFUSALS):
            response = HttpResponse(status=status, headers=headers, body=body)
            yield Case(("login", "secret-shown"), (_answered(empty, response),), "refused")


def _of_another(subject: Subject, call: Call) -> Iterator[Case]:
    """The same login of another tenant's account, answered with another token."""
    session, other = subject.run(call).value, subject.labels[1]
    if isinstance(session, Session) and call.response is not None:
        token = session.token.reveal()
        body = call.response.body.replace(token.encode(), token[::-1].encode())
        answer = msgspec.structs.replace(call.response, body=body)
        second = msgspec.structs.replace(call, account=other, response=answer)
        if body != call.response.body:
            yield Case(("login",), (call, second), {"kind": "session", "token": token[::-1]})


def _answered(call: Call, response: HttpResponse) -> Call:
    return msgspec.structs.replace(call, response=response)


def _wrong(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    outcome = outcomes[-1]
    if case.expects == "refused":
        is_right = isinstance(outcome.error, ProviderError)
        return None if is_right else f"{case.calls[0]} {outcome}, and should raise ProviderError"
    problem = outcome.wrong or difference(case.expects, outcome)
    return f"{case.calls[0]}: {problem}" if problem else None


JUDGES: Mapping[str, Judge] = {"login": _wrong}
