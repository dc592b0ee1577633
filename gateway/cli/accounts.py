"""``gateway accounts show``: the callback URLs and credentials of accounts, for the providers' settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.exits import Group
from gateway.cli.loading import Configuration, callback_url, config_option, json_option, load, tenant_named
from gateway.cli.new_account import new
from gateway.cli.operators import KEY, Operators, admin_url_option, ask
from gateway.cli.output import print_json, print_pairs
from gateway.core.secret import Secret
from gateway.drivers.settings import AccountEntry
from gateway.web.admin.keys import KeysView, KeyView

Uses = Mapping[tuple[str | None, str | None, str], KeyView]
"""By tenant, account and name, how often what is still accepted was used."""

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
@admin_url_option
@json_option
def show(
    tenant: str | None, account: str | None, reveal: bool, config: Path, admin_url: str | None, as_json: bool
) -> None:
    """Show callback URLs and credentials, and those before them that are still accepted.

    For all accounts, for those of TENANT, or for its ACCOUNT only. With GATEWAY_ADMIN_KEY the running gateway is asked
    who still uses those before.
    """
    loaded = load(config)
    chosen = _chosen(loaded, tenant, account)
    uses = _uses(config, admin_url) if any(entry.earlier for entry in chosen) and os.environ.get(KEY) else {}
    shown = [_shown(loaded, entry, reveal, uses) for entry in chosen]
    if as_json:
        print_json({"data": shown})
        return
    for one in shown:
        click.echo(f"{one['tenant']}/{one['account']}")
        print_pairs(_lines(one), indent="  ")
        for earlier in one["still_accepted"]:
            click.echo(f"  still accepted ({earlier['name']})")
            print_pairs(_lines_of_earlier(earlier), indent="    ")


def _chosen(loaded: Configuration, tenant: str | None, account: str | None) -> list[AccountEntry]:
    """The accounts that were asked for. Raises click's usage error for a name that is not there."""
    if tenant is not None:
        tenant_named(loaded.settings, tenant, "TENANT")
    found = [e for e in loaded.entries if tenant in (None, e.tenant) and account in (None, e.name)]
    if account is not None and not found:
        raise click.BadParameter(f'tenant {tenant} has no account "{account}"', param_hint="ACCOUNT")
    return found


def _uses(config: Path, admin_url: str | None) -> Uses:
    """What the running gateway says of the uses of what is still accepted."""
    answer = ask(Operators(config, admin_url), "GET", "/admin/v1/keys", wanted=KeysView)
    return {(one.tenant, one.account, one.id): one for one in answer.data}


def _shown(loaded: Configuration, entry: AccountEntry, reveal: bool, uses: Uses) -> dict[str, Any]:
    earlier = [_earlier(loaded, one, reveal, uses) for one in entry.earlier]
    return {
        "tenant": entry.tenant,
        "account": entry.name,
        "provider": entry.provider.name,
        "accepts_new": entry.accepts_new,
        **_to_enter(loaded, entry, reveal),
        "generation": entry.generation,
        "enter_anew": _differing(entry),
        "still_accepted": earlier,
    }


def _to_enter(loaded: Configuration, entry: AccountEntry, reveal: bool) -> dict[str, Any]:
    """What is entered at the provider."""
    credentials = {name: _credential(value, reveal) for name, value in entry.credentials.items()}
    return {"callback_url": callback_url(loaded.settings, entry), "credentials": credentials}


def _earlier(loaded: Configuration, entry: AccountEntry, reveal: bool, uses: Uses) -> dict[str, Any]:
    """An account as it was before. Its uses are None where the running gateway was not asked."""
    used = uses.get((entry.tenant, entry.name, entry.name_of_earlier))
    return {
        "name": entry.name_of_earlier,
        "generation": entry.generation,
        **_to_enter(loaded, entry, reveal),
        "uses": used and used.uses,
        "last_used": used and used.last_used,
    }


def _differing(entry: AccountEntry) -> list[str]:
    """What must be entered again at a provider that still has the earlier values."""
    now, *before = ({"callback_url": one.endpoint_id, **one.credentials} for one in (entry, *entry.earlier))
    return [name for name, value in now.items() if any(one.get(name) != value for one in before)]


def _credential(value: str | Secret, reveal: bool) -> str | None:
    if isinstance(value, Secret):
        return value.reveal() if reveal else None
    return value


def _lines(shown: Mapping[str, Any]) -> dict[str, object]:
    to_enter = {"enter anew": ", ".join(shown["enter_anew"])} if shown["enter_anew"] else {}
    return {
        "provider": shown["provider"],
        "accepts_new": shown["accepts_new"],
        **_lines_to_enter(shown),
        **to_enter,
    }


def _lines_of_earlier(shown: Mapping[str, Any]) -> dict[str, object]:
    last = f", last {shown['last_used']}" if shown["last_used"] else ""
    used = f"set {KEY} to see it" if shown["uses"] is None else f"{shown['uses']} times since the start{last}"
    return {**_lines_to_enter(shown), "used": used}


def _lines_to_enter(shown: Mapping[str, Any]) -> dict[str, object]:
    credentials = {name: HIDDEN if value is None else value for name, value in shown["credentials"].items()}
    return {"callback_url": shown["callback_url"] or "(known when the server runs: server.port is 0)", **credentials}
