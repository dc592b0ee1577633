"""``python -m tests.crash.cluster crashes --kills 100`` kills parts of two nodes on one PostgreSQL, and prints figures.

``python -m tests.crash.cluster failover`` kills the primary database under load and promotes its standby: a
synchronous one, then asynchronous ones.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.crash.checks import sentences
from tests.crash.cluster.crashes import ISOLATIONS, LEASE, WORKERS, run_cluster_crashes
from tests.crash.cluster.failover import fail_over
from tests.crash.cluster.loss import lose

BEHIND = (0.0, 1.0)
"""Seconds that the asynchronous standbys are behind."""


def main() -> int:
    """Run what is asked for; return 1, and keep the folder, if a check found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.cluster", description="Kill two nodes at work.")
    parser.add_argument("what", choices=["crashes", "failover"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=None, help="how often to pause a node; by default a tenth of them")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--lease", type=float, default=LEASE, help="seconds")
    parser.add_argument("--isolation", choices=ISOLATIONS, default=ISOLATIONS[0], help="of the database's transactions")
    parser.add_argument("--seed", default="1", help="chooses what dies, but not the machine's timing")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.chmod(0o711)  # PostgreSQL may run as another user
    findings = (_crashes if given.what == "crashes" else _failovers)(folder, given)
    if not any(findings.values()):
        shutil.rmtree(folder)
        return 0
    print(sentences(findings), f"kept: {folder}", sep="\n", file=sys.stderr)
    return 1


def _crashes(folder: Path, given: argparse.Namespace) -> Mapping[str, Sequence[str]]:
    stops = given.kills // 10 if given.stops is None else given.stops
    figures = asyncio.run(
        run_cluster_crashes(
            folder,
            seed=given.seed,
            kills=given.kills,
            stops=stops,
            workers=given.workers,
            lease=given.lease,
            isolation=given.isolation,
        )
    )
    print(figures)
    return figures.findings


def _failovers(folder: Path, given: argparse.Namespace) -> Mapping[str, Sequence[str]]:
    for name in ("synchronous", *(f"asynchronous-{behind:g}" for behind in BEHIND)):
        (folder / name).mkdir()
    figures = asyncio.run(fail_over(folder / "synchronous", seed=given.seed, workers=given.workers, lease=given.lease))
    print(figures, flush=True)
    for behind in BEHIND:
        print(asyncio.run(lose(folder / f"asynchronous-{behind:g}", seed=given.seed, behind=behind)), flush=True)
    return figures.findings


sys.exit(main())
