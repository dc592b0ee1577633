"""``gateway backup`` and ``gateway recover``: copy the store of a running server, and recover from a copy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from gateway.cli.loading import Configuration, config_option, json_option, load, refuse_to_send
from gateway.cli.output import print_one
from gateway.cli.user_name import user_name
from gateway.drivers.clock import SystemClock
from gateway.drivers.store.backup import back_up, check_whole
from gateway.drivers.store.metadata import USED_WITH, delete_timestamps
from gateway.drivers.store.opening import open_stores, refuse_living_nodes, require_tables
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.audit import COMMAND_LINE, Act, Actor
from gateway.flows.background import startup
from gateway.flows.background.startup import Recovered
from gateway.flows.runtime import Gateway

NOT_POSTGRESQL = (
    "the store is a PostgreSQL database, which its own tools copy: pg_basebackup and its archive of the write-ahead log"
    " (docs/scaling.md)"
)


@click.command()
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option("--store", metavar="NAME", help="Of several stores the one that is copied.")
@config_option
@json_option
def backup(target: Path, force: bool, store: str | None, config: Path, as_json: bool) -> None:
    """Copy the store to TARGET, also while the server is running.

    The copy is checked, durable and marked as a backup: the gateway starts on it only after gateway recover --restored.
    """
    at, stores = SystemClock().now(), load(config).settings.stores
    wanted = store or (next(iter(stores)) if len(stores) == 1 else None)
    if wanted not in stores:
        raise click.UsageError(f"--store must be one of {', '.join(stores)}: a backup copies one store")
    source = stores[wanted].path
    if source is None:
        raise click.UsageError(NOT_POSTGRESQL)
    made = back_up(source, target, at=at, overwrite=force)
    print_one(made, as_json=as_json)


@click.command()
@click.option(
    "--restored", is_flag=True, help="The store was restored from a backup: it is older than the providers' records."
)
@click.option(
    "--forget-secret", is_flag=True, help="The server.secret that the store was last used with is lost: take another."
)
@config_option
@json_option
def recover(restored: bool, forget_secret: bool, config: Path, as_json: bool) -> None:
    """Check the store and recover what an interrupted gateway left open, without starting it.

    Operations that were being sent become unknown, and nothing is sent. With --restored every open payment is looked
    up at the next start, before anything else.
    """
    print_one(asyncio.run(_recover(load(config), restored=restored, forget_secret=forget_secret)), as_json=as_json)


async def _recover(loaded: Configuration, *, restored: bool, forget_secret: bool) -> Recovered:
    for target in loaded.settings.stores.values():
        await require_tables(target)
    store = await open_stores(loaded.settings)
    try:
        for target in loaded.settings.stores.values():
            if target.path is not None:
                check_whole(target.path)
        await refuse_living_nodes(store, SystemClock().now())
        gw = Gateway(settings=loaded.settings, store=store, send=refuse_to_send, clock=SystemClock())
        await startup.check_names(gw)
        if forget_secret:
            for part in store.parts:
                await part.commit(NO_TENANT, [delete_timestamps(USED_WITH)])
        act = Act(name="recover", by=Actor(key_id=COMMAND_LINE, given=user_name()), details={"restored": restored})
        return await (startup.recover_restored(gw, act) if restored else startup.begin(gw, act))
    finally:
        await store.close()
