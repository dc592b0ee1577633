"""How long settings with many tenants take to load, and how much memory they keep: in a process of its own."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench import machine
from bench.effort import FULL, Effort
from bench.gateway import HERE
from bench.settings import settings, tenant
from bench.table import Row

FEW = 20


def rows(effort: Effort) -> Iterator[Row]:
    """As ``gateway check`` loads them. Memory: what is resident more, after a collection, divided by the tenants."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        few, many = Path(folder, "few.yaml"), Path(folder, "many.yaml")
        for config, count in ((few, FEW), (many, effort.tenants)):
            config.write_text(yaml.dump(many_tenants(count), Dumper=yaml.CSafeDumper))
        command = [sys.executable, "-m", "bench.rows.tenants", str(few), str(many)]
        seen = json.loads(machine.output(command, HERE))
    if seen["tenants"] != effort.tenants:
        raise RuntimeError(f"{seen['tenants']} tenants were loaded")
    detail = f"{effort.tenants:,} tenants with one account of six mapped fields each"
    share = effort.tenants / FULL.tenants
    yield Row("load of settings", seen["seconds"], 2 * share, 1.2 * share, at_most=True, unit=" s", detail=detail)
    kib = seen["bytes"] / effort.tenants / 1024
    yield Row("memory per tenant", kib, 6.0, 3.0, at_most=True, unit=" KiB", detail=detail)


def many_tenants(count: int) -> dict[str, object]:
    """Settings with so many tenants."""
    names = [f"tenant-{number}" for number in range(count)]
    tenants = {name: tenant(name, f"gw_k1_bench-only-{name}", 1) for name in names}
    return settings(1, 1) | {"tenants": tenants}


def load(few: Path, many: Path) -> dict[str, float]:
    """Load a file in this process, after a small one, which takes what is needed once; say what it took."""
    from gateway.drivers.plugin_registry import load_plugins
    from gateway.drivers.settings import load_settings

    providers = load_plugins().providers
    load_settings(few, providers=providers, environ={})
    before = _settled_memory()
    began = time.perf_counter()
    loaded = load_settings(many, providers=providers, environ={})
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "bytes": _settled_memory() - before, "tenants": len(loaded.tenants)}


def _settled_memory() -> int:
    """Resident bytes once all that is free was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return machine.resident("self")


if __name__ == "__main__":
    print(json.dumps(load(Path(sys.argv[1]), Path(sys.argv[2]))))
