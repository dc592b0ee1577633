"""``gateway approvals``: acts that wait for the key of somebody else, through the running gateway."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.exits import Group
from gateway.cli.operators import Operators, ask, ask_all, listener_options, path_to, with_query
from gateway.cli.options import word_option
from gateway.cli.output import as_line, print_list, print_one, wide_option
from gateway.drivers.store.approvals import STATUSES
from gateway.web.admin.approvals import RejectApproval
from gateway.web.four_eyes import ApprovalView

COLUMNS = ("id", "status", "act", "target", "key_id", "requested_at", "expires_at", "decided_by", "body")


@click.group(cls=Group)
def approvals() -> None:
    """Approve or reject what another operator has asked for.

    Calls the operators' listener of the running gateway, with the key in the environment variable GATEWAY_ADMIN_KEY.
    """


@approvals.command("list")
@word_option("--status", STATUSES, "Only approvals with this status", default=STATUSES[0], show_default=True)
@wide_option
@listener_options
def list_approvals(status: str, wide: bool, listener: Operators, as_json: bool) -> None:
    """List acts that wait, newest first, with all that was asked for."""
    path = with_query("/admin/v1/approvals", status=status)
    found = ask_all(listener, path, row=ApprovalView)
    print_list(found, COLUMNS, _row, as_json=as_json, wide=wide)


@approvals.command()
@click.argument("approval_id", metavar="ID")
@listener_options
def approve(approval_id: str, listener: Operators, as_json: bool) -> None:
    """Do what was asked for. It needs another key than the one that asked."""
    done: dict[str, Any] = ask(listener, "POST", path_to("approvals", approval_id, "approve"), wanted=dict[str, Any])
    print_one(done if as_json else {name: as_line(value) for name, value in done.items()}, as_json=as_json)


@approvals.command()
@click.argument("approval_id", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="Why not; kept in the audit trail.")
@listener_options
def reject(approval_id: str, reason: str, listener: Operators, as_json: bool) -> None:
    """Do not do what was asked for. The key that asked may reject it too."""
    path, body = path_to("approvals", approval_id, "reject"), RejectApproval(reason=reason)
    print_one(ask(listener, "POST", path, body=body, wanted=ApprovalView), as_json=as_json)


def _row(approval: ApprovalView) -> list[str | bool | None]:
    return [as_line(getattr(approval, column)) for column in COLUMNS]
