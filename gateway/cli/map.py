"""``gateway map``: what the settings make of a tenant's request, member by member. Nothing is stored or sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from gateway.cli.create_requests import map_option, offline, plan_create
from gateway.cli.exits import FAILED, Group
from gateway.cli.loading import Configuration, config_option, json_option, load
from gateway.cli.map_diff import diff
from gateway.cli.output import as_line, harmless, print_json, print_table, wide_option
from gateway.core.create_explanation import CreateExplanation, LeftOut
from gateway.core.errors import TenantError
from gateway.core.reply_explanation import ReplyExplanation, explain_reply
from gateway.drivers.settings import AccountEntry, Tenant
from gateway.flows.payments.explain_create import explain as explain_planned
from gateway.flows.reply_maps import seen_of_webhook

WEBHOOK = {"type", "timestamp", "data"}
"""The members by which a body is a webhook's."""

STANDARD = {"id", "state"}
"""Members of every answer about a payment or refund, which no create has."""


@click.group(cls=Group)
def map() -> None:  # what one types
    """Show what the settings make of a tenant's request."""


map.add_command(diff)


@map.command()
@click.argument("target", metavar="TENANT/ACCOUNT")
@click.option("--request", type=click.File("rb"), help="A file with the body of a create, - for stdin.")
@map_option
@click.option("--reply", type=click.File("rb"), help="A file with a standard answer or webhook, for the reply maps.")
@config_option
@json_option
@wide_option
@click.pass_context
def explain(
    context: click.Context,
    target: str,
    request: BinaryIO | None,
    request_map: str | None,
    reply: BinaryIO | None,
    config: Path,
    as_json: bool,
    wide: bool,
) -> None:
    """Explain what an account would send for a create: each member, its value, and the rule that made it.

    Nothing is stored or sent. The payment has the id pay_000…, and secrets are masked. With --reply, also what the
    tenant's reply maps make of a standard answer or webhook.
    """
    if request is None and reply is None:
        raise click.UsageError("give --request, --reply or both")
    loaded = load(config)
    entry = _entry(loaded, target)
    gw, tenant = offline(loaded.settings), loaded.settings.tenants[entry.tenant]
    replies = None if reply is None else _replies(tenant, reply)
    shown = None
    try:
        if request is not None:
            data = request.read()
            shown = explain_planned(gw, plan_create(gw, tenant, data, account=entry.name, request_map=request_map))
    except TenantError as refused:
        _print_refusal(refused, as_json)
        context.exit(FAILED)
    if as_json:
        members = {} if shown is None else msgspec.structs.asdict(shown)
        print_json(members | ({} if replies is None else {"replies": replies}))
        return
    if shown is not None:
        _print(shown, wide)
    for one in replies or []:
        _print_reply(one, wide)


def _entry(loaded: Configuration, target: str) -> AccountEntry:
    found = next((entry for entry in loaded.entries if entry.owner == target), None)
    if found is None:
        known = ", ".join(entry.owner for entry in loaded.entries) or "none"
        raise click.BadParameter(f'there is no account "{target}"; known are {known}', param_hint="TENANT/ACCOUNT")
    return found


def _replies(tenant: Tenant, reply: BinaryIO) -> list[ReplyExplanation]:
    """What each reply map of a tenant makes of an answer or a webhook."""
    try:
        body = msgspec.json.decode(reply.read())
        seen = seen_of_webhook(body) if body.keys() >= WEBHOOK else body
    except (ValueError, AttributeError, KeyError, TypeError):
        problem = "must be a JSON object: an answer of the gateway, or the body of a webhook"
        raise click.BadParameter(problem, param_hint="--reply") from None
    if not tenant.reply_maps:
        raise click.BadParameter(f"tenant {tenant.id} has no reply maps", param_hint="--reply")
    if not seen.keys() & STANDARD:
        click.echo(
            "--reply: this is not a standard body, an answer of the gateway or a webhook: no id, no state", err=True
        )
    return [explain_reply(one, seen) for one in tenant.reply_maps.values()]


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
    _print_left_out(shown.left_out, wide)
    _print_texts(body=shown.body, signed=shown.signed, curl=shown.curl)


def _print_reply(shown: ReplyExplanation, wide: bool) -> None:
    click.echo(f"\nreply map {shown.map}:")
    print_table(("key", "value", "rule"), ((one.key, as_line(one.value), one.rule) for one in shown.members), wide=wide)
    _print_left_out(shown.left_out, wide)
    _print_texts(body=shown.body)


def _print_left_out(left_out: Sequence[LeftOut], wide: bool) -> None:
    if left_out:
        click.echo()
        print_table(("left out", "why", "rule"), ((one.field, one.why, one.rule) for one in left_out), wide=wide)


def _print_texts(**texts: str | None) -> None:
    for title, text in texts.items():
        if text:
            click.echo(f"\n{title}:\n{harmless(text)}")
