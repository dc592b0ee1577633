"""``gateway endpoints``: where tenants listen to webhooks, through the running gateway."""

from __future__ import annotations

import click

from gateway.cli.exits import Group
from gateway.cli.operators import Operators, ask, ask_all, listener_options, path_to, with_query
from gateway.cli.options import actor_option, why_option
from gateway.cli.output import print_json, print_list, print_pairs, wide_option
from gateway.web.admin.webhooks import EnabledTenant, EnableTenant, TenantsEndpoint

COLUMNS = ("tenant", "enabled", "failing_since", "disabled_at", "reason", "url")


@click.group(cls=Group)
def endpoints() -> None:
    """Show tenants' webhook endpoints, and enable one again."""


@endpoints.command("list")
@click.option("--tenant", help="Only the endpoint of this tenant.")
@listener_options
@wide_option
def list_endpoints(tenant: str | None, wide: bool, listener: Operators, as_json: bool) -> None:
    """List webhook endpoints, by tenant: since when they fail, and which are disabled and why."""
    path = with_query("/admin/v1/endpoints", tenant=tenant, limit=200)
    found = ask_all(listener, path, row=TenantsEndpoint)
    print_list(found, COLUMNS, as_json=as_json, wide=wide)


@endpoints.command()
@click.argument("tenant")
@click.option("--redeliver", is_flag=True, help="Also send again what the endpoint missed while it was disabled.")
@why_option
@actor_option
@listener_options
def enable(tenant: str, redeliver: bool, reason: str | None, actor: str, listener: Operators, as_json: bool) -> None:
    """Send webhooks to a disabled endpoint again."""
    path = path_to("endpoints", tenant, "enable")
    body = EnableTenant(redeliver=redeliver, reason=reason, actor=actor)
    done = ask(listener, "POST", path, body=body, wanted=EnabledTenant)
    if as_json:
        print_json(done)
        return
    print_pairs({column: getattr(done, column) for column in (*COLUMNS, "redelivered")})
