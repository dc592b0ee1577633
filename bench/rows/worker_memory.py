"""What settings with many tenants cost in several workers, which share what was loaded before they parted."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench import machine
from bench.effort import Effort
from bench.gateway import HERE, python_of
from bench.on_postgresql import postgresql
from bench.rows.tenants import many_tenants
from bench.table import Row
from tests.support.durable_postgresql import children

WORKERS = 4

CALM_SECONDS = 3.0
"""After the start, for what is done once."""


def rows(effort: Effort) -> Iterator[Row]:
    """Proportional set sizes: a page that several processes share counts once."""
    several = ("--workers", str(WORKERS))
    gateways: dict[str, list[Sequence[str]]] = {"one": [()], "four": [()] * WORKERS, "workers": [several]}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, postgresql() as database:
        config, sizes = Path(folder, "settings.yaml"), {}
        for name, options in gateways.items():
            database.execute(f"CREATE DATABASE {name}")
            _write(config, effort.tenants, database.url(name))
            sizes[name] = _memory(config, options)
    mib = {name: f"{size / 2**20:.0f} MiB" for name, size in sizes.items()}
    detail = f"{effort.tenants:,} tenants, idle; 1 process {mib['one']}, 4 processes {mib['four']}, 4 workers"
    detail += f" and their supervisor {mib['workers']}"
    yield Row("memory, 4 workers : 4 processes", sizes["workers"] / sizes["four"], 0.8, 0.65, True, detail=detail)
    yield Row("memory, 4 workers : 1 process", sizes["workers"] / sizes["one"], at_most=True, detail=detail)


def _write(config: Path, tenants: int, url: str) -> None:
    written: dict[str, Any] = many_tenants(tenants) | {"store": {"url": url}}
    written["server"] |= {"port": 0, "admin": {"port": 0}}
    config.write_text(yaml.dump(written, Dumper=yaml.CSafeDumper))


def _memory(config: Path, gateways: Sequence[Sequence[str]]) -> int:
    """Bytes of these gateways side by side."""
    with contextlib.ExitStack() as up:
        pids = []
        for options in gateways:
            command = [python_of(HERE), "-m", "gateway", "serve", *options, "--config", str(config)]
            log = config.with_name("log")
            pids.append(up.enter_context(machine.process(command, core=machine.SERVER_CORE, log=log, folder=HERE)).pid)
        time.sleep(CALM_SECONDS)
        return sum(_proportional(one) for pid in pids for one in (pid, *children(pid)))


def _proportional(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
