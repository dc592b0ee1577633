"""Seeds that failed once. A change of the simulation gives a seed another history; the old ones stay good company."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

CORPUS = Path(__file__).with_name("failing_seeds.txt")


def failing_seeds() -> list[int]:
    """The seeds to be replayed first."""
    lines = (line.partition("#")[0].strip() for line in CORPUS.read_text().splitlines())
    return [int(line) for line in lines if line]


def add_failing_seeds(seeds: Iterable[int]) -> None:
    """Add the seeds that are not there yet."""
    new = sorted(set(seeds) - set(failing_seeds()))
    with CORPUS.open("a") as corpus:
        corpus.writelines(f"{seed}\n" for seed in new)
