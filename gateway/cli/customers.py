"""``gateway customers``: what is kept about a customer, through the running gateway: exported, or erased."""

from __future__ import annotations

from typing import Any

import click
import msgspec
from msgspec.structs import replace

from gateway.cli.exits import Group
from gateway.cli.operators import Operators, ask, listener_options
from gateway.cli.options import combined_options
from gateway.cli.output import print_json, print_table
from gateway.flows.customers.erase import Found
from gateway.web.admin.customers import EraseBody, ErasureView, ExportBody

PAGE = 50
"""Payments that are asked for at once."""

COLUMNS = ("tenant", *Found.__struct_fields__)


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    data: list[msgspec.Raw]
    callbacks: list[msgspec.Raw]
    next_cursor: str | None


_customer_options = combined_options(
    click.option("--email", metavar="ADDRESS", help="An e-mail address, in small or capital letters."),
    click.option("--phone", metavar="NUMBER", help="A phone number; only its digits count."),
    click.option("--customer-id", metavar="ID", help="The tenant's own id of the customer."),
    click.option("--tenant", metavar="TENANT", help="Only of this tenant."),
    listener_options,
)
"""Which customer, and where the gateway is."""


@click.group(cls=Group)
def customers() -> None:
    """Export or erase what is kept about a customer.

    Calls the operators' listener of the running gateway, with the key in the environment variable GATEWAY_ADMIN_KEY.
    """


@customers.command()
@_customer_options
def export(listener: Operators, as_json: bool, **who: str | None) -> None:  # noqa: ARG001  # always JSON
    """Print everything that is kept about a customer, as JSON."""
    body = ExportBody(limit=PAGE, **_one(who))
    data, callbacks = list[msgspec.Raw](), list[msgspec.Raw]()
    while True:
        page = ask(listener, "POST", "/admin/v1/customers/export", body=body, wanted=_Page)
        data, callbacks = [*data, *page.data], [*callbacks, *page.callbacks]
        if page.next_cursor is None:
            break
        body = replace(body, cursor=page.next_cursor)
    print_json({"data": data, "callbacks": callbacks})


@customers.command()
@_customer_options
@click.option("--apply", is_flag=True, help="Erase. Without it nothing is changed.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the audit trail.")
def erase(apply: bool, reason: str | None, listener: Operators, as_json: bool, **who: str | None) -> None:
    """Erase personal data of a customer from payments that have ended, and from all that was recorded about them.

    Without --apply it shows what would be erased. Payments that are still open wait and are erased when they end.
    """
    body = EraseBody(apply=apply, reason=reason, **_one(who))
    done = ask(listener, "POST", "/admin/v1/customers/erase", body=body, wanted=ErasureView)
    if as_json:
        print_json(done)
        return
    print_table(COLUMNS, ([getattr(one, column) for column in COLUMNS] for one in done.tenants))
    click.echo(_sentence(done))


def _one(who: dict[str, str | None]) -> dict[str, Any]:
    """The options that name the customer. Raises click's usage error unless one does."""
    if sum(who[name] is not None for name in ("email", "phone", "customer_id")) != 1:
        raise click.UsageError("name the customer by one of --email, --phone, --customer-id")
    return who


def _sentence(done: ErasureView) -> str:
    """What was done, in a line."""
    left = f"; {done.waiting} wait until they have ended" if done.waiting else ""
    if done.applied:
        return f"erased from {done.payments} payments{left}"
    if done.payments or done.callbacks:
        return f"nothing was changed: --apply erases from {done.payments} payments{left}"
    return f"nothing to erase{left}"
