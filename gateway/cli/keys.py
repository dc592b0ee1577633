"""``gateway keys``: bearer keys for tenants and operators, whose hash is all that settings hold; webhook secrets."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets

import click

from gateway.cli.exits import Group
from gateway.cli.loading import json_option
from gateway.cli.output import print_json, print_pairs
from gateway.drivers.settings import ROLES

TENANT_ID, ADMIN_ID = "k1", "admin"
_KEY_ID = re.compile(r"[A-Za-z0-9-]{1,32}")


@click.group(cls=Group)
def keys() -> None:
    """Create keys."""


@keys.command()
@click.option("--admin", is_flag=True, help="A key for the operators' listener.")
@click.option(
    "--id",
    "key_id",
    show_default=f"{TENANT_ID}, with --admin {ADMIN_ID}",
    help="The key's id: recorded with an operator's decisions; it also tells a tenant's keys apart.",
)
@click.option("--name", help="Who has it, with --admin: shown in the audit trail.")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    show_default=ROLES[-1],
    metavar="ROLE",
    help=f"What it may do, with --admin: {', '.join(ROLES)}.",
)
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


def new_key(key_id: str) -> dict[str, str]:
    """Make a key of 256 random bits: ``gw_<key id>_<secret>`` and the hex SHA-256 of that whole text."""
    key = f"gw_{key_id}_{secrets.token_urlsafe(32)}"
    return {"id": key_id, "key": key, "sha256": hashlib.sha256(key.encode()).hexdigest()}


def new_webhook_secret() -> str:
    """Make a Standard Webhooks secret of 256 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
