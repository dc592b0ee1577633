"""``gateway accounts new``: put an account into its tenant's file, and say what the provider must be told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from gateway.cli.edited_settings import Edit, edited_text, editing, load_edited
from gateway.cli.loading import Configuration, callback_url, config_option, json_option, tenant_named
from gateway.cli.output import print_one
from gateway.core.secret import Secret
from gateway.drivers.settings import AccountEntry, LocatedMessages
from gateway.drivers.settings.file_changes import replace_text
from gateway.drivers.settings.problems import Problem
from gateway.drivers.settings.yaml_file import as_data, compose

NAME, SET = "TENANT/ACCOUNT", "KEY=VALUE"


@click.command()
@click.argument("name", metavar=NAME)
@click.option("--provider", required=True, metavar="PROVIDER", help="As `gateway plugins list` prints it.")
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar=SET,
    help="A key of the account's config; the value is a text, a [list] or a {mapping}. May be repeated.",
)
@click.argument("more", nargs=-1, metavar=f"[{SET}]...")
@config_option
@json_option
def new(name: str, provider: str, given: tuple[str, ...], more: tuple[str, ...], config: Path, as_json: bool) -> None:
    """Add an account to its tenant's file, with a deposit method where the provider needs one.

    Prints the callback URL and the credentials that the provider must be told. The settings are checked as they would
    be, before the file is changed.
    """
    members = _members([*given, *more])
    entry = {"provider": provider} | ({"config": members} if members else {})
    with editing(config) as loaded:
        tenant, account = _new_name(loaded, name)
        file, made = _added(loaded, tenant, account, entry)
    found: dict[str, object] = {
        "tenant": tenant,
        "account": account,
        "provider": provider,
        "file": os.path.relpath(file, loaded.settings.source.parent),
        "deposit_method": next(iter(made.deposit_methods), None),
        "callback_url": callback_url(loaded.settings, made),
    }
    credentials = {name: _revealed(value) for name, value in made.credentials.items()}
    print_one({**found, **credentials}, as_json=as_json)


def _new_name(loaded: Configuration, name: str) -> tuple[str, str]:
    """Tenant and account. Raises click's usage error for a tenant that is not there, its exception for what exists."""
    tenant, slash, account = name.partition("/")
    if not slash:
        raise click.BadParameter(f"must be {NAME}", param_hint=NAME)
    if account in tenant_named(loaded.settings, tenant, NAME).accounts:
        at = ("tenants", tenant, "accounts", account)
        raise click.ClickException(LocatedMessages(loaded.settings.source).at(at, "exists already"))
    return tenant, account


def _members(given: list[str]) -> dict[str, Any]:
    """The account's config. Raises click's usage error, also for a key that is given twice."""
    members: dict[str, Any] = {}
    for key, value in map(_member, given):
        if key in members:
            raise click.BadParameter(f"{key} is given twice", param_hint="--set")
        members[key] = value
    return members


def _member(given: str) -> tuple[str, Any]:
    """A key and its value. No error repeats the value: it may be a secret."""
    key, equals, value = given.partition("=")
    if not equals:
        raise click.BadParameter(f"must be {SET}", param_hint="--set")
    if not value.startswith(("[", "{")):
        return key, value
    read = compose(f"value: {value}".encode(), "")
    if isinstance(read, Problem):
        raise click.BadParameter(f"{key} {read.message}", param_hint="--set")
    return key, as_data(read)["value"]


def _added(loaded: Configuration, tenant: str, account: str, entry: dict[str, Any]) -> tuple[Path, AccountEntry]:
    """Write the account; the file, and the account as it was loaded. Raises ``SettingsError`` before any change."""
    at, messages = ("tenants", tenant), LocatedMessages(loaded.settings.source)
    file = messages.file_of(at)

    def edited(entry: dict[str, Any], *more: Edit) -> tuple[str, AccountEntry]:
        text = edited_text(file, ((*at, "accounts"), {account: entry}), *more)
        return text, load_edited(loaded, {file: text}).tenants[tenant].accounts[account]

    _, made = edited({**entry, "accepts_new": "false"})  # which needs no deposit method: it tells whether others do
    methods = (*at, "deposit_methods")
    if not made.rules.deposit_method_required:
        text, made = edited(entry)
    elif account in loaded.settings.tenants[tenant].deposit_methods:
        raise click.ClickException(messages.at((*methods, account), "exists already"))
    else:
        text, made = edited(entry, (methods, {account: {"account": account}}))
    replace_text(file, text)
    return file, made


def _revealed(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value
