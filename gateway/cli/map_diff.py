"""``gateway map diff``: which recorded creates would be sent differently under other settings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from gateway.cli.create_requests import map_option, offline, plan_create
from gateway.cli.exits import FAILED
from gateway.cli.loading import json_option, load
from gateway.cli.output import as_line, print_json, print_table, wide_option
from gateway.core.create_explanation import path_of, values_of
from gateway.core.errors import ProviderError, TenantError
from gateway.core.strictjson import NotStrictJson, dumps, loads_exact
from gateway.drivers.settings import Tenant
from gateway.flows.payments.explain_create import body_of
from gateway.flows.runtime import Gateway

REFUSED = ("", "refused")


class Sent(NamedTuple):
    """A value that is sent, as JSON, and as it may be shown."""

    value: bytes
    shown: Any


class NotCompared(NamedTuple):
    """A create that could not be compared. ``is_unusable``: under no settings, as its file has no JSON of a tenant."""

    why: str
    is_unusable: bool


Parts = Mapping[tuple[str, str], Sent]
"""What is sent for a create, by part of the request (``header``, ``body``, none) and name; or that it is refused."""

settings_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("old", type=settings_file)
@click.argument("new", type=settings_file)
@click.option(
    "--requests",
    "folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with the bodies of creates, as TENANT/NAME.json.",
)
@map_option
@json_option
@wide_option
@click.pass_context
def diff(
    context: click.Context, old: Path, new: Path, folder: Path, request_map: str | None, as_json: bool, wide: bool
) -> None:
    """Show which creates would be sent differently under the settings NEW than under OLD, and how.

    Each create goes to the account that it would go to. Nothing is stored or sent, and secrets are masked.
    """
    paths = sorted(folder.glob("*/*.json"))
    if not paths:
        raise click.BadParameter("holds no TENANT/NAME.json", param_hint="--requests")
    before, after = (offline(load(path).settings) for path in (old, new))
    changed: dict[str, list[dict[str, Any]]] = {}
    skipped: dict[str, NotCompared] = {}
    for path in paths:
        request, found = path.relative_to(folder).as_posix(), _compared(before, after, path, request_map)
        if isinstance(found, NotCompared):
            skipped[request] = found
        elif found:
            changed[request] = found
    if as_json:
        data = [{"request": request, "changes": changes} for request, changes in changed.items()]
        not_compared = [{"request": request, "why": one.why} for request, one in skipped.items()]
        print_json({"data": data, "not_compared": not_compared})
    else:
        _print(changed, skipped, len(paths), wide)
    if any(one.is_unusable for one in skipped.values()):
        context.exit(FAILED)


def _print(
    changed: Mapping[str, list[dict[str, Any]]], skipped: Mapping[str, NotCompared], total: int, wide: bool
) -> None:
    rows = ((request, *map(as_line, one.values())) for request, changes in changed.items() for one in changes)
    print_table(("request", "key", "old", "new"), rows, wide=wide)
    if skipped:
        click.echo()
        print_table(("not compared", "why"), ((request, one.why) for request, one in skipped.items()), wide=wide)
    more = f", {len(skipped)} could not be compared" if skipped else ""
    click.echo(f"{len(changed)} of {total} requests change{more}", err=True)


def _compared(
    before: Gateway, after: Gateway, path: Path, request_map: str | None
) -> list[dict[str, Any]] | NotCompared:
    tenant = path.parent.name
    if all(tenant not in gw.settings.tenants for gw in (before, after)):
        return NotCompared(_no_tenant(tenant), is_unusable=True)
    try:
        data = path.read_bytes()
        loads_exact(data)
    except OSError as problem:
        return NotCompared(os.strerror(problem.errno or 0), is_unusable=True)
    except NotStrictJson as problem:
        return NotCompared(f"is not JSON: {problem}", is_unusable=True)
    old, new = (_parts(gw, tenant, data, request_map) for gw in (before, after))
    refusal = old.get(REFUSED)
    if refusal is not None and refusal == new.get(REFUSED):
        return NotCompared(f"both refuse it: {refusal.shown}", is_unusable=False)
    return list(_changes(old, new))


def _no_tenant(name: str) -> str:
    return f'there is no tenant "{name}"'


def _changes(old: Parts, new: Parts) -> Iterator[dict[str, Any]]:
    """The parts that differ; of a create that one of the settings refuse, only that."""
    for key in [REFUSED] if REFUSED in old or REFUSED in new else {**old, **new}:
        was, is_now = old.get(key), new.get(key)
        if was is None or is_now is None or was.value != is_now.value:
            yield {"key": key[1], "old": was and was.shown, "new": is_now and is_now.shown}


def _parts(gw: Gateway, name: str, data: bytes, request_map: str | None) -> Parts:
    tenant = gw.settings.tenants.get(name)
    try:
        if tenant is None:
            raise TenantError("not_found", _no_tenant(name))
        return _sent(gw, tenant, data, request_map)
    except (TenantError, ProviderError) as refused:
        return {REFUSED: Sent(str(refused).encode(), str(refused))}


def _sent(gw: Gateway, tenant: Tenant, data: bytes, request_map: str | None) -> Parts:
    """Everything that a create sends; a body that is neither JSON nor a form as a whole."""
    planned = plan_create(gw, tenant, data, request_map=request_map)
    request, mask = planned.request, gw.masks.of(tenant.id).over
    body = {("body", path_of(steps)): value for steps, value in values_of(body_of(request))}
    parts: dict[tuple[str, str], Any] = {
        ("", "account"): planned.entry.name,
        ("", "url"): request.url,
        **{("header", name): value for name, value in request.headers},
        **(body or {("", "body"): request.body.decode(errors="replace")}),
    }
    return {
        key: Sent(text := dumps(value), mask(value) if isinstance(value, str) else msgspec.Raw(text))
        for key, value in parts.items()
    }
