"""Declared and additional fields: what the tenant fills in is sent, and what settings add replaces nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.core.commands import CreatePayment
from gateway.core.field_values import FieldProblem, Origin, fill
from gateway.core.wire import HttpRequest
from gateway.testing.calls import Call, Outcome
from gateway.testing.cases import Case, Found, Judge
from gateway.testing.recipes import command_of, ids_of, money_of
from gateway.testing.subject import Subject
from gateway.testing.trees import members_of, text, texts_of

EXTRA = "kit-extra"


def cases(subject: Subject) -> Iterator[Case | Found]:
    """Yield the create, and the create of an account with one more parameter under the key of an amount or id."""
    if "CreatePayment" not in subject.commands:
        return
    recipe = subject.recipe("CreatePayment", subject.moneys[0])
    plain = Call(member="build", account=subject.label, recipe=recipe)
    yield Case(("field-not-sent",), (plain,))
    made = subject.run(plain).value
    for key in _keys_of_values(subject, made) if isinstance(made, HttpRequest) else ():
        label = f"{subject.label}?extra={key}"
        if subject.can_load(label):
            yield Case(("extra-replaces",), (plain, Call(member="build", account=label, recipe=recipe)), key)


def _keys_of_values(subject: Subject, made: HttpRequest) -> list[str]:
    """The members at the top of a body that hold the amount, the currency or an id."""
    money = money_of(subject.moneys[0])
    values = {*ids_of().values(), money.text(), money.shortest(), str(money.minor_units()), money.currency}
    return [str(path[0]) for path, value in members_of(made) if len(path) == 1 and text(value) in values]


def _not_sent(subject: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    made, recipe = outcomes[0].value, case.calls[0].recipe
    if not isinstance(made, HttpRequest) or recipe is None:
        return None
    command = command_of(recipe)
    assert isinstance(command, CreatePayment)  # noqa: S101  # the case says so
    sent = texts_of(made)
    try:
        members = fill(subject.account(case.calls[0].account).fields, command)
    except FieldProblem:
        return None
    words = _words(" ".join(sent))
    lost = [one for one in members if one.field.origin is Origin.PAYMENT and not _is_in(one.value, words)]
    return f'the value of field "{lost[0].field.name}" ({lost[0].field.source}) is not sent' if lost else None


def _is_in(value: str, sent: str) -> bool:
    """Whether a value is sent, maybe in parts, in another case, or without its signs: ``+1 202`` as ``1202``."""
    return all(word in sent for word in _words(value).split()) or "".join(_words(value).split()) in sent


def _words(text: str) -> str:
    return "".join(one if one.isalnum() else " " for one in text.lower())


def _replaces(_: Subject, case: Case, outcomes: Sequence[Outcome]) -> str | None:
    made = outcomes[1].value
    values = [text(value) for path, value in members_of(made) if path == (case.expects,)] if made else []
    return f'an additional parameter replaced "{case.expects}"' if EXTRA in values else None


JUDGES: Mapping[str, Judge] = {"field-not-sent": _not_sent, "extra-replaces": _replaces}
