"""``gateway states``: print the state machine."""

from __future__ import annotations

import click

from gateway.cli.loading import json_option
from gateway.cli.output import print_json, print_table
from gateway.core.diagram import OTHER_EDGES, mermaid, states_table


@click.command()
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a Mermaid state diagram.")
@json_option
def states(as_mermaid: bool, as_json: bool) -> None:
    """Show how each stage that a provider proves changes each state.

    Needs no settings. The other transitions (create, expiry, refunds) follow below the table.
    """
    if as_mermaid and as_json:
        raise click.UsageError("--mermaid and --json cannot be used together")
    if as_mermaid:
        click.echo(mermaid(), nl=False)
    elif as_json:
        print_json({"data": states_table(), "other": [edge._asdict() for edge in OTHER_EDGES]})
    else:
        print_table(("state", "stage", "to", "review", "late"), (list(row.values()) for row in _moves()))
        click.echo()
        print_table(("state", "to", "cause"), OTHER_EDGES)


def _moves() -> list[dict[str, object]]:
    """The rows in which something happens; in the others a payment stays as it is."""
    return [{**row, "late": "yes" if row["late"] else None} for row in states_table() if row["to"] or row["review"]]
