"""``gateway inbox``: show stored callbacks, and have the running gateway process some of them again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from gateway.cli.exits import Group
from gateway.cli.loading import config_option, json_option, load, reading, refuse_unknown_account, tenants_of
from gateway.cli.operators import Operators, ask, listener_options, path_to
from gateway.cli.options import (
    SUCH_AS,
    actor_option,
    combined_options,
    date_option,
    payment_option,
    why_option,
    word_option,
)
from gateway.cli.output import limit_option, print_json, print_list, print_one, print_table, wide_option
from gateway.drivers.settings import Settings
from gateway.drivers.store.inbox import VERDICTS, InboxFilter, InboxRow, StoredCallback
from gateway.drivers.store.rows import newest_of
from gateway.flows.masks import Masks
from gateway.web.admin.callbacks import (
    NotReprocessed,
    ReprocessBody,
    ReprocessedRange,
    ReprocessedView,
    ReprocessRange,
    callback_detail,
    callback_view,
)

COLUMNS = ("id", "received_at", "tenant", "account", "verdict", "reason", "detail", "payment_id")
RESULTS = ("id", "verdict", "reason", "detail", "changed", "payment_id", "state_before", "state_after")

Processed = tuple[Counter[str], list[ReprocessedView], list[NotReprocessed]]
"""How many of a range came to what, what each came to, and which failed."""

_filters = combined_options(
    click.option("--tenant", help="Only callbacks of this tenant."),
    click.option("--account", help="Only callbacks to this account."),
    date_option("--since", f"Only callbacks received since this time, {SUCH_AS}."),
)
_processing = combined_options(
    click.argument("inbox_ids", metavar="[ID]...", nargs=-1),
    _filters,
    date_option("--until", "Only callbacks received before this time."),
    click.option("--apply", "apply", is_flag=True, help="Apply the changes. Without it they are only shown."),
    why_option,
    actor_option,
    listener_options,
)
"""Of commands that process callbacks again."""


@click.group(cls=Group)
def inbox() -> None:
    """Show stored callbacks, and process them again."""


@inbox.command("list")
@_filters
@word_option("--verdict", VERDICTS, "Only callbacks with this verdict")
@payment_option("--payment-id", "Only callbacks about this payment.")
@limit_option
@wide_option
@config_option
@json_option
def list_callbacks(tenant: str | None, limit: int, wide: bool, config: Path, as_json: bool, **conditions: Any) -> None:
    """List stored callbacks, newest first."""
    settings = load(config).settings
    tenants = tenants_of(settings, tenant)
    wanted = InboxFilter(limit=limit, **conditions)
    found = [callback_view(row) for row in asyncio.run(_newest(settings, tenants, wanted))]
    refuse_unknown_account(settings, tenants, wanted.account, found)
    print_list(found, COLUMNS, as_json=as_json, wide=wide)


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
    print_one(shown, as_json=as_json)


@inbox.command()
@_processing
def replay(inbox_ids: tuple[str, ...], listener: Operators, as_json: bool, **chosen: Any) -> None:
    """Apply the events of stored callbacks again, through the running gateway.

    The named ones, or all proved callbacks of a range, oldest first. An event that was applied before changes nothing.
    """
    _process_again(listener, "replay", inbox_ids, as_json, **chosen)


@inbox.command()
@_processing
def reverify(inbox_ids: tuple[str, ...], listener: Operators, as_json: bool, **chosen: Any) -> None:
    """Verify refused callbacks again, with the settings of the running gateway.

    The named ones, or all refused callbacks of a range, oldest first. A callback whose sender did not have the
    account's secret stays refused.
    """
    _process_again(listener, "reverify", inbox_ids, as_json, **chosen)


def _process_again(
    listener: Operators,
    how: str,
    inbox_ids: Sequence[str],
    as_json: bool,
    *,
    apply: bool,
    actor: str,
    reason: str | None,
    **filters: Any,
) -> None:
    """Process each callback by itself: print which ones failed, and go on with the others."""
    if bool(inbox_ids) == any(filters.values()):
        raise click.UsageError("give IDs, or --account and --since")
    body = ReprocessRange(dry_run=not apply, actor=actor, reason=reason, **filters)
    counts, done, failed = _each(listener, how, inbox_ids, body) if inbox_ids else _range(listener, how, body)
    if as_json:
        print_json({"data": done, "counts": counts, "failed": failed})
    else:
        print_table(RESULTS, ([getattr(one, column) for column in RESULTS] for one in done))
    if counts:
        click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), err=True)
    if not apply:
        click.echo("nothing was changed: pass --apply to apply it", err=True)
    if failed:
        raise click.ClickException("\n".join(f"{one.id}: {one.problem}" for one in failed))


def _each(listener: Operators, how: str, inbox_ids: Iterable[str], chosen: ReprocessRange) -> Processed:
    body = ReprocessBody(dry_run=chosen.dry_run, actor=chosen.actor, reason=chosen.reason)
    done: list[ReprocessedView] = []
    failed: list[NotReprocessed] = []
    for one in inbox_ids:
        try:
            done.append(ask(listener, "POST", path_to("inbox", one, how), body=body, wanted=ReprocessedView))
        except click.ClickException as problem:
            failed.append(NotReprocessed(id=one, problem=problem.message))
    return Counter(), done, failed


def _range(listener: Operators, how: str, body: ReprocessRange) -> Processed:
    counts: Counter[str] = Counter()
    done: list[ReprocessedView] = []
    failed: list[NotReprocessed] = []
    while True:
        page = ask(listener, "POST", path_to("inbox", how), body=body, wanted=ReprocessedRange)
        counts.update(page.counts)
        done += page.data
        failed += page.failed
        if page.next_cursor is None:
            return counts, done, failed
        body = replace(body, cursor=page.next_cursor)


async def _newest(settings: Settings, tenants: list[str], wanted: InboxFilter) -> list[InboxRow]:
    async with reading(settings) as store:
        return await newest_of(tenants, store.inbox.newest, wanted)


async def _found(settings: Settings, inbox_id: str) -> StoredCallback | None:
    async with reading(settings) as store:
        return await store.inbox.find(list(settings.tenants), inbox_id)
