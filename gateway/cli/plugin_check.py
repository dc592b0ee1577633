"""``gateway plugins check``: check a plugin by the kit for authors, as an object alone."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from gateway.cli.exits import BAD_SETTINGS, FAILED
from gateway.cli.loading import json_option
from gateway.cli.output import print_json

if TYPE_CHECKING:
    from gateway.testing import Report

_path = click.Path(path_type=Path)


@click.command("check")
@click.argument("name")
@click.option("--samples", type=_path, metavar="FILE", help="The samples; default: samples.json beside its module.")
@click.option(
    "--replays",
    type=_path,
    metavar="DIR",
    help="Where to write the input of each finding; default: a folder of the plugin.",
)
@click.option("--replay", type=_path, metavar="FILE", help="Make only the calls of this file again.")
@json_option
def check_plugin(name: str, samples: Path | None, replays: Path | None, replay: Path | None, as_json: bool) -> None:
    """Check the plugin NAME, as an object alone: what it builds, reads, believes and answers.

    It is found installed, on the path, or in the current folder. Exit codes: 0 no errors, 1 errors, 2 nothing checked.
    """
    from gateway.testing import UnusableSamples, kit  # no other command loads it

    sys.path.append(str(Path.cwd()))
    try:
        if replay is not None:
            sys.exit(FAILED if _replayed(name, replay, samples) else 0)
        report = kit.check_apart(name, samples, replays or _folder_of(name))
    except UnusableSamples as problem:
        click.echo(str(problem), err=True)
        sys.exit(BAD_SETTINGS)
    print_json(report) if as_json else print_report(report, replay=f"gateway plugins check {report.plugin} --replay ")
    sys.exit(0 if report.ok else FAILED)


def _folder_of(name: str) -> Path:
    """One folder for each plugin and user, so that checks do not leave more and more of them."""
    return Path(tempfile.gettempdir(), f"gateway-replays-{os.getuid()}", quote(name, safe=""))


def _replayed(name: str, replay: Path, samples: Path | None) -> bool:
    from gateway.testing import replay_calls
    from gateway.testing.apart import Ended, apart

    try:
        problem, calls = apart(lambda: replay_calls(name, replay, samples), tuple[str, list[str]])
    except Ended as end:
        problem, calls = str(end), []
    click.echo("\n".join([*calls, problem or "nothing is wrong any more"]))
    return bool(problem)


def print_report(report: Report, *, replay: str = "") -> None:
    """Print a report; ``replay`` is the command before the path of an input."""
    for one in report.findings:
        click.echo(f"{one.severity}: {one.rule}: {one.message}\n  fix: {one.fix}")
        if one.replay:
            click.echo(f"  replay: {replay}{one.replay}")
    counts = (f"{n} {what}" for what, n in report.counts.items() if not what.endswith("_microseconds"))
    click.echo(f"{report.plugin} {report.version or ''}: {', '.join(counts)}")
