"""``gateway payments review``: what a person must review and resolve, through the running gateway."""

from __future__ import annotations

from typing import Any, get_type_hints

import click
import msgspec

from gateway.cli.exits import Group
from gateway.cli.next_step import next_step
from gateway.cli.operators import Operators, ask, ask_all, listener_options, path_to
from gateway.cli.options import (
    actor_option,
    amount_option,
    reason_option,
    reference_option,
    word_option,
    words_of,
)
from gateway.cli.output import print_json, print_list, print_pairs, wide_option
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


STATES = tuple(words_of(get_type_hints(ResolveReview)["state"]))
OUTCOMES = tuple(words_of(get_type_hints(ResolveOperation)["outcome"]))

page_option = click.option(
    "--redirect-url",
    metavar="URL",
    help="The customer's page at the provider, for a payment that waits for its customer.",
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
@word_option("--state", STATES, "Set this state, if you know that the recorded one is wrong")
@amount_option("--amount-refunded", "What has gone back in all, where the provider denied how a refund ended.")
@page_option
@actor_option
@listener_options
def resolve(payment_id: str, listener: Operators, as_json: bool, **decided: Any) -> None:
    """Clear a payment's review flag.

    The payment continues in its state; --state corrects it. A payment that waits for its customer can also be ended
    without a flag (--state expired, canceled or failed) where it cannot be canceled, and its page can be set.
    """
    path, body = path_to("reviews", payment_id, "resolve"), ResolveReview(**decided)
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
@word_option("--outcome", OUTCOMES, "How it ended", required=True)
@reason_option
@page_option
@reference_option
@actor_option
@listener_options
def resolve_operation(operation_id: str, listener: Operators, as_json: bool, **decided: Any) -> None:
    """Resolve an operation whose outcome is unknown.

    Nothing is sent to the provider: check there first. After a create that succeeded the payment waits for its
    customer: pass what the portal shows of it, --redirect-url (the customer's page) and --provider-reference.
    """
    path, body = path_to("operations", operation_id, "resolve"), ResolveOperation(**decided)
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
