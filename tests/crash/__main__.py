"""``python -m tests.crash --kills 200`` kills a working gateway as often as asked, and prints the figures."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.crash.checks import sentences
from tests.crash.runner import Figures, run_crashes


def main() -> int:
    """Run the crashes; return 1, and keep the folder, if a check found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="Kill the gateway while it works.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument(
        "--stops",
        type=int,
        default=None,
        help="how often to pause with SIGSTOP and SIGCONT; by default a tenth of the kills",
    )
    parser.add_argument(
        "--seed", default="1", help="chooses crash points, faults and workloads, but not the machine's timing"
    )
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crashes-"))
    stops = given.kills // 10 if given.stops is None else given.stops
    figures: Figures = asyncio.run(run_crashes(folder, seed=given.seed, kills=given.kills, stops=stops))
    print(figures)
    if not any(figures.findings.values()):
        shutil.rmtree(folder)
        return 0
    print(sentences(figures.findings), f"kept: {folder}", sep="\n", file=sys.stderr)
    return 1


sys.exit(main())
