"""``gateway payments``: read the store, also while the server runs. Commands that change it are in ``review.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from gateway.cli.exits import Group
from gateway.cli.loading import config_option, json_option, load, reading, refuse_unknown_account, tenants_of
from gateway.cli.options import SUCH_AS, date_option, payment_option, word_option
from gateway.cli.output import limit_option, members_of, print_json, print_pairs, print_table, wide_option
from gateway.cli.resolve import resolve, silent, sync
from gateway.cli.review import review
from gateway.cli.timeline import Line, merge
from gateway.core.payment import State
from gateway.core.view_types import PaymentView
from gateway.core.views import payment_view
from gateway.drivers.settings import Settings
from gateway.drivers.store.reads import ListedPayment, PaymentFilter, PaymentSnapshot
from gateway.flows.payments import read

COLUMNS = ("id", "tenant", "account", "merchant_reference", "state", "amount", "currency", "created_at")
STATES = tuple(map(str, State))
TIMELINE = ("at", "kind", "what", "id", "details")


@click.group(cls=Group)
def payments() -> None:
    """Show payments, and resolve what only a person can."""


for command in (review, resolve, silent, sync):
    payments.add_command(command)


@payments.command("list")
@click.option("--tenant", help="Only payments of this tenant.")
@click.option("--account", help="Only payments of this account.")
@word_option("--state", STATES, "Only payments in this state")
@click.option("--merchant-reference", help="Only payments with this reference.")
@click.option("--provider-reference", help="Only payments with this reference of the provider.")
@date_option("--since", f"Only payments created since this time, {SUCH_AS}.")
@date_option("--until", "Only payments created at this time or earlier.")
@payment_option("--cursor", "Begin where the list before ended.")
@limit_option
@wide_option
@config_option
@json_option
def list_payments(
    tenant: str | None, account: str | None, limit: int, wide: bool, config: Path, as_json: bool, **conditions: Any
) -> None:
    """List payments, newest first."""
    settings = load(config).settings
    tenants = tenants_of(settings, tenant)
    wanted = PaymentFilter(limit=limit + 1, account=account, **conditions)
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise click.BadParameter("must not be before --since", param_hint="--until")
    found = asyncio.run(_found(settings, tenants, wanted))
    refuse_unknown_account(settings, tenants, account, found)
    shown, more = found[:limit], found[limit:]
    next_cursor = shown[-1].id if more else None
    if as_json:
        print_json({"data": shown, "next_cursor": next_cursor})
        return
    print_table(COLUMNS, ([getattr(one, column) for column in COLUMNS] for one in shown), wide=wide)
    if more:
        click.echo(f"there are more: continue with --cursor {next_cursor}", err=True)


@payments.command()
@click.argument("payment_id", metavar="ID")
@wide_option
@config_option
@json_option
def show(payment_id: str, wide: bool, config: Path, as_json: bool) -> None:
    """Show one payment and its timeline."""
    found = asyncio.run(_payment_with_timeline(load(config).settings, payment_id))
    if found is None:
        raise click.ClickException(f"no tenant in the settings has a payment {payment_id}")
    payment, lines = found
    if as_json:
        print_json({"payment": payment, "timeline": lines})
        return
    print_pairs(members_of(payment))
    click.echo()
    print_table(TIMELINE, (_row(line) for line in lines), wide=wide)


async def _found(settings: Settings, tenants: Iterable[str], wanted: PaymentFilter) -> list[PaymentView]:
    async with reading(settings) as store:
        return [_view(listed) for listed in await read.newest(store, settings, tenants, wanted)]


async def _payment_with_timeline(settings: Settings, payment_id: str) -> tuple[PaymentView, list[Line]] | None:
    async with reading(settings) as store:
        for tenant in settings.tenants:
            loaded = await store.payment(tenant, payment_id)
            if loaded is not None:
                lines = merge(
                    events=await store.events(tenant, payment_id),
                    operations=await store.operations(tenant, payment_id),
                    callbacks=await store.inbox.of_payment(tenant, payment_id),
                    deliveries=await store.deliveries.of_payment(tenant, payment_id),
                )
                return _view(loaded), lines
    return None


def _view(loaded: PaymentSnapshot | ListedPayment) -> PaymentView:
    return payment_view(loaded.payment, loaded.open_operation)


def _row(line: Line) -> tuple[str, ...]:
    details = ", ".join(f"{name}: {value}" for name, value in line.details.items())
    return line.at, line.kind, line.what, line.id, details
