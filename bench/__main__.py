"""Run the table: ``python -m bench [--quick] [--rows NAME,...]``.

The server under test is pinned to one core, load and fake provider to the other. Everything is checked before it is
printed: every answer's status, the rows in the store, the database's integrity.
"""

from __future__ import annotations

import argparse
import os
import time

from bench import machine, wrk
from bench.effort import FULL, QUICK
from bench.rows import (
    group_commit,
    growth,
    latency,
    postgresql,
    reference,
    start,
    tenants,
    throughput,
    webhooks,
    worker_memory,
)
from bench.table import HEADINGS, Row, markdown

GROUPS = {
    "throughput": throughput.rows,
    "reference": reference.rows,
    "group_commit": group_commit.rows,
    "latency": latency.rows,
    "start": start.rows,
    "growth": growth.rows,
    "tenants": tenants.rows,
    "webhooks": webhooks.rows,
    "postgresql": postgresql.rows,
    "worker_memory": worker_memory.rows,
}


def main() -> None:
    """Measure the chosen rows and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short windows: rough figures in minutes")
    parser.add_argument("--rows", default=",".join(GROUPS), help=f"of {', '.join(GROUPS)}; all by default")
    options = parser.parse_args()
    chosen = options.rows.split(",")
    if unknown := set(chosen) - GROUPS.keys():
        parser.error(f"there are no rows {', '.join(sorted(unknown))}")
    wrk.require()
    os.sched_setaffinity(0, {machine.LOAD_CORE})
    began = time.monotonic()
    rows: list[Row] = []
    for name in chosen:
        for row in GROUPS[name](QUICK if options.quick else FULL):
            rows.append(row)
            print(f"# {name}: {' | '.join(row.cells())}", flush=True)
    print(f"\n{markdown(HEADINGS, (row.cells() for row in rows))}\n\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
