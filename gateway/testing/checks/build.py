"""Requests: every declared command builds, in every currency, twice the same, and touches nothing outside itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.core.commands import Kind
from gateway.core.field_values import FieldProblem
from gateway.core.secret import Secret
from gateway.core.wire import HttpRequest
from gateway.testing.calls import Call, Outcome
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.checks.common import PURITY, PURITY_JUDGES, is_unusable
from gateway.testing.recipes import Recipe, urls_of
from gateway.testing.subject import Subject
from gateway.testing.trees import dotted, members_of, texts_of

_RULES = ("build-fails", "build-returns", *PURITY, "secret-in-url", "not-deterministic")


_MASKED = str(Secret(""))


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield each command with each amount, built twice, and the login."""
    for command in subject.commands:
        recipes = [recipe for money in subject.moneys for recipe in _recipes(subject, command, money)]
        yield from (Case(_RULES, _twice("build", subject.label, recipe)) for recipe in recipes)
        if recipes and all(_is_refused(subject, recipe) for recipe in recipes):
            first = subject.run(Call(member="build", account=subject.label, recipe=recipes[0]))
            yield Found("build-fails", f"{command} is refused in every currency: {first}")
    yield from _operations(subject)
    if hasattr(subject.provider, "login"):
        for command in subject.commands if hasattr(subject.provider, "session_scope") else ():
            yield Case(_RULES, _twice("login", subject.label, subject.recipe(command, subject.moneys[0])))
        yield Case(_RULES, _twice("login", subject.label))


def _operations(subject: Subject) -> Iterator[Case]:
    """Two operations of each changing command: of one payment, or, of a create, of two."""
    for command in subject.commands:
        if command != "FetchPayment":
            first = subject.recipe(command, subject.moneys[0], operation=1)
            payment = 2 if command == "CreatePayment" else 1
            second = subject.recipe(command, subject.moneys[0], operation=2, payment=payment)
            calls = tuple(Call(member="build", account=subject.label, recipe=one) for one in (first, second))
            yield Case(("constant-key", "urls-swapped"), calls)


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


def _cannot_be_sent(subject: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    made = outcomes[0].value
    if isinstance(made, HttpRequest) and any(_MASKED in text for text in texts_of(made)):
        return f"{case.calls[0]} sends {_MASKED}: a secret became text without .reveal()"
    return is_unusable(subject, case, outcomes)


def _shows_secret(subject: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    made = outcomes[0].value
    if not isinstance(made, HttpRequest) or outcomes[0].wrong:
        return None
    places = {"the URL": made.url, "a header's name": " ".join(name for name, _ in made.headers)}
    found = next((place for place, text in places.items() if subject.mask.holds(text)), None)
    return f"{found} of {case.calls[0]} holds a secret: {subject.mask.over(places[found])}" if found else None


def _is_constant(subject: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    first, second = (one.value for one in outcomes)
    if not (isinstance(first, HttpRequest) and isinstance(second, HttpRequest)):
        return None
    again = set(first.headers) & set(second.headers)
    name = next((name for name, _ in again if "idempot" in name.lower()), None)
    recipe = case.calls[0].recipe
    repeatable = {one.__name__ for one in subject.entries[subject.label].rules.repeatable}
    is_repeated = recipe is not None and recipe.command in repeatable and first == second
    if name is None and not is_repeated:
        return None
    return f"two operations of {case.calls[0]} " + (f"have the same {name}" if name else "are one request")


def _swaps(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    made, urls = outcomes[0].value, urls_of()
    for path, value in members_of(made) if isinstance(made, HttpRequest) else ():
        name = dotted(path).lower()
        others = {"cancel": urls.return_, "return": urls.cancel, "success": urls.cancel}
        word = next((word for word, other in others.items() if word in name and value == other), None)
        if word is not None:
            return f"{case.calls[0]} sends as {dotted(path)} the address {value}"
    return None


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
    "build-returns": _cannot_be_sent,
    "secret-in-url": _shows_secret,
    "not-deterministic": _differs,
    "constant-key": _is_constant,
    "urls-swapped": _swaps,
    **PURITY_JUDGES,
}
