"""``gateway deliveries``: webhooks of all tenants, through the running gateway."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from msgspec.structs import asdict

from gateway.cli.exits import Group
from gateway.cli.operators import Operators, ask, ask_all, listener_options, path_to, with_query
from gateway.cli.options import actor_option, date_option, payment_option, why_option, word_option
from gateway.cli.output import limit_option, print_json, print_list, print_table, wide_option
from gateway.drivers.store.deliveries import STATUSES
from gateway.web.admin.webhooks import (
    RedeliveredRange,
    RedeliverOne,
    RedeliverRange,
    TenantsDelivery,
)

COLUMNS = ("id", "tenant", "type", "payment_id", "status", "next_attempt_at", "tries", "last")
MAX_PAGE = 200
AGAIN = ("dead", "delivered")


@click.group(cls=Group)
def deliveries() -> None:
    """List webhooks, and send some again."""


@deliveries.command("list")
@click.option("--tenant", help="Only webhooks of this tenant.")
@word_option("--status", STATUSES, "Only in this status")
@payment_option("--payment-id", "Only webhooks about this payment.")
@limit_option
@listener_options
@wide_option
def list_deliveries(limit: int, wide: bool, listener: Operators, as_json: bool, **chosen: str | None) -> None:
    """List webhooks, newest first."""
    path = with_query("/admin/v1/deliveries", **chosen, limit=min(limit, MAX_PAGE))
    found = ask_all(listener, path, row=TenantsDelivery, most=limit)[:limit]
    print_list(found, COLUMNS, _row, as_json=as_json, wide=wide)


@deliveries.command()
@click.argument("delivery_ids", metavar="[ID]...", nargs=-1)
@click.option("--tenant", help="Instead of IDs: webhooks of this tenant.")
@date_option("--since", "Instead of IDs: those made at this time or later.")
@date_option("--until", "With --since: those made at this time or earlier.")
@click.option("--status", type=click.Choice(AGAIN), default="dead", show_default=True, help="With --since: only these.")
@click.option("--apply", "apply", is_flag=True, help="With --since: do it. Without it they are only counted.")
@why_option
@actor_option
@listener_options
def redeliver(
    delivery_ids: tuple[str, ...],
    since: datetime | None,
    apply: bool,
    listener: Operators,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Send webhooks again, delivered or not: the named ones, or those of a range."""
    if bool(delivery_ids) == (since is not None):
        raise click.UsageError("give IDs, or --since")
    if since is None:
        _redeliver_each(listener, delivery_ids, RedeliverOne(reason=chosen["reason"], actor=chosen["actor"]), as_json)
        return
    body = RedeliverRange(since=since, dry_run=not apply, **chosen)
    done = ask(listener, "POST", "/admin/v1/deliveries/redeliver", body=body, wanted=RedeliveredRange)
    if as_json:
        print_json(done)
    else:
        print_table(("tenant", "count", "problem"), ((one.tenant, one.count, one.problem) for one in done.data))
    if done.dry_run:
        click.echo(f"{done.count} would be sent again: pass --apply to do it", err=True)


def _redeliver_each(listener: Operators, delivery_ids: tuple[str, ...], body: RedeliverOne, as_json: bool) -> None:
    paths = [path_to("deliveries", one, "redeliver") for one in delivery_ids]
    done = [ask(listener, "POST", path, body=body, wanted=TenantsDelivery) for path in paths]
    print_list(done, COLUMNS, _row, as_json=as_json)


def _row(delivery: TenantsDelivery) -> list[object]:
    """``last``: what the endpoint answered to the newest attempt, or why there was no answer."""
    attempts = list(delivery.attempts)
    last = attempts[-1] if attempts else None
    shown = {**asdict(delivery), "tries": len(attempts), "last": last and (last.status_code or last.error)}
    return [shown[column] for column in COLUMNS]
