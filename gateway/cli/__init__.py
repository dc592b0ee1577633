"""Layer 5: the ``gateway`` command. One file per idea; each command loads, calls what is below, and prints."""

from __future__ import annotations

import functools
import gc
from importlib import import_module
from types import ModuleType

import click

from gateway.cli.exits import Commands

MODULES = {
    "serve": "serve",
    "check": "check",
    "demo": "demo",
    "simulate": "simulate",
    "listen": "listen",
    "keys": "keys",
    "tenants": "tenants",
    "accounts": "accounts",
    "map": "map",
    "fields": "fields",
    "schema": "schema",
    "plugins": "plugins",
    "find": "find",
    "payments": "payments",
    "inbox": "inbox",
    "customers": "customers",
    "callback": "callback",
    "deliveries": "deliveries",
    "endpoints": "endpoints",
    "backup": "backup",
    "recover": "backup",
    "migrate": "migrate",
    "reload": "reload",
    "audit": "audit",
    "approvals": "approvals",
    "states": "states",
    "status": "status",
    "store": "store",
}
"""Where each command lives. It is imported when it is called: a server that starts needs no tables and no colours."""


class _OnDemand(Commands):
    """Commands that are imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's form
        """Every command's name, in the order of the help text."""
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        """Import one command; None for an unknown name."""
        if cmd_name not in MODULES:
            return None
        found: click.Command = getattr(_imported(MODULES[cmd_name]), cmd_name)
        return found


@functools.cache
def _imported(name: str) -> ModuleType:
    """Import without garbage collection, which would look through all modules again and again: they stay."""
    gc.disable()
    module = import_module(f"gateway.cli.{name}")
    gc.freeze()
    gc.enable()
    return module


FIRST_STEPS = """A payment gateway: many tenants, any provider.

  gateway demo          see it work: payments through both providers, on this machine alone
  gateway check         check the settings (settings.yaml, or --config PATH)
  gateway serve         run it; --with-simulators --listen needs no account at a provider
  gateway tenants new   add a tenant; gateway accounts new adds its account at a provider
  gateway keys new      make a key for a tenant, or with --admin for an operator

gateway --help lists all commands, gateway COMMAND --help explains one. The documentation begins
in docs/index.md; a running gateway shows its API at /docs."""


@click.group(cls=_OnDemand, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tenant-payment-gateway", prog_name="gateway")
@click.pass_context
def main(context: click.Context) -> None:
    """A payment gateway: many tenants, any provider.

    Exit codes: 0 done, 1 failed, 2 bad configuration or usage, 3 already running, 4 store unusable.
    """
    if context.invoked_subcommand is None:
        click.echo(FIRST_STEPS)
