"""``gateway keys rotate``: add a new key to the settings next to the old one; ``--finish`` removes the old one."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from gateway.cli.edited_settings import Edit, edit, editing
from gateway.cli.loading import Configuration, config_option, json_option, tenant_named
from gateway.cli.new_credentials import new_key, new_webhook_secret
from gateway.cli.operators import KEY, Operators, admin_url_option, ask
from gateway.cli.options import parse_date
from gateway.cli.output import print_one
from gateway.core.key_families import families, family_of, next_id
from gateway.core.views import rfc3339
from gateway.drivers.clock import SystemClock
from gateway.drivers.settings import BearerKey
from gateway.drivers.settings.bearer_keys import OPERATOR
from gateway.drivers.settings.file_changes import OWNER_ONLY, NewFile, new_files
from gateway.drivers.settings.model import OperatorKey
from gateway.drivers.settings.problems import Path as KeyPath
from gateway.drivers.settings.values import DURATION, span
from gateway.web.admin.keys import KeysView

ADMIN: KeyPath = ("server", "admin")
WEBHOOK_ALONE = "--webhook goes with --tenant and --finish alone: a secret has neither an id nor an end"


class Keys(NamedTuple):
    """The keys of a tenant, or with None the operators': where they are listed, and each with its own place."""

    tenant: str | None
    at: KeyPath
    listed: dict[str, tuple[BearerKey, KeyPath]]


def _expiry(_context: click.Context, parameter: click.Parameter, text: str | None) -> datetime | None:
    """Read ``--expires``: a time, or how long from now."""
    if text is None:
        return None
    now = SystemClock().now()
    at = now + span(text) if DURATION.fullmatch(text) else parse_date(text)
    if at <= now:
        raise click.BadParameter("is in the past: --finish ends the old one at once", param=parameter)
    return at


@click.command()
@click.option("--tenant", metavar="TENANT", help="A key of this tenant.")
@click.option("--admin", is_flag=True, help="A key of an operator.")
@click.option("--webhook", is_flag=True, help="The secret that signs the tenant's webhooks, instead of a key.")
@click.option("--id", "key_id", metavar="ID", help="The key that is replaced, where there are several.")
@click.option("--expires", callback=_expiry, metavar="TIME", help="When the old key ends: a time, or 7d for in a week.")
@click.option("--finish", is_flag=True, help="Remove the old ones and keep the newest.")
@config_option
@admin_url_option
@json_option
def rotate(tenant: str | None, *, config: Path, admin_url: str | None, as_json: bool, **given: Any) -> None:
    """Put a new key or webhook secret beside the old one; later remove the old one.

    The settings are edited, and checked before anything is changed; both are good after the next gateway reload. The
    new one is printed once. With GATEWAY_ADMIN_KEY, --finish also prints how often the old one was still used.
    """
    _check_usage(tenant, **given)
    with editing(config) as loaded:
        if given["webhook"]:
            made = _finish_webhook(loaded, tenant) if given["finish"] else _begin_webhook(loaded, tenant)
        elif given["finish"]:
            made = _finish(loaded, _keys(loaded, tenant), given["key_id"])
        else:
            made = _begin(loaded, _keys(loaded, tenant), given["key_id"], given["expires"])
    if "removed" in made:
        made["uses"] = _uses(made["removed"], tenant, config, admin_url) if os.environ.get(KEY) else None
    print_one(made, as_json=as_json)
    click.echo("Next: gateway reload.", err=True)


def _check_usage(
    tenant: str | None, *, admin: bool, webhook: bool, key_id: str | None, expires: datetime | None, finish: bool
) -> None:
    if admin == (tenant is not None):
        raise click.UsageError("say whose key to rotate: --tenant TENANT or --admin")
    if webhook and (admin or key_id is not None or expires is not None):
        raise click.UsageError(WEBHOOK_ALONE)
    if finish and expires is not None:
        raise click.UsageError("--finish ends the old one at once: leave out --expires")


def _keys(loaded: Configuration, tenant: str | None) -> Keys:
    settings = loaded.settings
    if tenant is not None:
        tenant_named(settings, tenant, "--tenant")
    at = ADMIN if tenant is None else ("tenants", tenant)
    keys = settings.server.admin.keys if tenant is None else settings.tenants[tenant].keys
    listed: dict[str, tuple[BearerKey, KeyPath]] = {}
    if tenant is None and settings.server.admin.key_sha256 is not None:
        listed[OPERATOR] = (BearerKey(id=OPERATOR, sha256=""), (*ADMIN, "key_sha256"))
    return Keys(tenant, at, listed | {one.id: (one, (*at, "keys", number)) for number, one in enumerate(keys)})


