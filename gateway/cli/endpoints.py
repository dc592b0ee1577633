"""``gateway endpoints``: where tenants listen to webhooks, through the running gateway."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from gateway.cli.exits import Group
from gateway.cli.operators import ask, ask_all, operators
from gateway.cli.output import print_json, print_pairs, print_table, wide_option
from gateway.cli.review import actor_option, listener_options, why_option
from gateway.web.admin.webhooks import EnabledTenant, EnableTenant, EndpointList

COLUMNS = ("tenant", "enabled", "failing_since", "disabled_at", "reason", "url")


@click.group(cls=Group)
def endpoints() -> None:
    """Show tenants' webhook endpoints, and enable one again."""


@endpoints.command("list")
@click.option("--tenant", help="Only the endpoint of this tenant.")
@listener_options
@wide_option
def list_endpoints(tenant: str | None, wide: bool, admin_url: str | None, config: Path, as_json: bool) -> None:
    """List webhook endpoints, by tenant: since when they fail, and which are disabled and why."""
    query = "" if tenant is None else f"&tenant={quote(tenant, safe='')}"
    found = ask_all(operators(config, admin_url), f"/admin/v1/endpoints?limit=200{query}", wanted=EndpointList)
    if as_json:
        print_json({"data": found})
        return
    print_table(COLUMNS, ([getattr(one, column) for column in COLUMNS] for one in found), wide=wide)


@endpoints.command()
@click.argument("tenant")
@click.option("--redeliver", is_flag=True, help="Also send again what the endpoint missed while it was disabled.")
@why_option
@actor_option
@listener_options
def enable(
    tenant: str,
    redeliver: bool,
    reason: str | None,
    actor: str,
    admin_url: str | None,
    config: Path,
    as_json: bool,
) -> None:
    """Send webhooks to a disabled endpoint again."""
    path = f"/admin/v1/endpoints/{quote(tenant, safe='')}/enable"
    body = EnableTenant(redeliver=redeliver, reason=reason, actor=actor)
    done = ask(operators(config, admin_url), "POST", path, body=body, wanted=EnabledTenant)
    if as_json:
        print_json(done)
        return
    print_pairs({column: getattr(done, column) for column in (*COLUMNS, "redelivered")})
