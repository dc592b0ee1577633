"""``gateway audit``: what operators did, through the running gateway; whether the trail is whole, in the store."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import click

from gateway.cli.dates import parse_date
from gateway.cli.exits import FAILED, Group
from gateway.cli.loading import Configuration, config_option, json_option, load, reading
from gateway.cli.operators import admin_url_option, ask_all, operators
from gateway.cli.output import print_json, print_table, wide_option
from gateway.core.views import rfc3339
from gateway.flows.audit_chain import Kept, Verified
from gateway.flows.audit_chain import verify as verify_chain
from gateway.web.admin.audit import AuditList

COLUMNS = ("at", "key_id", "approved_by", "act", "tenant", "payment_id", "subject", "reason")
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@click.group(cls=Group, invoke_without_command=True)
@click.option("--tenant", help="Only acts that concern this tenant.")
@click.option("--payment-id", help="Only acts that concern this payment.")
@click.option("--key", help="Only acts of the key with this id, or approved by it.")
@click.option("--since", type=parse_date, metavar="DATE", help="Only acts at this time or later.")
@click.option("--until", type=parse_date, metavar="DATE", help="Only acts before this time.")
@wide_option
@config_option
@admin_url_option
@json_option
@click.pass_context
def audit(
    context: click.Context,
    tenant: str | None,
    payment_id: str | None,
    key: str | None,
    since: datetime | None,
    until: datetime | None,
    wide: bool,
    config: Path,
    admin_url: str | None,
    as_json: bool,
) -> None:
    """List what operators did, newest first: who, what, to what, and why.

    Calls the operators' listener of the running gateway, with the key in the environment variable GATEWAY_ADMIN_KEY.
    """
    if context.invoked_subcommand is not None:
        return
    times = {name: rfc3339(at) for name, at in (("since", since), ("until", until)) if at is not None}
    chosen = {"tenant": tenant, "payment_id": payment_id, "key": key, **times, "limit": "200"}
    query = urlencode({name: value for name, value in chosen.items() if value is not None})
    found = ask_all(operators(config, admin_url), f"/admin/v1/audit?{query}", wanted=AuditList)
    if as_json:
        print_json({"data": found})
        return
    print_table(COLUMNS, ([getattr(one, column) for column in COLUMNS] for one in found), wide=wide)


def _head(_: click.Context, __: click.Parameter, text: str | None) -> Kept | None:
    found = None if text is None else _HEAD.fullmatch(text)
    if text is not None and found is None:
        raise click.BadParameter("must be a number and a hash, as gateway audit verify prints them: 17:9f86d0…")
    return None if found is None else Kept(int(found[1]), found[2])


@audit.command()
@click.option(
    "--head", callback=_head, metavar="N:HASH", help="A head that an earlier check printed: is it still there?"
)
@config_option
@json_option
@click.pass_context
def verify(context: click.Context, head: Kept | None, config: Path, as_json: bool) -> None:
    """Check that no row of the audit trail was changed, added, moved or removed, in the store itself.

    Prints the head, number and hash of the newest row: kept elsewhere and given as --head, it also proves that nobody
    who can write the file has cut off the end. Exit code 1 where something is wrong.
    """
    found = asyncio.run(_verified(load(config), head))
    shown = f"{found.head.sequence}:{found.head.hash}"
    if as_json:
        print_json({"rows": found.rows, "head": shown, "problems": found.problems})
    else:
        for problem in found.problems:
            click.echo(problem, err=True)
        click.echo(f"{'wrong' if found.problems else 'ok'}: {found.rows} rows, head {shown}")
    if found.problems:
        context.exit(FAILED)


async def _verified(loaded: Configuration, head: Kept | None) -> Verified:
    async with reading(loaded.settings) as store:
        return await verify_chain(store, loaded.settings.server.secrets, head)
