"""``gateway plugins conform``: run a plugin in a real gateway against its simulator, and compare both ledgers."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from gateway.cli.exits import BAD_SETTINGS, FAILED
from gateway.cli.loading import json_option
from gateway.cli.output import print_json
from gateway.cli.plugin_check import print_report

_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_folder = click.Path(path_type=Path, file_okay=False)


@click.command("conform")
@click.argument("name")
@click.option("--samples", type=_file, metavar="FILE", help="The samples; default: samples.json beside its module.")
@click.option("--replays", type=_folder, metavar="DIR", help="Where to write what passed in each story that failed.")
@click.option("--mutants", is_flag=True, help="Once more with each of some faults, to see whether it is noticed.")
@json_option
def conform_plugin(name: str, samples: Path | None, replays: Path | None, mutants: bool, as_json: bool) -> None:
    """Run the plugin NAME in a real gateway against its simulator, with every exchange spoiled in turn.

    All of it runs on free ports of this machine and takes some seconds. Exit codes: as of check.
    """
    from gateway import testing  # the kit: only its commands load it

    sys.path.append(str(Path.cwd()))
    logging.disable(logging.CRITICAL)  # what is spoiled on purpose would fill the screen
    try:
        report = testing.conform_plugin(name, samples, mutants=mutants, replays=replays)
    except (testing.NotInstalled, testing.UnusableSamples) as problem:
        click.echo(str(problem), err=True)
        sys.exit(BAD_SETTINGS)
    finally:
        logging.disable(logging.NOTSET)
    print_json(report) if as_json else print_report(report)
    sys.exit(0 if report.ok else FAILED)
