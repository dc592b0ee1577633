"""Answers to callbacks: every verdict is worded, and what was not stored is not a success."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.core.wire import HttpResponse
from gateway.testing.calls import VERDICTS, Call, Outcome
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.callbacks import events_of, known_callbacks
from gateway.testing.checks.common import PURITY, PURITY_JUDGES
from gateway.testing.subject import Subject

JUDGED_ALIKE = ("repeated_final", "not_found", "amount", "currency", "in_progress", "time")
"""Reasons that stay when the provider sends the same again; what moves money has set a review already."""


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield every verdict."""
    calls = {word: Call(member="answer", account=subject.label, verdict=word) for word in VERDICTS}
    for word, call in calls.items():
        about = "busy-as-success" if word.startswith("busy") else "recorded-as-error"
        rules = ("answer-returns", *PURITY, *(() if word.startswith("refused") else (about,)))
        yield Case(rules, (call,))
    if any(events_of(subject.run(known.call).value) for known in known_callbacks(subject)):
        yield Case(("asks-for-repetition",), tuple(calls[f"refused {reason}"] for reason in JUDGED_ALIKE))


def _returns(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    problem = outcomes[0].wrong or (f"nothing but {outcomes[0]}" if outcomes[0].error else None)
    return f"{case.calls[0]} gave {problem}" if problem else None


def _status(outcome: Outcome) -> int:
    return outcome.value.status if isinstance(outcome.value, HttpResponse) and not outcome.wrong else 0


def _busy(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    status = _status(outcomes[0])
    return f"{case.calls[0]} gave {status}: the callback is lost for good" if 0 < status < 400 else None


def _recorded(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    status = _status(outcomes[0])
    return f"{case.calls[0]} gave {status}" if status >= 300 and "is_final" not in str(case.calls[0]) else None


def _asks(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    pairs = zip(case.calls, map(_status, outcomes), strict=True)
    found = [f"{call.verdict} → {status}" for call, status in pairs if status >= 300]
    return f"the provider will send these again, for hours: {', '.join(found)}" if found else None


JUDGES: Mapping[str, Judge] = {
    "answer-returns": _returns,
    "busy-as-success": _busy,
    "recorded-as-error": _recorded,
    "asks-for-repetition": _asks,
    **PURITY_JUDGES,
}
