"""``gateway audit``: what operators did, through the running gateway; whether the trail is whole, in the store."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import click

from gateway.cli.exits import FAILED, Group
from gateway.cli.loading import Configuration, config_option, json_option, load, reading
from gateway.cli.operators import Operators, ask_all, listener_options, with_query
from gateway.cli.options import date_option, payment_option
from gateway.cli.output import print_json, print_list, wide_option
from gateway.flows.audit_chain import Kept, Verified
from gateway.flows.audit_chain import verify as verify_chain
from gateway.web.admin.audit import AuditView

COLUMNS = ("at", "key_id", "approved_by", "act", "tenant", "payment_id", "subject", "reason")
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@click.group(cls=Group, invoke_without_command=True)
@click.option("--tenant", help="Only acts that concern this tenant.")
@payment_option("--payment-id", "Only acts that concern this payment.")
@click.option("--key", help="Only acts of the key with this id, or approved by it.")
@date_option("--since", "Only acts at this time or later.")
@date_option("--until", "Only acts before this time.")
@wide_option
@listener_options
@click.pass_context
def audit(context: click.Context, /, wide: bool, listener: Operators, as_json: bool, **chosen: Any) -> None:
    """List what operators did, newest first: who, what, to what, and why.

    Calls the operators' listener of the running gateway, with the key in the environment variable GATEWAY_ADMIN_KEY.
    """
    if context.invoked_subcommand is not None:
        return
    found = ask_all(listener, with_query("/admin/v1/audit", **chosen, limit=200), row=AuditView)
    print_list(found, COLUMNS, as_json=as_json, wide=wide)


def _head(_: click.Context, __: click.Parameter, text: str | None) -> Kept | None:
    found = None if text is None else _HEAD.fullmatch(text)
    if text is not None and found is None:
        raise click.BadParameter("must be a number and a hash, as gateway audit verify prints them: 17:9f86d0…")
    return None if found is None else Kept(int(found[1]), found[2])


@audit.command()
@click.option(
    "--head", callback=_head, metavar="N:HASH", help="A head that an earlier check printed: is it still there?"
)
@click.option("--store", metavar="NAME", help="Of several stores the one whose trail is checked. Default: each.")
@config_option
@json_option
@click.pass_context
def verify(context: click.Context, head: Kept | None, store: str | None, config: Path, as_json: bool) -> None:
    """Check that no row of the audit trail was changed, added, moved or removed, in the store itself.

    Prints the head, number and hash of the newest row: kept elsewhere and given as --head, it also proves that nobody
    who can write the file has cut off the end. Exit code 1 where something is wrong.
    """
    found = asyncio.run(_verified(load(config), head, store))
    shown = {name: _shown(one) for name, one in found.items()}
    if as_json:
        print_json(next(iter(shown.values())) if len(shown) == 1 else {"stores": shown})
    for name, one in found.items() if not as_json else ():
        label = "" if len(found) == 1 else f"store {name}: "
        for problem in one.problems:
            click.echo(f"{label}{problem}", err=True)
        click.echo(f"{label}{'wrong' if one.problems else 'ok'}: {one.rows} rows, head {shown[name]['head']}")
    if any(one.problems for one in found.values()):
        context.exit(FAILED)


def _shown(found: Verified) -> dict[str, Any]:
    head = f"{found.head.sequence}:{found.head.hash}"
    return {"rows": found.rows, "head": head, "problems": found.problems}


async def _verified(loaded: Configuration, head: Kept | None, wanted: str | None) -> dict[str, Verified]:
    """By store, of the one that is wanted or of all: each has a trail of its own."""
    names, secrets = [*loaded.settings.stores], loaded.settings.server.secrets
    if wanted is not None and wanted not in names:
        raise click.BadParameter(f"must be one of {', '.join(names)}", param_hint="--store")
    if head is not None and wanted is None and len(names) > 1:
        raise click.UsageError("--head belongs to one store's trail: name that store with --store")
    async with reading(loaded.settings) as store:
        parts = dict(zip(names, store.parts, strict=True))
        chosen = {name: part for name, part in parts.items() if wanted in (None, name)}
        return {name: await verify_chain(part, secrets, head) for name, part in chosen.items()}
