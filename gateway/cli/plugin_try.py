"""``gateway plugins try``: a workbench on one local page, on which each call of a plugin is seen."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

from gateway.cli.exits import BAD_SETTINGS
from gateway.cli.foreground import stop_signal

_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("try")
@click.argument("name")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The page's port; default: a free one.")
@click.option("--samples", type=_file, metavar="FILE", help="The samples; default: samples.json beside its module.")
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Append every answer and callback to these samples; without it, only on request, to NAME.samples.json.",
)
@click.option("--config", type=_file, metavar="PATH", help="The settings of a real account.")
@click.option("--account", metavar="TENANT/NAME", help="The real account; calls reach its provider.")
def try_plugin(
    name: str, port: int, samples: Path | None, record: Path | None, config: Path | None, account: str | None
) -> None:
    """Try the plugin NAME by hand on a local page: each request, answer and callback, and what was made of it.

    Against its simulator, or at the real provider with --config and --account. Exit code 2: not installed or usage.
    """
    from gateway.testing.conform.testbed import NoSimulator  # the kit: only its commands load it
    from gateway.testing.installed import NotInstalled
    from gateway.testing.samples import UnusableSamples

    if (config is None) is not (account is None):
        raise click.UsageError("--config and --account belong together")
    sys.path.append(str(Path.cwd()))
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    real = (config, account) if config and account else None
    try:
        asyncio.run(_try(name, port, samples, record, real))
    except (NotInstalled, UnusableSamples, NoSimulator, LookupError) as problem:
        click.echo(str(problem), err=True)
        sys.exit(BAD_SETTINGS)


async def _try(
    name: str, port: int, samples: Path | None, record: Path | None, account: tuple[Path, str] | None
) -> None:
    from gateway.core.errors import SettingsError
    from gateway.testing.installed import find_plugin
    from gateway.testing.sample_files import read_samples
    from gateway.testing.samples import Samples, shipped_with
    from gateway.testing.workbench.app import Workbench, serving
    from gateway.testing.workbench.benches import real, simulated

    plugin = find_plugin(name)
    if not plugin.providers:
        raise SettingsError(list(plugin.problems))
    path = samples or shipped_with(plugin.module)
    given = read_samples(path) if path is not None else Samples()
    file = record or Path(f"{plugin.name}.samples.json")
    with stop_signal() as stop:
        async with real(plugin, *account) if account else simulated(plugin, given) as bench:
            workbench = Workbench(plugin, bench, given, file, records=record is not None)
            async with serving(workbench, port) as url:
                click.echo(f"workbench {url}")
                await stop.wait()
