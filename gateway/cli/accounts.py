"""``gateway accounts show``: the callback URLs and credentials of accounts, for the providers' settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.exits import Group
from gateway.cli.loading import Configuration, callback_url, config_option, json_option, load
from gateway.cli.new_account import new
from gateway.cli.output import print_json, print_pairs
from gateway.core.secret import Secret
from gateway.drivers.settings import AccountEntry

HIDDEN = "(hidden, see --reveal)"


@click.group(cls=Group)
def accounts() -> None:
    """Add and show tenants' accounts."""


accounts.add_command(new)


@accounts.command()
@click.argument("tenant", required=False)
@click.argument("account", required=False)
@click.option("--reveal", is_flag=True, help="Print secret credentials too.")
@config_option
@json_option
def show(tenant: str | None, account: str | None, reveal: bool, config: Path, as_json: bool) -> None:
    """Show callback URLs and credentials.

    For all accounts, for those of TENANT, or for its ACCOUNT only.
    """
    loaded = load(config)
    shown = [_shown(loaded, entry, reveal) for entry in _chosen(loaded, tenant, account)]
    if as_json:
        print_json({"data": shown})
        return
    for one in shown:
        click.echo(f"{one['tenant']}/{one['account']}")
        print_pairs(_lines(one), indent="  ")


def _chosen(loaded: Configuration, tenant: str | None, account: str | None) -> list[AccountEntry]:
    """The accounts that were asked for. Raises click's usage error for a name that is not there."""
    if tenant is not None and tenant not in loaded.settings.tenants:
        raise click.BadParameter(f'there is no tenant "{tenant}"', param_hint="TENANT")
    found = [e for e in loaded.entries if tenant in (None, e.tenant) and account in (None, e.name)]
    if account is not None and not found:
        raise click.BadParameter(f'tenant {tenant} has no account "{account}"', param_hint="ACCOUNT")
    return found


def _shown(loaded: Configuration, entry: AccountEntry, reveal: bool) -> dict[str, Any]:
    return {
        "tenant": entry.tenant,
        "account": entry.name,
        "provider": entry.provider.name,
        "accepts_new": entry.accepts_new,
        "callback_url": callback_url(loaded.settings, entry),
        "credentials": {name: _credential(value, reveal) for name, value in entry.credentials.items()},
    }


def _credential(value: str | Secret, reveal: bool) -> str | None:
    if isinstance(value, Secret):
        return value.reveal() if reveal else None
    return value


def _lines(shown: Mapping[str, Any]) -> dict[str, object]:
    credentials = {name: HIDDEN if value is None else value for name, value in shown["credentials"].items()}
    return {
        "provider": shown["provider"],
        "accepts_new": "yes" if shown["accepts_new"] else "no",
        "callback_url": shown["callback_url"] or "(known when the server runs: server.port is 0)",
        **credentials,
    }
