"""``gateway reload``: let the running gateway load its settings again."""

from __future__ import annotations

import click

from gateway.cli.operators import Operators, ask, listener_options
from gateway.cli.output import print_json
from gateway.drivers.settings.restart import advice
from gateway.web.admin.settings import VersionView


@click.command()
@listener_options
def reload(listener: Operators, as_json: bool) -> None:
    """Load the settings again, in the running gateway.

    They are checked as a whole first; with mistakes nothing changes, and each is printed.
    """
    made = ask(listener, "POST", "/admin/v1/reload", wanted=VersionView)
    if as_json:
        print_json(made)
        return
    click.echo(f"loaded {made.hash} at {made.loaded_at}")
    for key in made.needs_restart:
        click.echo(f"{key} has changed too, but is not used yet: {advice(key)}", err=True)
    for account in made.ended:
        click.echo(f"refused from now on although they were in use: earlier credentials of {account}", err=True)
