"""``gateway inbox``: show stored callbacks, and have the running gateway process some of them again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import click

from gateway.cli.dates import parse_date
from gateway.cli.exits import Group
from gateway.cli.loading import config_option, json_option, load, reading, tenants_of
from gateway.cli.operators import Operators, admin_url_option, ask, ask_all, operators
from gateway.cli.output import as_line, print_json, print_pairs, print_table, wide_option
from gateway.cli.review import actor_option
from gateway.core.views import rfc3339
from gateway.drivers.settings import Settings
from gateway.drivers.store.inbox import VERDICTS, InboxFilter, InboxRow, StoredCallback
from gateway.flows.callbacks import reprocess as callbacks
from gateway.flows.masks import Masks
from gateway.web.admin.callbacks import CallbackList, ReprocessBody, ReprocessedView, callback_detail, callback_view

COLUMNS = ("id", "received_at", "tenant", "account", "verdict", "reason", "detail", "payment_id")
RESULTS = ("id", "verdict", "reason", "detail", "changed", "payment_id", "state_before", "state_after")
PAGE = 200
"""Rows asked for at a time."""


@click.group(cls=Group)
def inbox() -> None:
    """Show stored callbacks, and process them again."""


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """The options that choose callbacks."""
    for option in (
        click.option(
            "--since",
            type=parse_date,
            metavar="DATE",
            help="Only callbacks received since this time, such as 2026-01-31 (UTC) or 2026-01-31T12:00:00Z.",
        ),
        click.option("--account", help="Only callbacks to this account."),
        click.option("--tenant", help="Only callbacks of this tenant."),
    ):
        command = option(command)
    return command


@inbox.command("list")
@_filters
@click.option(
    "--verdict",
    type=click.Choice(VERDICTS),
    metavar="VERDICT",
    help=f"Only callbacks with this verdict: {', '.join(VERDICTS)}.",
)
@click.option("--payment-id", help="Only callbacks about this payment.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    metavar="N",
    help="Maximum number of rows.",
)
@wide_option
@config_option
@json_option
def list_callbacks(
    tenant: str | None,
    account: str | None,
    since: datetime | None,
    verdict: str | None,
    payment_id: str | None,
    limit: int,
    wide: bool,
    config: Path,
    as_json: bool,
) -> None:
    """List stored callbacks, newest first."""
    settings = load(config).settings
    tenants = tenants_of(settings, tenant)
    wanted = InboxFilter(limit=limit, account=account, verdict=verdict, payment_id=payment_id, since=since)
    found = [callback_view(row) for row in asyncio.run(_newest(settings, tenants, wanted))]
    if as_json:
        print_json({"data": found})
        return
    print_table(COLUMNS, ([getattr(one, column) for column in COLUMNS] for one in found), wide=wide)


@inbox.command()
@click.argument("inbox_id", metavar="ID")
@config_option
@json_option
def show(inbox_id: str, config: Path, as_json: bool) -> None:
    """Show one stored callback as it was received. Of headers with secrets a keyed hash is shown."""
    settings = load(config).settings
    row = asyncio.run(_found(settings, inbox_id))
    if row is None:
        raise click.ClickException(f"no tenant in the settings has a callback {inbox_id}")
    shown = callback_detail(row, Masks(settings))
    if as_json:
        print_json(shown)
        return
    print_pairs({name: as_line(getattr(shown, name)) for name in shown.__struct_fields__})


def _changing(command: Callable[..., None]) -> Callable[..., None]:
    """The options of commands that process callbacks again."""
    for option in (
        json_option,
        config_option,
        admin_url_option,
        actor_option,
        click.option("--apply", "apply", is_flag=True, help="Apply the changes. Without it they are only shown."),
    ):
        command = option(command)
    return command


@inbox.command()
@click.argument("inbox_ids", metavar="ID...", nargs=-1, required=True)
@_changing
def replay(
    inbox_ids: tuple[str, ...], apply: bool, actor: str, admin_url: str | None, config: Path, as_json: bool
) -> None:
    """Apply the events of stored callbacks again, through the running gateway.

    An event that was applied before changes nothing.
    """
    _process_again(operators(config, admin_url), "replay", inbox_ids, _order(apply, actor), as_json)


@inbox.command()
@click.argument("inbox_ids", metavar="[ID]...", nargs=-1)
@_filters
@_changing
def reverify(
    inbox_ids: tuple[str, ...],
    tenant: str | None,
    account: str | None,
    since: datetime | None,
    apply: bool,
    actor: str,
    admin_url: str | None,
    config: Path,
    as_json: bool,
) -> None:
    """Verify refused callbacks again, with the settings of the running gateway.

    The named ones, or all refused callbacks of an account, oldest first. A callback whose sender did not have the
    account's secret stays refused.
    """
    listener = operators(config, admin_url)
    if bool(inbox_ids) == bool(account or since or tenant):
        raise click.UsageError("give IDs, or --account and --since")
    wanted = {"tenant": tenant, "account": account, "since": None if since is None else rfc3339(since)}
    chosen = inbox_ids or _refused(listener, {name: value for name, value in wanted.items() if value is not None})
    _process_again(listener, "reverify", chosen, _order(apply, actor), as_json)


def _order(apply: bool, actor: str) -> ReprocessBody:
    return ReprocessBody(dry_run=not apply, actor=actor)


def _process_again(listener: Operators, how: str, ids: Iterable[str], order: ReprocessBody, as_json: bool) -> None:
    """Process each callback by itself: print which ones failed, and go on with the others."""
    done: list[ReprocessedView] = []
    refused: list[str] = []
    for one in ids:
        path = f"/admin/v1/inbox/{quote(one, safe='')}/{how}"
        try:
            done.append(ask(listener, "POST", path, body=order, wanted=ReprocessedView))
        except click.ClickException as problem:
            refused.append(f"{one}: {problem.message}")
    if as_json:
        print_json({"data": done})
    else:
        print_table(RESULTS, ([getattr(one, column) for column in RESULTS] for one in done))
    if order.dry_run:
        click.echo("nothing was changed: pass --apply to apply it", err=True)
    if refused:
        raise click.ClickException("\n".join(refused))


def _refused(listener: Operators, wanted: dict[str, str]) -> list[str]:
    """The ids of refused callbacks, oldest first: the order in which they arrived."""
    query = urlencode({**wanted, "verdict": "refused", "limit": str(PAGE)})
    return [row.id for row in ask_all(listener, f"/admin/v1/inbox?{query}", wanted=CallbackList)][::-1]


async def _newest(settings: Settings, tenants: list[str], wanted: InboxFilter) -> list[InboxRow]:
    async with reading(settings) as store:
        return await callbacks.newest(store, tenants, wanted)


async def _found(settings: Settings, inbox_id: str) -> StoredCallback | None:
    async with reading(settings) as store:
        return await store.inbox.find(list(settings.tenants), inbox_id)
