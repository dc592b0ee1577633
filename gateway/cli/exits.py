"""Errors become exit codes here and nowhere else."""

from __future__ import annotations

from typing import Any

import click

from gateway.core.errors import GatewayError, SettingsError, Unavailable
from gateway.core.wording import unknown_name
from gateway.drivers.store.store_files import AlreadyRunning

FAILED, BAD_SETTINGS, ALREADY_RUNNING, STORE_UNUSABLE = 1, 2, 3, 4

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (SettingsError, BAD_SETTINGS),
    (AlreadyRunning, ALREADY_RUNNING),
    (Unavailable, STORE_UNUSABLE),
    (GatewayError, FAILED),
    (OSError, FAILED),  # such as an address that is in use
)
"""The first kind that fits decides. Bad usage is 2 as well; that is click's own."""

EXPECTED = tuple(kind for kind, _ in EXIT_CODES)

WHOLE = 1000
"""Characters that no command's first sentence has."""


class Group(click.Group):
    """A group whose help shows the first sentence of each command whole, however narrow the window."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; a long sentence goes on in the next line."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(WHOLE)) for name, one in commands if one is not None])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command. For an unknown name say which was meant, also where commands are imported one by one."""
        name = args[0]
        if not (name.startswith("-") or ctx.resilient_parsing or self.get_command(ctx, name)):
            ctx.fail(unknown_name(name, self.list_commands(ctx), f'there is no command "{name}"'))
        return super().resolve_command(ctx, args)


class Commands(Group):
    """A group whose commands' errors are printed on stderr and end the process with their code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of our output went away: click ends quietly
        except EXPECTED as problem:
            ctx.exit(said(problem))


def said(problem: Exception) -> int:
    """Print what went wrong on stderr; the code to end with."""
    click.echo(str(problem), err=True)
    return next(code for kind, code in EXIT_CODES if isinstance(problem, kind))
