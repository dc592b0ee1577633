"""For tests of the command line: settings on disk, commands in this process, servers in another."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.support.stack import basic_settings

SHIPPED = Path(__file__).parents[2] / "settings.yaml"

LONGEST = 60.0
"""Seconds that a process of a test may live."""


def run(*arguments: object) -> Result:
    """Run a command that ends by itself."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def can_be_typed(words: Sequence[str]) -> bool:
    """Whether words lead from ``gateway`` to a command that has each option among them."""
    command: click.Command | None = main
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    if command is None or isinstance(command, click.Group):
        return False
    return {word for word in words if word.startswith("-")} <= {name for one in command.params for name in one.opts}


def write(folder: Path, **server: Any) -> Path:
    """Write usable settings with free ports; ``server`` replaces members of that section."""
    settings = basic_settings({"psp": 1, "creditkey": 1, "hooks": 1})
    settings["server"] |= server
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


class Process(NamedTuple):
    """A command that runs until it is stopped. ``lines`` are what it has printed when it was ready."""

    popen: subprocess.Popen[str]
    lines: list[str]

    @property
    def urls(self) -> list[str]:
        """The addresses in its lines."""
        return [word for line in self.lines for word in line.split() if word.startswith("http://")]

    def ended(self) -> tuple[int, str]:
        """Wait for the end; exit code and stderr."""
        _, errors = self.popen.communicate(timeout=60)
        return self.popen.returncode, errors


@contextlib.contextmanager
def running(*arguments: object, lines: int = 1, before: tuple[str, ...] = ()) -> Iterator[Process]:
    """Run a command in a process of its own for the time of the block; wait for ``lines`` lines on stdout.

    ``before`` stands before the command, as ``nice`` would.
    """
    popen = subprocess.Popen(
        [*before, sys.executable, "-m", "gateway", *(str(argument) for argument in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A line that never comes must be a red test, not a hanging one.
    watchdog = threading.Timer(LONGEST, popen.kill)
    watchdog.start()
    try:
        assert popen.stdout is not None
        yield Process(popen, [popen.stdout.readline().rstrip("\n") for _ in range(lines)])
    finally:
        watchdog.cancel()
        popen.kill()
        popen.communicate()
