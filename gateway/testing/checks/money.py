"""Amounts on the wire: as the samples state them, else by the digits of the currency; exact for every amount."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.core.money import Money
from gateway.core.strictjson import JsonNumber
from gateway.core.wire import HttpRequest
from gateway.testing.calls import Call, Outcome
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.recipes import money_of
from gateway.testing.render import filled
from gateway.testing.subject import Subject
from gateway.testing.trees import Path, dotted, leaves, members_of, text

AWKWARD = {
    2: ("0.29", "1.15", "4.35", "1067.33", "33333.33"),
    0: ("1", "33333"),
    3: ("0.001", "1.005", "4.350", "33333.333"),
    6: ("0.290001",),
}
"""Amounts by digits that floats get wrong, and two that they get right."""

PROBES = {2: "10.30", 0: "501", 3: "10.300", 6: "10.300000"}


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield what the samples state, then other amounts in the form in which the create sends them."""
    yield from _stated(subject)
    yield from _different(subject)
    yield from _currencies(subject)
    forms = _forms(subject)
    for currency in dict.fromkeys(money.split(" ")[0] for money in subject.moneys):
        digits = money_of(f"{currency} 1").digits
        rule = "float-money" if _is_known(subject, currency) else "wire-unknown"
        for amount in AWKWARD.get(digits, ()):
            call = _build(subject, "CreatePayment", f"{currency} {amount}")
            yield from (Case((rule,), (call,), [list(path), form]) for path, form in forms.items())


def _stated(subject: Subject) -> Iterator[Case | Found]:
    for money, members in subject.samples.wire.items():
        calls = tuple(_build(subject, command, money) for command in subject.commands)
        for path, wanted in leaves(members):
            yield Case(("wire-amount",), calls, [dotted(path), filled(wanted)])


def _different(subject: Subject) -> Iterator[Case]:
    """Two amounts of each command that takes one; a capture only where it may be a part."""
    rules = subject.entries[subject.label].rules
    with_amount = {"CreatePayment", "RefundPayment", "UpdatePayment"}
    if rules.partial_capture or rules.captures == "many":
        with_amount.add("CapturePayment")
    currency = subject.moneys[0].split(" ")[0]
    digits = money_of(f"{currency} 1").digits
    for command in subject.commands:
        if command in with_amount:
            amounts = (f"{currency} {amount}" for amount in AWKWARD.get(digits, ())[-2:])
            yield Case(("amount-not-sent",), tuple(_build(subject, command, money) for money in amounts))


def _currencies(subject: Subject) -> Iterator[Case]:
    """Each command in two currencies."""
    firsts = list({money.split(" ")[0]: money for money in reversed(subject.moneys)}.values())
    for command in subject.commands:
        for other in firsts[:-1]:
            yield Case(("wrong-currency",), tuple(_build(subject, command, money) for money in (firsts[-1], other)))


def _build(subject: Subject, command: str, money: str) -> Call:
    return Call(member="build", account=subject.label, recipe=subject.recipe(command, money))


def _is_known(subject: Subject, currency: str) -> bool:
    """Whether it is known how the provider counts a currency: two digits are the same everywhere."""
    stated = {money.split(" ")[0] for money in subject.samples.wire}
    return currency in stated or money_of(f"{currency} 1").digits == 2


def _forms(subject: Subject) -> dict[Path, str]:
    """The members of a create that hold its amount, and how: found by an amount that each form writes differently."""
    if "CreatePayment" not in subject.commands:
        return {}
    for money in subject.moneys:
        currency = money.split(" ")[0]
        probe = f"{currency} {PROBES.get(money_of(f'{currency} 1').digits, '501')}"
        made = subject.run(_build(subject, "CreatePayment", probe)).value
        if isinstance(made, HttpRequest):
            written = {text: form for form, text in reversed(_written(money_of(probe)).items())}
            pairs = ((path, written.get(text(value))) for path, value in members_of(made))
            return {path: form for path, form in pairs if form is not None}
    return {}


def _written(money: Money) -> dict[str, str]:
    return {"minor units": str(money.minor_units()), "text": money.text(), "shortest": money.shortest()}


def _not_stated(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    name, wanted = case.expects
    is_there = False
    for call, outcome in zip(case.calls, outcomes, strict=True):
        found = _found(outcome.value, name)
        is_there = is_there or bool(found)
        wrong = [value for value in found if not _is_literal(wanted, value)]
        if wrong:
            return f"{call} sends {name} {_shown(wrong[0])}, not {_shown(wanted)}"
    if not is_there:
        return f"no request for {case.calls[0].recipe.money if case.calls[0].recipe else ''} has a member {name}"
    return None


def _found(request: Any, name: str) -> list[Any]:
    """The members of this name; else those of objects whose own name it is."""
    members = members_of(request) if isinstance(request, HttpRequest) else []
    exactly = [value for path, value in members if dotted(path) == name]
    return exactly or [value for path, value in members if dotted(path).endswith(f".{name}")]


def _is_literal(wanted: Any, value: Any) -> bool:
    return bool(wanted == value) or (isinstance(value, str) and text(wanted) == value and isinstance(wanted, str))


def _shown(value: Any) -> str:
    return value.text if isinstance(value, JsonNumber) else f'"{value}"'


def _not_exact(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    (path, form), made = case.expects, outcomes[0].value
    recipe = case.calls[0].recipe
    if not isinstance(made, HttpRequest) or recipe is None:
        return None
    wanted = _written(money_of(recipe.money))[form]
    found = next((text(value) for at, value in members_of(made) if list(at) == path), None)
    if found is None or found == wanted:
        return None
    return f"{recipe.money} is sent as {dotted(tuple(path))} {found}; in {form} it is {wanted}"


def _is_same(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    made = [one.value for one in outcomes]
    is_same = isinstance(made[0], HttpRequest) and len(made) > 1 and made[0] == made[1]
    return f"{case.calls[0]} and {case.calls[1].recipe} are one request" if is_same else None


def _is_wrong_code(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    """A member that holds the currency of one command must hold that of the other, whichever was built first."""
    sent = [dict(members_of(one.value)) if isinstance(one.value, HttpRequest) else {} for one in outcomes]
    codes = [call.recipe.money.split(" ")[0] for call in case.calls if call.recipe]
    for mine, other in ((0, 1), (1, 0)):
        for path, value in sent[mine].items():
            found = text(sent[other].get(path, "")).upper()
            if text(value).upper() == codes[mine] and found.isalpha() and found != codes[other]:
                return f"{case.calls[other]} sends {dotted(path)} {found}, not {codes[other]}"
    return None


JUDGES: Mapping[str, Judge] = {
    "wire-amount": _not_stated,
    "float-money": _not_exact,
    "wire-unknown": _not_exact,
    "amount-not-sent": _is_same,
    "wrong-currency": _is_wrong_code,
}
