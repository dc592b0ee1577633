"""``gateway migrate``: bring the tables of the store up to date, or show how that would be done."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import click

from gateway.cli.loading import config_option, load
from gateway.drivers.clock import SystemClock
from gateway.drivers.store.opening import migrate_store, plan_of_store


@click.command()
@click.option("--plan", is_flag=True, help="Print the statements and change nothing.")
@config_option
def migrate(plan: bool, config: Path) -> None:
    """Bring the tables of the store, or of each of several, up to the version that this gateway needs.

    It is one transaction: interrupted, it has changed nothing, and can be run again. On PostgreSQL gateways of the
    version before may go on running unless this command says otherwise; on SQLite none may run (exit code 3), and the
    gateway does the same when it starts.
    """
    settings = load(config).settings
    for name, target in settings.stores.items():
        of_store = f" ({name})" if settings.further_stores else ""
        statements = asyncio.run(plan_of_store(target))
        if plan and statements:
            title = f"-- the tables{of_store}\n" if of_store else ""
            click.echo(title + "\n".join(f"{inspect.cleandoc(sql)};" for sql in statements))
        elif not plan:
            asyncio.run(migrate_store(target, SystemClock().now(), strict=not settings.server.development))
            click.echo(f"the tables{of_store} are up to date{' now' if statements else ''}")
