"""``gateway store``: copy a whole store into another, of whatever engine, and compare two."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec.structs import asdict

from gateway.cli.exits import FAILED, Group
from gateway.cli.loading import json_option
from gateway.cli.move_tenant import move_tenant
from gateway.cli.output import print_json, print_table, wide_option
from gateway.drivers.clock import SystemClock
from gateway.drivers.settings import StoreTarget
from gateway.drivers.settings.load_context import LoadContext
from gateway.drivers.settings.store_target import store_url
from gateway.drivers.store.copying import copier
from gateway.drivers.store.copying.comparison import Compared
from gateway.drivers.store.copying.offline import alone
from gateway.drivers.store.pending_erasures import erased_file
from gateway.drivers.store.store_files import resolved_path

COLUMNS = ("table", "tenant", "rows", "hash", "rows_in_target", "hash_in_target", "is_equal")

NO_COPY = (
    "TO is not a copy, and no gateway starts on it: something was written into one of the two since the copy began;"
    " delete TO, or drop and create its database, and copy again"
)

SHOWN = 12
"""Digits of a hash in the table; JSON has them all."""


def _target(_: click.Context, __: click.Parameter, text: str) -> StoreTarget:
    """A password may be written out here: it is the caller's own command line."""
    context = LoadContext(folder=Path(), owner=os.geteuid(), environ=os.environ, development=True)
    try:
        return StoreTarget(url=store_url(text, context))
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from None


source_argument = click.argument("source", metavar="FROM", callback=_target)
target_argument = click.argument("target", metavar="TO", callback=_target)


@click.group(cls=Group)
def store() -> None:
    """Copy a store into another, compare two, and move a tenant."""


store.add_command(move_tenant)


@store.command("copy")
@source_argument
@target_argument
@wide_option
@json_option
@click.pass_context
def copy_store(context: click.Context, source: StoreTarget, target: StoreTarget, wide: bool, as_json: bool) -> None:
    """Copy the store FROM into the empty store TO, and compare them.

    Both are URLs as in store.url. A copy that was interrupted goes on when the command is run again; until it is whole
    no gateway starts on TO. Exit code 1 where the stores are not equal afterwards.
    """
    _end(context, asyncio.run(_compared(source, target, copies=True)), as_json, wide=wide, what_to_do=NO_COPY)


@store.command()
@source_argument
@target_argument
@wide_option
@json_option
@click.pass_context
def check(context: click.Context, source: StoreTarget, target: StoreTarget, wide: bool, as_json: bool) -> None:
    """Compare two stores: the rows of each table and tenant, and a hash of them.

    Exit code 1 where they differ.
    """
    _end(context, asyncio.run(_compared(source, target, copies=False)), as_json, wide=wide)


async def _compared(source: StoreTarget, target: StoreTarget, *, copies: bool) -> list[Compared]:
    if source == target or (source.path and target.path and resolved_path(source.path) == resolved_path(target.path)):
        raise click.UsageError("FROM and TO are the same store")
    now = SystemClock().now()
    async with alone(source, now) as left, alone(target, now, writing=copies) as right:
        if not copies:
            return await copier.compare(left, right)
        found = await copier.copy(left, right, now, _print_copied)
    list_of_erased = erased_file(source)
    if list_of_erased is not None and list_of_erased.exists() and erased_file(target) is None:
        click.echo(
            f"keep {list_of_erased}, and name it in store.erased_file: a backup must not bring it back", err=True
        )
    return found


def _print_copied(table: str, rows: int) -> None:
    click.echo(f"{table}: {rows} rows copied", err=True)


def _end(
    context: click.Context, found: Sequence[Compared], as_json: bool, *, wide: bool, what_to_do: str | None = None
) -> None:
    different = [one for one in found if not one.is_equal]
    if as_json:
        print_json({"is_equal": not different, "data": [{**asdict(one), "is_equal": one.is_equal} for one in found]})
    else:
        print_table(COLUMNS, map(_row, found), wide=wide)
    for one in different:
        of_tenant = f" of tenant {one.tenant}" if one.tenant else ""
        click.echo(f"the stores differ in table {one.table}{of_tenant}", err=True)
    if different:
        if what_to_do:
            click.echo(what_to_do, err=True)
        context.exit(FAILED)


def _row(one: Compared) -> Sequence[object]:
    sides = [value for side in (one.source, one.target) for value in (side.rows, side.hash[:SHOWN])]
    return (one.table, one.tenant or None, *sides, one.is_equal)
