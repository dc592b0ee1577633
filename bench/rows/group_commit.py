"""What sharing commits is worth on a disk whose fsync takes two milliseconds: the same units, shared and one by one.

The units are those of real payments: a gateway is recorded while it is loaded, and what it wrote is written again, in
the same order, by 64 callers at once. The store's code is the same both times; only the size of a batch differs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import machine
from bench.effort import Effort
from bench.gateway import HERE, gateway
from bench.table import Row
from bench.yardsticks import provider

CALLERS = 64
NAME = "group commit : commit per unit, fsync 2 ms"
SHARED_UNITS, SINGLE_UNITS = 2_000, 300
"""How many units each way writes; one by one is slow."""


def rows(effort: Effort) -> Iterator[Row]:
    """The median over the rounds; skipped where the slow fsync cannot be compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        yield Row(NAME, None, 15.0, 35.0, detail="there is no C compiler")
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        library = folder / "slow_fsync.so"
        source = HERE / "bench/slow_fsync.c"
        machine.output([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], HERE)
        recorded = record(folder)
        pairs = [
            tuple(
                replay(recorded, library, batch, units) for batch, units in ((CALLERS, SHARED_UNITS), (1, SINGLE_UNITS))
            )
            for _ in range(min(3, effort.rounds))
        ]
    shared, single = (statistics.median(each) for each in zip(*pairs, strict=True))
    value = statistics.median(shared / single for shared, single in pairs)
    yield Row(NAME, value, 15.0, 35.0, detail=f"{shared:,.0f} against {single:,.0f} units/s; {CALLERS} callers")


def record(folder: Path) -> Path:
    """Load a gateway that writes down its units."""
    units = folder / "units"
    with provider() as port, gateway(port, serve=("-m", "bench.rows.group_commit", "record", str(units))) as ours:
        ours.pay(4)
    return units


def replay(recorded: Path, library: Path, batch: int, units: int) -> float:
    """Write units into a new store, in a process with a slow fsync; return units per second."""
    command = [sys.executable, "-m", "bench.rows.group_commit", "replay", str(recorded), str(batch), str(units)]
    return float(machine.output(command, HERE, {"LD_PRELOAD": str(library)}))


# In processes of their own


def serve_and_record(file: Path, arguments: Sequence[str]) -> None:
    """Serve, and store every unit in the order it was committed."""
    from gateway.cli import main
    from gateway.core.errors import GatewayError
    from gateway.drivers.store import transactions
    from gateway.drivers.store.statements import Unit

    recorded: list[Unit] = []
    commit = transactions.commit_units

    def recording(writer: sqlite3.Connection, units: Sequence[Unit]) -> list[GatewayError | None]:
        recorded.extend(tuple(unit) for unit in units)
        return commit(writer, units)

    transactions.commit_units = recording
    with contextlib.suppress(SystemExit):
        main(list(arguments))
    file.write_bytes(pickle.dumps(recorded))


async def write_again(units: Sequence[Any], batch: int) -> float:
    """Write units by many callers at once, each waiting for its own; return units per second."""
    from gateway.drivers.store import sqlite

    sqlite.MAX_BATCH_UNITS = batch
    left = iter(units)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = await sqlite.open_sqlite(Path(folder, "bench.db"))

        async def caller() -> None:
            for unit in left:
                await store.commit("acme", unit)  # raises where the unit is refused

        try:
            began = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(CALLERS)))
            return len(units) / (time.perf_counter() - began)
        finally:
            await store.close()


def main(what: str, file: Path, *arguments: str) -> None:
    """Record or replay."""
    if what == "record":
        serve_and_record(file, arguments)
        return
    batch, count = (int(argument) for argument in arguments)
    units = pickle.loads(file.read_bytes())[:count]  # noqa: S301  # written by the process before
    if len(units) < count:
        raise RuntimeError(f"only {len(units)} units were recorded")
    os.sched_setaffinity(0, {machine.SERVER_CORE})
    print(asyncio.run(write_again(units, batch)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
