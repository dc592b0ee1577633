"""Seeds that failed once. A change of the simulation gives a seed another history; the old ones stay good company."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

KEPT = Path(__file__).with_name("failing_seeds.txt")


def kept_seeds() -> list[int]:
    """The seeds to be replayed first."""
    lines = (line.partition("#")[0].strip() for line in KEPT.read_text().splitlines())
    return [int(line) for line in lines if line]


def keep(seeds: Iterable[int]) -> None:
    """Add the seeds that are not there yet."""
    new = sorted(set(seeds) - set(kept_seeds()))
    with KEPT.open("a") as kept:
        kept.writelines(f"{seed}\n" for seed in new)
