"""``gateway payments review``: what a person must review and resolve, through the running gateway."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args, get_type_hints
from urllib.parse import quote

import click
import msgspec

from gateway.cli.exits import Group
from gateway.cli.next_step import next_step
from gateway.cli.operators import Operators, ask, ask_all, listener_options
from gateway.cli.output import print_json, print_list, print_pairs, wide_option
from gateway.cli.user_name import user_name
from gateway.core.money import Amount
from gateway.core.view_types import PaymentView
from gateway.web.admin.reviews import OpenOperationView, ResolveOperation, ResolveReview

REVIEW_COLUMNS = (
    "id",
    "tenant",
    "account",
    "merchant_reference",
    "state",
    "amount",
    "currency",
    "reason",
    "since",
    "detail",
)
OPERATION_COLUMNS = ("id", "tenant", "payment_id", "kind", "status", "note", "created_at")


def words_of(kind: object) -> Iterator[str]:
    """The words that a ``Literal`` inside a type allows."""
    for inner in get_args(kind):
        if isinstance(inner, str):
            yield inner
        else:
            yield from words_of(inner)


def _os_user() -> str:
    name = user_name()
    if name is None:
        raise click.UsageError("your user has no name on this machine: give --actor")
    return name


def decimal(_: click.Context, __: click.Parameter, text: str | None) -> Decimal | None:
    """Read an amount. Raises click's usage error."""
    try:
        return None if text is None else Decimal(Amount.read(text))
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from None


STATES = tuple(words_of(get_type_hints(ResolveReview)["state"]))
OUTCOMES = tuple(words_of(get_type_hints(ResolveOperation)["outcome"]))

reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the timeline.")
why_option = click.option("--reason", metavar="TEXT", help="Why; kept in the audit trail.")
actor_option = click.option(
    "--actor",
    default=_os_user,
    show_default="your user name",
    metavar="NAME",
    help="Who decides; kept in the timeline beside the id of the key.",
)


page_option = click.option(
    "--redirect-url",
    metavar="URL",
    help="The customer's page at the provider, for a payment that waits for its customer.",
)


reference_option = click.option(
    "--provider-reference", metavar="ID", help="The provider's own id, as its portal shows it."
)


@click.group(cls=Group)
def review() -> None:
    """Resolve what only a person can.

    Calls the operators' listener of the running gateway, with the key in the environment variable GATEWAY_ADMIN_KEY.
    """


@review.command("list")
@listener_options
@wide_option
def list_reviews(wide: bool, listener: Operators, as_json: bool) -> None:
    """List payments under review, newest first."""
    found = ask_all(listener, "/admin/v1/reviews", row=PaymentView)
    print_list(found, REVIEW_COLUMNS, _row, as_json=as_json, wide=wide)


@review.command()
@click.argument("payment_id")
@reason_option
@click.option(
    "--state",
    type=click.Choice(STATES),
    metavar="STATE",
    help=f"Set this state, if you know that the recorded one is wrong: {', '.join(STATES)}.",
)
@click.option(
    "--amount-refunded",
    metavar="AMOUNT",
    callback=decimal,
    help="What has gone back in all, where the provider denied how a refund ended.",
)
@page_option
@actor_option
@listener_options
def resolve(
    payment_id: str,
    reason: str,
    state: Any,
    amount_refunded: Any,
    redirect_url: str | None,
    actor: str,
    listener: Operators,
    as_json: bool,
) -> None:
    """Clear a payment's review flag.

    The payment continues in its state; --state corrects it. A payment that waits for its customer can also be ended
    without a flag (--state expired, canceled or failed) where it cannot be canceled, and its page can be set.
    """
    body = ResolveReview(
        reason=reason, actor=actor, state=state, amount_refunded=amount_refunded, redirect_url=redirect_url
    )
    path = f"/admin/v1/reviews/{quote(payment_id, safe='')}/resolve"
    print_payment(ask(listener, "POST", path, body=body, wanted=PaymentView), as_json)


@review.command()
@listener_options
@wide_option
def operations(wide: bool, listener: Operators, as_json: bool) -> None:
    """List operations whose outcome is unknown, oldest first."""
    found = ask_all(listener, "/admin/v1/operations?status=unknown", row=OpenOperationView)
    print_list(found, OPERATION_COLUMNS, as_json=as_json, wide=wide)


@review.command("settle")
@click.argument("operation_id")
@click.option(
    "--outcome",
    type=click.Choice(OUTCOMES),
    metavar="OUTCOME",
    required=True,
    help=f"How it ended: {', '.join(OUTCOMES)}.",
)
@reason_option
@page_option
@reference_option
@actor_option
@listener_options
def resolve_operation(
    operation_id: str,
    outcome: Any,
    reason: str,
    redirect_url: str | None,
    provider_reference: str | None,
    actor: str,
    listener: Operators,
    as_json: bool,
) -> None:
    """Resolve an operation whose outcome is unknown.

    Nothing is sent to the provider: check there first. After a create that succeeded the payment waits for its
    customer: pass what the portal shows of it, --redirect-url (the customer's page) and --provider-reference.
    """
    body = ResolveOperation(
        outcome=outcome,
        reason=reason,
        actor=actor,
        redirect_url=redirect_url,
        provider_reference=provider_reference,
    )
    path = f"/admin/v1/operations/{quote(operation_id, safe='')}/resolve"
    print_payment(ask(listener, "POST", path, body=body, wanted=PaymentView), as_json)


def _row(payment: PaymentView) -> list[object]:
    flag = {} if payment.review is None else msgspec.structs.asdict(payment.review)
    return [flag[column] if column in flag else getattr(payment, column, None) for column in REVIEW_COLUMNS]


def print_payment(payment: PaymentView, as_json: bool) -> None:
    """Print a payment as it is now, and what an operator still has to do."""
    if as_json:
        print_json(payment)
        return
    shown = (
        "id",
        "tenant",
        "state",
        "amount",
        "amount_captured",
        "amount_refunded",
        "amount_disputed",
        "currency",
        "version",
    )
    print_pairs({name: getattr(payment, name) for name in shown})
    following = next_step(payment)
    if following is not None:
        click.echo(f"next: {following}")
