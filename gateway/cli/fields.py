"""``gateway fields``: what a provider's requests can hold, and what its accounts can be configured with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from gateway.cli.loading import config_option, json_option, load_registry
from gateway.cli.output import print_json, print_table, wide_option
from gateway.core.field_mapping import FieldRule
from gateway.core.secret import Secret
from gateway.provider import Provider

FIELD = ("name", *FieldRule.__struct_fields__)
CONFIG = ("name", "required", "secret")


@click.command()
@click.argument("provider")
@config_option
@json_option
@wide_option
def fields(provider: str, config: Path, as_json: bool, wide: bool) -> None:
    """Show every field that PROVIDER knows, and the keys of an account's config.

    A field is changed under an account's fields. One that is locked can only be renamed; one that is mandatory cannot
    be switched off. The source is where its value is in the create; without one the provider fills it.
    """
    providers = load_registry(config).providers
    if provider not in providers:
        known = ", ".join(sorted(providers)) or "none"
        raise click.BadParameter(f'there is no provider "{provider}"; known are {known}', param_hint="PROVIDER")
    found, keys = _fields(providers[provider]), _config_keys(providers[provider])
    if as_json:
        print_json({"data": found, "config": keys})
        return
    print_table(FIELD, (_cells(one) for one in found), wide=wide)
    click.echo()
    print_table(("config", *CONFIG[1:]), (_cells(one) for one in keys), wide=wide)


def _fields(provider: Provider) -> list[dict[str, Any]]:
    return [{"name": name, **msgspec.structs.asdict(rule)} for name, rule in provider.fields.items()]


def _config_keys(provider: Provider) -> list[dict[str, Any]]:
    members = msgspec.structs.fields(provider.account_type)
    return [
        {"name": one.encode_name, "required": one.required, "secret": Secret in (one.type, *get_args(one.type))}
        for one in members
    ]


def _cells(row: Mapping[str, Any]) -> list[object]:
    return [("yes" if cell else None) if isinstance(cell, bool) else cell or None for cell in row.values()]
