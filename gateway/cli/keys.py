"""``gateway keys``: bearer keys for tenants and operators, whose hash is all that settings hold; webhook secrets."""

from __future__ import annotations

import json
import re
from operator import attrgetter

import click

from gateway.cli.exits import Group
from gateway.cli.loading import json_option
from gateway.cli.new_credentials import ADMIN_ID, TENANT_ID, new_key, new_webhook_secret
from gateway.cli.operators import Operators, ask, listener_options, with_query
from gateway.cli.options import word_option
from gateway.cli.output import print_json, print_list, print_pairs, wide_option
from gateway.cli.rotate_keys import rotate
from gateway.drivers.settings import ROLES
from gateway.web.admin.keys import KeysView

MEMBERS = ("kind", "tenant", "account", "id", "expires", "uses", "last_used")
COLUMNS = (*MEMBERS[:-1], "last used")

_KEY_ID = re.compile(r"[A-Za-z0-9-]{1,32}")


@click.group(cls=Group)
def keys() -> None:
    """Create and replace keys, and see who uses which."""


@keys.command()
@click.option("--admin", is_flag=True, help="A key for the operators' listener.")
@click.option(
    "--id",
    "key_id",
    show_default=f"{TENANT_ID}, with --admin {ADMIN_ID}",
    help="The key's id: recorded with an operator's decisions; it also tells a tenant's keys apart.",
)
@click.option("--name", help="Who has it, with --admin: shown in the audit trail.")
@word_option("--role", ROLES, "What it may do, with --admin", show_default=ROLES[-1])
@click.option("--webhook", is_flag=True, help="A secret that signs a tenant's webhooks, instead of a key.")
@json_option
def new(admin: bool, key_id: str | None, name: str | None, role: str | None, webhook: bool, as_json: bool) -> None:
    """Print a new key and its SHA-256, with --admin also the line for the settings; or a webhook secret.

    Put the hash into the settings and give the key to its owner: the gateway does not keep it. A webhook secret belongs
    into a file (mode 0600) or a variable that the settings name, and to the tenant.
    """
    print_made = print_json if as_json else print_pairs
    if webhook:
        if admin or key_id is not None:
            raise click.UsageError("--webhook makes no key: leave out --admin and --id")
        print_made({"secret": new_webhook_secret()})
        return
    if not admin and (name is not None or role is not None):
        raise click.UsageError("only an operator's key has a --name and a --role: add --admin")
    chosen = key_id or (ADMIN_ID if admin else TENANT_ID)
    if _KEY_ID.fullmatch(chosen) is None:
        raise click.BadParameter(f"must match {_KEY_ID.pattern}", param_hint="--id")
    made = new_key(chosen)
    if admin:
        named = "" if name is None else f"name: {json.dumps(name, ensure_ascii=False)}, "
        made["settings"] = (
            f"server.admin.keys: [{{id: {chosen}, {named}sha256: {made['sha256']}, role: {role or ROLES[-1]}}}]"
        )
    print_made(made)


@keys.command("list")
@click.option("--tenant", metavar="TENANT", help="Only keys and accounts of this tenant.")
@listener_options
@wide_option
def list_(tenant: str | None, listener: Operators, as_json: bool, wide: bool) -> None:
    """List who uses which key, in the running gateway.

    Keys of operators and tenants, and of accounts what is still accepted beside today's, each with its uses since the
    start.
    """
    found = ask(listener, "GET", with_query("/admin/v1/keys", tenant=tenant), wanted=KeysView)
    print_list(found.data, COLUMNS, attrgetter(*MEMBERS), as_json=as_json, wide=wide)


keys.add_command(rotate)
