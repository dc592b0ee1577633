"""``gateway plugins check``: check a plugin by the kit for authors, as an object alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.exits import BAD_SETTINGS, FAILED
from gateway.cli.loading import json_option
from gateway.cli.output import print_json

if TYPE_CHECKING:
    from gateway.testing import Report

_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_folder = click.Path(path_type=Path, file_okay=False)


@click.command("check")
@click.argument("name")
@click.option("--samples", type=_file, metavar="FILE", help="The samples; default: samples.json beside its module.")
@click.option(
    "--replays", type=_folder, metavar="DIR", help="Where to write the input of each finding; default: a new folder."
)
@click.option("--replay", type=_file, metavar="FILE", help="Make only the calls of this file again.")
@json_option
def check_plugin(name: str, samples: Path | None, replays: Path | None, replay: Path | None, as_json: bool) -> None:
    """Check the plugin NAME, as an object alone: what it builds, reads, believes and answers.

    It is found installed, on the path, or in the current folder. Exit codes: 0 no errors, 1 errors, 2 not installed.
    """
    from gateway import testing  # the kit: no other command loads it

    sys.path.append(str(Path.cwd()))
    try:
        if replay is not None:
            sys.exit(FAILED if _replayed(name, replay, samples) else 0)
        report = testing.check_plugin(name, samples, replays=replays)
    except (testing.NotInstalled, testing.UnusableSamples, ValueError) as problem:
        click.echo(str(problem), err=True)
        sys.exit(BAD_SETTINGS)
    print_json(report) if as_json else print_report(report, replay=f"gateway plugins check {report.plugin} --replay ")
    sys.exit(0 if report.ok else FAILED)


def _replayed(name: str, replay: Path, samples: Path | None) -> bool:
    from gateway.testing import replay_calls

    problem, calls = replay_calls(name, replay, samples)
    click.echo("\n".join([*calls, problem or "nothing is wrong any more"]))
    return bool(problem)


def print_report(report: Report, *, replay: str = "") -> None:
    """Print a report; ``replay`` is the command before the path of an input."""
    for one in report.findings:
        click.echo(f"{one.severity}: {one.rule}: {one.message}\n  fix: {one.fix}")
        if one.replay:
            click.echo(f"  replay: {replay}{one.replay}")
    click.echo(
        f"{report.plugin} {report.version or ''}: {', '.join(f'{n} {what}' for what, n in report.counts.items())}"
    )
