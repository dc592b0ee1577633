"""``gateway payments resolve``, ``silent`` and ``sync``: state an outcome, list payments without news, look many up."""

from __future__ import annotations

from typing import Any, get_type_hints

import click

from gateway.cli.operators import Operators, ask, ask_all, listener_options, path_to, with_query
from gateway.cli.options import (
    actor_option,
    amount_option,
    date_option,
    reason_option,
    reference_option,
    why_option,
    word_option,
    words_of,
)
from gateway.cli.output import print_json, print_list, print_table, wide_option
from gateway.cli.review import print_payment
from gateway.core.view_types import PaymentView
from gateway.web.admin.payments import QueuedView, ResolvePayment, SyncPayments

STATES = tuple(words_of(get_type_hints(ResolvePayment)["state"]))
SILENT_COLUMNS = ("id", "tenant", "account", "merchant_reference", "amount", "currency", "created_at", "expires_at")


@click.command()
@click.argument("payment_id", metavar="ID")
@word_option("--state", STATES, "Where it stands at the provider", required=True)
@reason_option
@reference_option
@amount_option("--amount-captured", "What was captured in all; without it what is due.")
@amount_option("--amount-refunded", "What has gone back in all; without it as on record.")
@click.option("--version", type=click.IntRange(1), metavar="N", help="Only while the payment is in this version.")
@actor_option
@listener_options
def resolve(payment_id: str, listener: Operators, as_json: bool, **evidence: Any) -> None:
    """Enter where a payment stands, by what the provider's portal shows.

    No review need be open, and nothing is sent to the provider. A review flag is cleared, and an operation without an
    outcome ends as the evidence shows. The tenant is told by webhook.
    """
    path, body = path_to("payments", payment_id, "resolve"), ResolvePayment(**evidence)
    print_payment(ask(listener, "POST", path, body=body, wanted=PaymentView), as_json)


since_option = date_option("--since", "Only payments made at this time or later.")
until_option = date_option("--until", "Only payments made before this time.")


@click.command()
@click.option("--tenant", help="Only payments of this tenant.")
@since_option
@until_option
@listener_options
@wide_option
def silent(wide: bool, listener: Operators, as_json: bool, **chosen: Any) -> None:
    """List payments that expired without a word of their provider, newest first.

    Their only callback never came, and the provider cannot be asked: look in its portal, then use resolve.
    """
    found = ask_all(listener, with_query("/admin/v1/payments/silent", **chosen), row=PaymentView)
    print_list(found, SILENT_COLUMNS, as_json=as_json, wide=wide)


@click.command()
@click.argument("payment_ids", metavar="[ID]...", nargs=-1)
@click.option("--tenant", help="Only payments of this tenant.")
@click.option("--account", help="Only payments of this account.")
@click.option("--state", type=click.Choice(("created", *STATES)), metavar="STATE", help="Only payments in this state.")
@since_option
@until_option
@click.option("--apply", "apply", is_flag=True, help="Without IDs: queue them. Without it they are only counted.")
@why_option
@actor_option
@listener_options
def sync(payment_ids: tuple[str, ...], listener: Operators, as_json: bool, apply: bool, **chosen: Any) -> None:
    """Look at payments again, where their provider can be asked: the named ones, or those of a range.

    They are queued, and each account's are looked at one after the other; payments show has the result.
    """
    body = SyncPayments(payment_ids=list(payment_ids) or None, **chosen, dry_run=not (apply or payment_ids))
    done = ask(listener, "POST", "/admin/v1/payments/sync", body=body, wanted=QueuedView)
    if as_json:
        print_json(done)
    else:
        print_table(("tenant", "account", "count"), ((one.tenant, one.account, one.count) for one in done.data))
    if done.dry_run:
        click.echo(f"{done.queued} would be looked up: pass --apply to do it", err=True)
