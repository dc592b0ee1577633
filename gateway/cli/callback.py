"""``gateway callback explain``: why a callback was accepted or refused, without showing a secret. Reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from gateway.cli.exits import Group
from gateway.cli.loading import config_option, json_option, load, reading, refuse_to_send
from gateway.cli.output import harmless, print_json, print_pairs, print_table
from gateway.cli.sign import sign_callback
from gateway.core.signing import keyed_hash
from gateway.core.wire import Headers, header_text
from gateway.drivers.clock import SystemClock
from gateway.drivers.settings import AccountEntry, Settings
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows.callbacks import reprocess
from gateway.flows.callbacks.explain import Explained, explain
from gateway.flows.callbacks.redaction import redact_headers
from gateway.flows.runtime import Gateway
from gateway.provider import Check

PASSED = {True: "ok", False: "failed", None: "not reached"}


@click.group(cls=Group)
def callback() -> None:
    """Explain callbacks, and sign one for a test."""


callback.add_command(sign_callback)


@callback.command("explain")
@click.argument("inbox_id", metavar="[ID]", required=False)
@click.option(
    "--file",
    "body",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The body of a callback that is not stored.",
)
@click.option(
    "--headers", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its headers, one per line."
)
@click.option("--tenant", help="The tenant it is for.")
@click.option("--account", help="The account it is for.")
@click.option("--method", default="POST", show_default=True, help="Its HTTP method.")
@click.option("--suffix", default="", help="The path below the endpoint.")
@click.option("--remote", default="127.0.0.1", show_default=True, help="The address it comes from.")
@config_option
@json_option
def explain_callback(
    inbox_id: str | None,
    body: Path | None,
    headers: Path | None,
    tenant: str | None,
    account: str | None,
    config: Path,
    as_json: bool,
    **envelope: str,
) -> None:
    """Explain, check by check, why a callback is accepted or refused.

    Takes the ID of a stored callback, or one that never arrived as --file, --headers, --tenant and --account. It is
    checked against the settings and the store as they are now. Secrets and expected signatures are never shown.
    """
    settings = load(config).settings
    given = None
    if body is not None and inbox_id is None:
        entry = _entry(settings, tenant, account)
        given = _unsent(settings, entry, body, headers, envelope)
    elif inbox_id is None or body is not None:
        raise click.UsageError("give an ID, or --file with --tenant and --account")
    found = asyncio.run(_explained(settings, inbox_id or "", given))
    if as_json:
        print_json(found)
    else:
        _print(found)


def _entry(settings: Settings, tenant: str | None, account: str | None) -> AccountEntry:
    if tenant is None or account is None:
        raise click.UsageError("--file needs --tenant and --account")
    owner = settings.tenants.get(tenant)
    if owner is None:
        raise click.BadParameter(
            f'there is no tenant "{tenant}"; known are {_listed(settings.tenants)}', param_hint="--tenant"
        )
    if account not in owner.accounts:
        known = _listed(owner.accounts)
        raise click.BadParameter(f'{tenant} has no account "{account}"; it has {known}', param_hint="--account")
    return owner.accounts[account]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _unsent(
    settings: Settings, entry: AccountEntry, body: Path, headers: Path | None, envelope: Mapping[str, str]
) -> StoredCallback:
    """A callback from files, as the store would have it."""
    content = body.read_bytes()
    lines = [header_text(line) for line in headers.read_bytes().splitlines()] if headers is not None else []
    return StoredCallback(
        tenant=entry.tenant,
        id="",
        account=entry.name,
        received_at=datetime.now(UTC),
        size=len(content),
        verdict="",
        reason=None,
        detail=None,
        event_id=None,
        payment_id=None,
        tries=0,
        next_attempt_at=None,
        query="",
        headers=redact_headers(
            partial(keyed_hash, settings.server.secret), _headers(lines), entry.provider.secret_headers
        ),
        body=content,
        event=None,
        history=(),
        **envelope,
    )


def _headers(lines: list[str]) -> Headers:
    """Lines such as ``Content-Type: application/json``; ``curl -v``'s ``>`` before them is passed over."""
    pairs = (line.lstrip("> ").partition(":") for line in lines)
    return tuple((name.strip(), value.strip()) for name, colon, value in pairs if colon)


async def _explained(settings: Settings, inbox_id: str, given: StoredCallback | None) -> Explained:
    async with reading(settings) as store:
        gw = Gateway(settings=settings, store=store, send=refuse_to_send, clock=SystemClock())
        return await explain(gw, given or await reprocess.find(gw, inbox_id))


def _print(found: Explained) -> None:
    print_pairs({"verdict now": found.verdict, "reason": found.reason, "detail": found.detail})
    if found.proof.notes:
        click.echo("\nWhat the sender does wrong:")
    for note in found.proof.notes:
        click.echo(f"- {harmless(note)}")
    if found.tried:
        click.echo()
        print_table(
            ("secret header", "holds"), ((one.header, one.credential or "not a known secret") for one in found.tried)
        )
    click.echo()
    print_table(("check", "", "details"), (_row(check) for check in (*found.proof.checks, *found.rules)))
    for form, text in found.proof.signed.items():
        click.echo(f"\nsigned ({form} form), the secret follows directly:\n{harmless(text)}")


def _row(check: Check) -> tuple[str, str, str]:
    return check.name, PASSED[check.passed], check.detail
