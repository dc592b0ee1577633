"""``gateway find``: find payments by whatever an operator has at hand, through the running gateway."""

from __future__ import annotations

from datetime import datetime

import click
from msgspec.structs import replace

from gateway.cli.operators import Operators, ask, listener_options, with_query
from gateway.cli.options import SUCH_AS, date_option, payment_option, word_option
from gateway.cli.output import limit_option, members_of, print_json, print_pairs, print_table, wide_option
from gateway.cli.payments import COLUMNS, STATES
from gateway.web.admin.search import FoundPayments
from gateway.web.query_parameters import MAX_LIMIT


@click.command()
@click.argument("text", required=False)
@click.option("--tenant", help="Only payments of this tenant.")
@word_option("--state", STATES, "Only payments in this state")
@click.option("--error", metavar="CODE", help="Only payments that ever failed with this code.")
@click.option("--amount-min", metavar="AMOUNT", help="Only payments of this amount or more, in any currency.")
@click.option("--amount-max", metavar="AMOUNT", help="Only payments of this amount or less.")
@date_option("--since", f"Only payments created since this time, {SUCH_AS}.")
@date_option("--until", "Only payments created at this time or earlier.")
@limit_option
@payment_option("--cursor", "Begin where the list before ended.")
@wide_option
@listener_options
def find(
    text: str | None,
    limit: int,
    cursor: str | None,
    wide: bool,
    listener: Operators,
    as_json: bool,
    **conditions: str | datetime | None,
) -> None:
    """Find payments, newest first, by whatever you have.

    TEXT is a payment's id, a merchant's or provider's reference, a transaction's, a request's, an operation's, a
    callback's or a webhook's id, an idempotency key, a customer's id, e-mail address or phone number, or an amount.
    """
    found = _found(listener, {"q": text, **conditions}, cursor, limit)
    if as_json:
        print_json(found)
        return
    if found.data or not found.refused_requests:
        print_table(COLUMNS, ([getattr(one, column) for column in COLUMNS] for one in found.data), wide=wide)
    for refused in found.refused_requests:
        print_pairs(members_of(refused))
    if found.next_cursor is not None:
        click.echo(f"there are more: continue with --cursor {found.next_cursor}", err=True)
    if found.not_indexed:
        click.echo(f"the search index is behind by {found.not_indexed} events: ask again soon", err=True)


def _found(
    listener: Operators, query: dict[str, str | datetime | None], cursor: str | None, limit: int
) -> FoundPayments:
    """As many rows as are wanted, in as many pages as it takes."""
    found = FoundPayments(data=[], next_cursor=cursor)
    while True:
        most = min(limit - len(found.data), MAX_LIMIT)
        path = with_query("/admin/v1/search", **query, cursor=found.next_cursor, limit=most)
        page = ask(listener, "GET", path, wanted=FoundPayments)
        found = replace(page, data=[*found.data, *page.data])
        if found.next_cursor is None or len(found.data) == limit:
            return found
