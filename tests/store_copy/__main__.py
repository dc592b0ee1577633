"""``python -m tests.store_copy --payments 100000``: a store to PostgreSQL and back, and again with kills; figures."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench import fill
from tests.support.postgresql_cluster import Cluster, running_cluster

ORIGINALS = 500
"""Payments that a gateway makes; the others are copies of their rows."""

KILLS = 5
"""How often each copy is killed before it may end."""


class Copied(NamedTuple):
    """A copy that ended."""

    seconds: float
    kills: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s" + (f" of work, killed {self.kills} times" if self.kills else "")


def main() -> int:
    """Run all; return 1 where two stores are not equal."""
    parser = argparse.ArgumentParser(prog="python -m tests.store_copy", description="Copy a store and back.")
    parser.add_argument("--payments", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = random.randrange(10**6) if given.seed is None else given.seed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another user
        first = filled(folder, given.payments)
        print(
            f"{given.payments} payments, {Path(first.removeprefix('sqlite:///')).stat().st_size:,} bytes; seed {seed}"
        )
        with running_cluster(folder / "cluster") as cluster:
            return int(
                not all(
                    [
                        *there_and_back(cluster, folder, first, None),
                        *there_and_back(cluster, folder, first, random.Random(seed)),
                    ]
                )
            )


def filled(folder: Path, payments: int) -> str:
    """A store with so many payments, made by a gateway; its URL."""
    (folder / "first").mkdir(mode=0o700)
    path = folder / "first" / "gateway.db"
    originals = min(ORIGINALS, payments)
    shutil.move(fill.originals(folder, originals), path)
    if payments > originals:
        fill.multiply(path, payments)
    return f"sqlite:///{path}"


def there_and_back(cluster: Cluster, folder: Path, first: str, chance: random.Random | None) -> list[bool]:
    """Copy to PostgreSQL and from there to another file; whether all three stores are equal."""
    name = "killed" if chance else "copied"
    cluster.execute(f"CREATE DATABASE {name}")
    second, third = cluster.url(name), f"sqlite:///{folder / name / 'gateway.db'}"
    print(f"SQLite to PostgreSQL: {copied(first, second, chance)}")
    print(f"PostgreSQL to SQLite: {copied(second, third, chance)}")
    return [are_equal(first, second), are_equal(second, third), are_equal(first, third)]


def copied(source: str, target: str, chance: random.Random | None) -> Copied:
    """Copy; with ``chance`` it is killed at random points, and begun again each time. Raises where it fails."""
    began, kills = time.monotonic(), 0
    while True:
        command = subprocess.Popen(gateway("copy", source, target), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            patience = chance.uniform(1, 12) if chance is not None and kills < KILLS else None
            _, errors = command.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            command.kill()
            command.communicate()
            kills += 1
            continue
        if command.returncode != 0:
            raise SystemExit(f"store copy ended with {command.returncode}: {errors.decode()}")
        return Copied(time.monotonic() - began, kills)


def are_equal(one: str, other: str) -> bool:
    """Compare two stores as users do, and say how long that took."""
    began = time.monotonic()
    compared = subprocess.run(gateway("check", one, other, "--json"), capture_output=True, check=False)
    found = json.loads(compared.stdout)
    rows = sum(row["source"]["rows"] for row in found["data"])
    print(
        f"  {rows:,} rows compared in {time.monotonic() - began:.1f} s: {'equal' if found['is_equal'] else 'DIFFERENT'}"
    )
    return bool(found["is_equal"])


def gateway(command: str, *arguments: str) -> list[str]:
    """The command line of a copy or a comparison."""
    return [sys.executable, "-m", "gateway", "store", command, *arguments]


if __name__ == "__main__":
    sys.exit(main())
