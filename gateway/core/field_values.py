"""Where a field's value comes from: for each kind of source a function that reads it from a payment's create."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from gateway.core.commands import CreatePayment
from gateway.core.expressions import Expression
from gateway.core.text_checks import is_blank, trimmed

Read = Callable[[CreatePayment], str]
"""The value of one field, empty for none. Raises ``TooManySteps`` where an expression does."""


def constant(value: str) -> Read:
    """The same for every payment."""
    return lambda _: value


def asked_of_customer(name: str) -> Read:
    """What the customer filled in."""
    return lambda command: trimmed(command.fields.get(name, ""))


def of_payment(source: str) -> Read:
    """A member of the command, such as ``customer.email``; a blank one counts as none."""
    get = attrgetter(source)

    def read(command: CreatePayment) -> str:
        try:
            found = get(command)
        except AttributeError:  # a part on the way is absent
            return ""
        value = "" if found is None else str(found)
        return "" if is_blank(value) else value

    return read


def computed(expression: Expression) -> Read:
    """What an expression finds; nothing where that is a list or a mapping."""

    def read(command: CreatePayment) -> str:
        found = expression.search(document_of(command, expression.names))
        if found is None or isinstance(found, dict | list):
            return ""
        return str(found).lower() if isinstance(found, bool) else str(found)

    return read


def document_of(command: CreatePayment, names: frozenset[str] | None = None) -> dict[str, Any]:
    """The payment as expressions see it: the shape of the create body, amounts as text without exponent.

    ``names``: the members to make; None for all.
    """
    return {name: make(command) for name, make in _DOCUMENT.items() if names is None or name in names}


def _part(name: str) -> Callable[[CreatePayment], Any]:
    get = attrgetter(name)
    return lambda command: msgspec.to_builtins(get(command), enc_hook="{:f}".format)


_DOCUMENT: Mapping[str, Callable[[CreatePayment], Any]] = {
    "id": attrgetter("payment_id"),
    "merchant_reference": attrgetter("merchant_reference"),
    "amount": lambda command: command.money.text(),
    "currency": attrgetter("money.currency"),
    **{name: _part(name) for name in ("customer", "order", "checkout", "fields", "metadata")},
}
