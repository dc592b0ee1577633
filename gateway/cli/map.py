"""``gateway map``: what the settings make of a tenant's request, member by member. Nothing is stored or sent."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from gateway.cli.create_requests import offline, read_create
from gateway.cli.exits import FAILED, Group
from gateway.cli.loading import Configuration, config_option, json_option, load
from gateway.cli.map_diff import diff
from gateway.cli.output import as_line, harmless, print_json, print_table, wide_option
from gateway.core.create_explanation import CreateExplanation
from gateway.core.errors import TenantError
from gateway.drivers.settings import AccountEntry
from gateway.flows.payments import explain_create


@click.group(cls=Group)
def map() -> None:  # what one types
    """Show what the settings make of a tenant's request."""


map.add_command(diff)


@map.command()
@click.argument("target", metavar="TENANT/ACCOUNT")
@click.option("--request", type=click.File("rb"), required=True, help="A file with the body of a create, - for stdin.")
@config_option
@json_option
@wide_option
@click.pass_context
def explain(context: click.Context, target: str, request: BinaryIO, config: Path, as_json: bool, wide: bool) -> None:
    """Explain what an account would send for a create: each member, its value, and the rule that made it.

    Nothing is stored or sent. The payment has the id pay_000…, and secrets are masked.
    """
    loaded = load(config)
    entry = _entry(loaded, target)
    gw, tenant = offline(loaded.settings), loaded.settings.tenants[entry.tenant]
    try:
        body = explain_create.of_account(read_create(gw, tenant, request.read()), entry.name)
        shown = explain_create.explain(gw, explain_create.plan(gw, tenant, body))
    except TenantError as refused:
        _print_refusal(refused, as_json)
        context.exit(FAILED)
    if as_json:
        print_json(shown)
    else:
        _print(shown, wide)


def _entry(loaded: Configuration, target: str) -> AccountEntry:
    found = next((entry for entry in loaded.entries if entry.owner == target), None)
    if found is None:
        known = ", ".join(entry.owner for entry in loaded.entries) or "none"
        raise click.BadParameter(f'there is no account "{target}"; known are {known}', param_hint="TENANT/ACCOUNT")
    return found


def _print_refusal(refused: TenantError, as_json: bool) -> None:
    if as_json:
        print_json({"code": refused.code, "detail": refused.detail, "errors": refused.errors})
        return
    click.echo(f"a create with this body would be refused: {refused.code}", err=True)
    lines = [f"{error.field}: {error.message}" for error in refused.errors]
    click.echo("\n".join(lines or [refused.detail]), err=True)


def _print(shown: CreateExplanation, wide: bool) -> None:
    members = ((one.key, as_line(one.value), one.origin, one.field, one.rule) for one in shown.members)
    print_table(("key", "value", "origin", "field", "rule"), members, wide=wide)
    if shown.left_out:
        click.echo()
        print_table(("left out", "why", "rule"), ((one.field, one.why, one.rule) for one in shown.left_out), wide=wide)
    for title, text in (("body", shown.body), ("signed", shown.signed), ("curl", shown.curl)):
        if text:
            click.echo(f"\n{title}:\n{harmless(text)}")
