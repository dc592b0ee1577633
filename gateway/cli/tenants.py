"""``gateway tenants``: set tenants up."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.edited_settings import edited_text, editing, load_edited
from gateway.cli.exits import Group
from gateway.cli.loading import Configuration, base_url, config_option, json_option
from gateway.cli.new_credentials import TENANT_ID, new_key, new_webhook_secret
from gateway.cli.output import print_json, print_pairs
from gateway.drivers.settings import LocatedMessages
from gateway.drivers.settings.file_changes import OWNER_ONLY, NewFile, new_files, replace_text
from gateway.drivers.settings.values import NAME
from gateway.drivers.settings.yaml_edit import block

HEADING = "# Written by `gateway tenants new`; docs/settings.md explains every key.\n"


@click.group(cls=Group)
def tenants() -> None:
    """Add tenants."""


@tenants.command()
@click.argument("name")
@click.option("--name", "title", required=True, metavar="TEXT", help="What people call the tenant.")
@click.option("--webhook-url", required=True, metavar="URL", help="Where the tenant receives webhooks.")
@click.option(
    "--return-origin",
    "origins",
    required=True,
    multiple=True,
    metavar="ORIGIN",
    help="Where customers may be sent back to, as https://shop.example; may be repeated.",
)
@config_option
@json_option
def new(name: str, title: str, webhook_url: str, origins: tuple[str, ...], config: Path, as_json: bool) -> None:
    """Write tenants/NAME.yaml with a new key and webhook secret, and include it; print what the tenant needs.

    The settings are checked as they would be, before anything is changed. What exists is never replaced.
    """
    if NAME.fullmatch(name) is None:
        raise click.BadParameter(f"must match {NAME.pattern}", param_hint="NAME")
    key, secret = new_key(TENANT_ID), new_webhook_secret()
    entry = {
        "name": title,
        "keys": [{"id": key["id"], "sha256": key["sha256"]}],
        "return_origins": list(origins),
        "webhook": {"url": webhook_url, "secrets": [f"file:secrets/{name}-webhook"]},
    }
    with editing(config) as loaded:
        _write(loaded, name, HEADING + block({"tenants": {name: entry}}), secret)
    base = base_url(loaded.settings)
    made = {
        "tenant": name,
        "file": f"tenants/{name}.yaml",
        "base_url": base,
        "key": key["key"],
        "webhook_secret": secret,
        "try": f"curl -H 'Authorization: Bearer {key['key']}' {base or 'BASE_URL'}/v1/accounts",
    }
    if as_json:
        print_json(made)
        return
    print_pairs(made)
    click.echo(
        "Give base_url, key and webhook_secret to the tenant: the key is stored nowhere. Webhooks are verified with any"
        " Standard Webhooks library. Next: gateway accounts new, then gateway reload.",
        err=True,
    )


def _write(loaded: Configuration, name: str, text: str, secret: str) -> None:
    """Write the tenant's files and, where no pattern of ``include`` finds them yet, one more pattern."""
    settings = loaded.settings.source
    if name in loaded.settings.tenants:
        raise click.ClickException(LocatedMessages(settings).at(("tenants", name), "exists already"))
    path = settings.parent / "tenants" / f"{name}.yaml"
    files = {path: NewFile(""), settings.parent / "secrets" / f"{name}-webhook": NewFile(secret + "\n", OWNER_ONLY)}
    try:
        with new_files(settings, files):
            edited = {path: text}
            if name not in load_edited(loaded, edited).tenants:
                edited[settings] = _including(settings, path)
                load_edited(loaded, edited)
            for file, wanted in edited.items():
                replace_text(file, wanted)
    except FileExistsError as problem:
        raise click.ClickException(f"{problem.filename} exists already") from None


def _including(settings: Path, path: Path) -> str:
    """The settings file with one more pattern, which is the file's name where a pattern would find others as well."""
    others = [other for other in path.parent.glob("*.yaml") if other != path]
    pattern = f"tenants/{path.name}" if others else "tenants/*.yaml"
    return edited_text(settings, (("include",), [pattern]))
