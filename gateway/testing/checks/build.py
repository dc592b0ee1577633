"""Requests: every declared command builds, in every currency, twice the same, and touches nothing outside itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.core.commands import Kind
from gateway.core.field_values import FieldProblem
from gateway.core.wire import HttpRequest
from gateway.testing.calls import Call, Outcome
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.common import PURITY, PURITY_JUDGES
from gateway.testing.recipes import Recipe
from gateway.testing.subject import Subject

_RULES = ("build-fails", "build-returns", *PURITY, "secret-in-url", "not-deterministic")


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield each command with each amount, built twice, and the login."""
    for command in subject.commands:
        recipes = [recipe for money in subject.moneys for recipe in _recipes(subject, command, money)]
        yield from (Case(_RULES, _twice("build", subject.label, recipe)) for recipe in recipes)
        if recipes and all(_is_refused(subject, recipe) for recipe in recipes):
            first = subject.run(Call(member="build", account=subject.label, recipe=recipes[0]))
            yield Found("build-fails", f"{command} is refused in every currency: {first}")
    if hasattr(subject.provider, "login"):
        for command in subject.commands if hasattr(subject.provider, "session_scope") else ():
            yield Case(_RULES, _twice("login", subject.label, subject.recipe(command, subject.moneys[0])))
        yield Case(_RULES, _twice("login", subject.label))


def _recipes(subject: Subject, command: str, money: str) -> Iterator[Recipe]:
    yield subject.recipe(command, money)
    if command == "FetchPayment":
        yield subject.recipe(command, money, unnamed=True)
        yield subject.recipe(command, money, opened=Kind.REFUND)


def _twice(member: str, account: str, recipe: Recipe | None = None) -> tuple[Call, ...]:
    return (Call(member=member, account=account, recipe=recipe),) * 2


def _is_refused(subject: Subject, recipe: Recipe) -> bool:
    return isinstance(subject.run(Call(member="build", account=subject.label, recipe=recipe)).error, FieldProblem)


def _fails(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    error = outcomes[0].error
    is_fine = error is None or isinstance(error, FieldProblem) or _is_unnamed(case.calls[0], error)
    return None if is_fine else f"{case.calls[0]} {outcomes[0]}"


def _is_unnamed(call: Call, error: BaseException) -> bool:
    """Whether a lookup is refused because the provider has not named the payment yet, as it may be."""
    return call.recipe is not None and call.recipe.unnamed and type(error).__name__ == "ProviderError"


def _returns(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    return f"{case.calls[0]} returned {outcomes[0].wrong}" if outcomes[0].wrong else None


def _shows_secret(subject: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    made = outcomes[0].value
    has_secret = isinstance(made, HttpRequest) and isinstance(made.url, str) and subject.mask.holds(made.url)
    return f"the URL of {case.calls[0]} holds a secret: {subject.mask.over(made.url)}" if has_secret else None


def _differs(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    first, second = (one.value for one in outcomes[:2])
    if first == second:
        return None
    if not (isinstance(first, HttpRequest) and isinstance(second, HttpRequest)):
        return f"{case.calls[0]} made {first!r}, then {second!r}"
    name = next(name for name in first.__struct_fields__ if getattr(first, name) != getattr(second, name))
    return f"{case.calls[0]} twice made requests that differ in their {name}"


JUDGES: Mapping[str, Judge] = {
    "build-fails": _fails,
    "build-returns": _returns,
    "secret-in-url": _shows_secret,
    "not-deterministic": _differs,
    **PURITY_JUDGES,
}