def _begin(loaded: Configuration, keys: Keys, key_id: str | None, expires: datetime | None) -> dict[str, Any]:
    """Add the key that replaces another one."""
    old_id = _chosen(families(keys.listed), keys, key_id)[-1]
    old, path = keys.listed[old_id]
    if expires is not None and path[-1] == "key_sha256":
        raise click.UsageError("server.admin.key_sha256 has no end: leave out --expires, and use --finish later")
    made, ends = new_key(next_id(old_id, keys.listed)), expires and rfc3339(expires)
    entry = {"id": made["id"], "sha256": made["sha256"]}
    if keys.tenant is None:  # the name says that both are one person's
        role, name = (old.role, old.name) if isinstance(old, OperatorKey) else ("admin", None)
        entry |= {"role": role, "name": old_id if name is None else name}
    ending: list[Edit] = [((*path, "expires"), ends)] if ends else []
    file = edit(loaded, keys.at, *ending, ((*keys.at, "keys"), [entry]))
    return {"tenant": keys.tenant, **made, "replaces": old_id, "old_expires": ends, "file": file}


def _finish(loaded: Configuration, keys: Keys, key_id: str | None) -> dict[str, Any]:
    """Remove the keys that have been replaced."""
    rotating = {family: ids for family, ids in families(keys.listed).items() if len(ids) > 1}
    *old, newest = _chosen(rotating, keys, key_id)
    file = edit(loaded, keys.at, *((keys.listed[one][1], None) for one in reversed(old)))
    return {"tenant": keys.tenant, "removed": old, "kept": newest, "file": file}


def _chosen(found: dict[str, list[str]], keys: Keys, key_id: str | None) -> list[str]:
    """The family that was named, or the only one. Raises click's usage error."""
    whose = "operators" if keys.tenant is None else f"tenant {keys.tenant}"
    if key_id is not None and key_id not in keys.listed:
        raise click.BadParameter(f'{whose}: there is no key "{key_id}"', param_hint="--id")
    wanted = found if key_id is None else {one: ids for one, ids in found.items() if one == family_of(key_id)}
    if not wanted:
        raise click.ClickException(f"{whose}: there is no key to replace or to remove")
    if len(wanted) > 1:
        raise click.UsageError(f"{whose}: name the key with --id: {', '.join(ids[-1] for ids in wanted.values())}")
    return next(iter(wanted.values()))


def _begin_webhook(loaded: Configuration, tenant: str | None) -> dict[str, Any]:
    """Add a webhook secret, in a file of its own."""
    at, _ = _webhook(loaded, tenant)
    folder, secret = loaded.settings.source.parent / "secrets", new_webhook_secret()
    paths = (folder / f"{tenant}-webhook-{number}" for number in range(2, 10_000))
    path = next(path for path in paths if not path.exists())
    with new_files(loaded.settings.source, {path: NewFile(secret + "\n", OWNER_ONLY)}):
        file = edit(loaded, at[:2], (at, [f"file:secrets/{path.name}"]))
    return {"tenant": tenant, "webhook_secret": secret, "secret_file": f"secrets/{path.name}", "file": file}


def _finish_webhook(loaded: Configuration, tenant: str | None) -> dict[str, Any]:
    """Remove all webhook secrets but the last; the files that hold them stay."""
    at, count = _webhook(loaded, tenant)
    if count < 2:
        raise click.ClickException(f"tenant {tenant}: there is one webhook secret, and nothing to finish")
    file = edit(loaded, at[:2], *(((*at, number), None) for number in reversed(range(count - 1))))
    return {"tenant": tenant, "secrets_removed": count - 1, "file": file}


def _webhook(loaded: Configuration, tenant: str | None) -> tuple[KeyPath, int]:
    """Where a tenant's webhook secrets are, and how many."""
    webhook = tenant_named(loaded.settings, tenant or "", "--tenant").webhook
    if webhook is None:
        raise click.ClickException(f"tenant {tenant} has no webhook")
    return ("tenants", tenant or "", "webhook", "secrets"), len(webhook.secrets)


def _uses(removed: list[str], tenant: str | None, config: Path, admin_url: str | None) -> dict[str, Any] | None:
    """How often the running gateway has seen the removed keys, and when last; None where it does not answer."""
    try:
        answer = ask(Operators(config, admin_url), "GET", "/admin/v1/keys", wanted=KeysView)
    except click.ClickException as problem:
        click.echo(f"cannot tell who still uses the old key: {problem.format_message()}", err=True)
        return None
    kind = "operator" if tenant is None else "tenant"
    found = (one for one in answer.data if (one.kind, one.tenant) == (kind, tenant) and one.id in removed)
    return {one.id: {"uses": one.uses, "last_used": one.last_used} for one in found}
