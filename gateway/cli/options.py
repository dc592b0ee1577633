"""Options that several commands have, and the kinds of options that many are of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar, get_args

import click

from gateway.cli.user_name import user_name
from gateway.core.ids import problem_of_payment_id
from gateway.core.money import Amount

F = TypeVar("F", bound=Callable[..., Any])

SUCH_AS = "such as 2026-01-31 (UTC) or 2026-01-31T12:00:00Z"


def parse_date(text: str) -> datetime:
    """Read a date or an RFC 3339 time; without a zone it is UTC. Raises click's usage error with an example."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f'"{text}" is not a date such as 2026-01-31 or 2026-01-31T12:00:00Z') from None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def _read_amount(_: click.Context, __: click.Parameter, text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(Amount.read(text))
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from None


def _read_payment_id(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None and (problem := problem_of_payment_id(text)):
        raise click.BadParameter(problem)
    return text


def _os_user() -> str:
    name = user_name()
    if name is None:
        raise click.UsageError("your user has no name on this machine: give --actor")
    return name


def words_of(kind: object) -> Iterator[str]:
    """The words that a ``Literal`` inside a type allows."""
    for inner in get_args(kind):
        if isinstance(inner, str):
            yield inner
        else:
            yield from words_of(inner)


def date_option(name: str, text: str) -> Callable[[F], F]:
    """An option that is a date or a time."""
    return click.option(name, type=parse_date, metavar="DATE", help=text)


def amount_option(name: str, text: str) -> Callable[[F], F]:
    """An option that is an amount."""
    return click.option(name, metavar="AMOUNT", callback=_read_amount, help=text)


def payment_option(name: str, text: str) -> Callable[[F], F]:
    """An option that is a payment's id."""
    return click.option(name, metavar="ID", callback=_read_payment_id, help=text)


def word_option(name: str, words: Sequence[str], text: str, **more: Any) -> Callable[[F], F]:
    """An option that is one of some words, all of which its help names."""
    metavar, known = name.strip("-").upper(), ", ".join(words)
    return click.option(name, type=click.Choice(words), metavar=metavar, help=f"{text}: {known}.", **more)


def combined_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one, in the order of the help text."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the timeline.")
why_option = click.option("--reason", metavar="TEXT", help="Why; kept in the audit trail.")
actor_option = click.option(
    "--actor",
    default=_os_user,
    show_default="your user name",
    metavar="NAME",
    help="Who decides; kept in the timeline beside the id of the key.",
)
reference_option = click.option(
    "--provider-reference", metavar="ID", help="The provider's own id, as its portal shows it."
)
