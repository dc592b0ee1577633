"""``gateway keys``: bearer keys for tenants and operators. Settings hold only their hash."""

from __future__ import annotations

import hashlib
import re
import secrets

import click

from gateway.cli.exits import Group
from gateway.cli.loading import json_option
from gateway.cli.output import print_json, print_pairs

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
@json_option
def new(admin: bool, key_id: str | None, as_json: bool) -> None:
    """Print a new key and its SHA-256, with --admin also the line for the settings.

    Put the hash into the settings and give the key to its owner: the gateway does not keep it.
    """
    chosen = key_id or (ADMIN_ID if admin else TENANT_ID)
    if _KEY_ID.fullmatch(chosen) is None:
        raise click.BadParameter(f"must match {_KEY_ID.pattern}", param_hint="--id")
    made = new_key(chosen)
    if admin:
        made["settings"] = f"server.admin.keys: [{{id: {chosen}, sha256: {made['sha256']}}}]"
    (print_json if as_json else print_pairs)(made)


def new_key(key_id: str) -> dict[str, str]:
    """Make a key of 256 random bits: ``gw_<key id>_<secret>`` and the hex SHA-256 of that whole text."""
    key = f"gw_{key_id}_{secrets.token_urlsafe(32)}"
    return {"id": key_id, "key": key, "sha256": hashlib.sha256(key.encode()).hexdigest()}
