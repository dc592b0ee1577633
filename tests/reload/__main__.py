"""``python -m tests.reload --reloads 100 --tenants 10000``: reloads under load, then of many tenants, with figures."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.reload.many_tenants import load_seconds, measure, write
from tests.reload.under_load import reload_under_load


def main() -> int:
    """Run both; return 1 if a request failed or a payment was not made wholly by one version."""
    parser = argparse.ArgumentParser(prog="python -m tests.reload", description="Reload a gateway that works.")
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--tenants", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(reload_under_load(Path(folder, "under_load"), given.reloads))
        print(figures, *figures.findings, sep="\n")
        Path(folder, "many").mkdir()
        path = write(Path(folder, "many"), given.tenants)
        print(f"{given.tenants} tenants: a load alone takes {load_seconds(path):.2f} s")
        phases = asyncio.run(measure(path))
        print(*phases, sep="\n")
    return int(bool(figures.findings) or any(phase.failed for phase in phases))


sys.exit(main())
