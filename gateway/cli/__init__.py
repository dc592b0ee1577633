"""Floor 5: the ``gateway`` command. One file per idea; each command loads, calls what is below, and prints."""

from __future__ import annotations

from importlib import import_module

import click

from gateway.cli.exits import Commands

MODULES = {
    "serve": "serve",
    "check": "check",
    "demo": "demo",
    "simulate": "simulate",
    "listen": "listen",
    "keys": "keys",
    "accounts": "accounts",
    "plugins": "plugins",
    "payments": "payments",
    "inbox": "inbox",
    "callback": "callback",
    "backup": "backup",
    "recover": "backup",
    "states": "states",
}
"""Where each command lives. It is imported when it is called: a server that starts needs no tables and no colours."""


class _OnDemand(Commands):
    """Commands that are imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's form
        """Every command's name, in the order of the help text."""
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        """Import one command; None: there is none of this name."""
        if cmd_name not in MODULES:
            return None
        found: click.Command = getattr(import_module(f"gateway.cli.{MODULES[cmd_name]}"), cmd_name)
        return found


@click.group(cls=_OnDemand, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tenant-payment-gateway", prog_name="gateway")
def main() -> None:
    """A payment gateway: many tenants, any provider.

    Exit codes: 0 done, 1 failed, 2 bad configuration or usage, 3 already running, 4 store unusable.
    """
