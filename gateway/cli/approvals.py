"""``gateway approvals``: acts that wait for the key of somebody else, through the running gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from gateway.cli.exits import Group
from gateway.cli.loading import config_option, json_option
from gateway.cli.operators import admin_url_option, ask, ask_all, operators
from gateway.cli.output import as_line, print_json, print_pairs, print_table, wide_option
from gateway.drivers.store.approvals import STATUSES
from gateway.web.admin.approvals import ApprovalList, RejectApproval
from gateway.web.four_eyes import ApprovalView

COLUMNS = ("id", "status", "act", "target", "key_id", "requested_at", "expires_at", "decided_by", "body")


@click.group(cls=Group)
def approvals() -> None:
    """Approve or reject what another operator has asked for.

    Calls the operators' listener of the running gateway, with the key in the environment variable GATEWAY_ADMIN_KEY.
    """


@approvals.command("list")
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    default=STATUSES[0],
    show_default=True,
    metavar="STATUS",
    help=f"Only approvals with this status: {', '.join(STATUSES)}.",
)
@wide_option
@config_option
@admin_url_option
@json_option
def list_approvals(status: str, wide: bool, config: Path, admin_url: str | None, as_json: bool) -> None:
    """List acts that wait, newest first, with all that was asked for."""
    query = urlencode({"status": status})
    found = ask_all(operators(config, admin_url), f"/admin/v1/approvals?{query}", wanted=ApprovalList)
    if as_json:
        print_json({"data": found})
        return
    print_table(COLUMNS, ([as_line(getattr(one, column)) for column in COLUMNS] for one in found), wide=wide)


@approvals.command()
@click.argument("approval_id", metavar="ID")
@config_option
@admin_url_option
@json_option
def approve(approval_id: str, config: Path, admin_url: str | None, as_json: bool) -> None:
    """Do what was asked for. It needs another key than the one that asked."""
    path = f"/admin/v1/approvals/{quote(approval_id, safe='')}/approve"
    done: dict[str, Any] = ask(operators(config, admin_url), "POST", path, wanted=dict[str, Any])
    if as_json:
        print_json(done)
        return
    print_pairs({name: as_line(value) for name, value in done.items()})


@approvals.command()
@click.argument("approval_id", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="Why not; kept in the audit trail.")
@config_option
@admin_url_option
@json_option
def reject(approval_id: str, reason: str, config: Path, admin_url: str | None, as_json: bool) -> None:
    """Do not do what was asked for. The key that asked may reject it too."""
    path = f"/admin/v1/approvals/{quote(approval_id, safe='')}/reject"
    body = RejectApproval(reason=reason)
    done = ask(operators(config, admin_url), "POST", path, body=body, wanted=ApprovalView)
    if as_json:
        print_json(done)
        return
    print_pairs({name: as_line(getattr(done, name)) for name in done.__struct_fields__})
