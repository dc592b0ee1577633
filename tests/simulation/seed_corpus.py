"""Seeds that failed once, replayed first. When the simulation changes, a seed gets another history; it stays useful."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

CORPUS = Path(__file__).with_name("failing_seeds.txt")


def failing_seeds() -> list[int]:
    """Return the seeds to replay first."""
    lines = (line.partition("#")[0].strip() for line in CORPUS.read_text().splitlines())
    return [int(line) for line in lines if line]


def add_failing_seeds(seeds: Iterable[int]) -> None:
    """Add the seeds that are new."""
    new = sorted(set(seeds) - set(failing_seeds()))
    with CORPUS.open("a") as corpus:
        corpus.writelines(f"{seed}\n" for seed in new)
