"""Floor 5: the ``gateway`` command. One file per idea; each command loads, calls what is below, and prints."""

from __future__ import annotations

import click

from gateway.cli.accounts import accounts
from gateway.cli.check import check
from gateway.cli.demo import demo
from gateway.cli.exits import Commands
from gateway.cli.keys import keys
from gateway.cli.payments import payments
from gateway.cli.plugins import plugins
from gateway.cli.serve import serve
from gateway.cli.simulate import simulate
from gateway.cli.states import states


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tenant-payment-gateway", prog_name="gateway")
def main() -> None:
    """A payment gateway: many tenants, any provider.

    Exit codes: 0 done, 1 failed, 2 bad configuration or usage, 3 already running, 4 store unusable.
    """


for command in (serve, check, demo, simulate, keys, accounts, plugins, payments, states):
    main.add_command(command)
