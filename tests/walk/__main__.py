"""``python -m tests.walk``: through how many files one create and one callback of a PSP go, and how often they change.

Prints the figures and every stay in its order (``--stays``). Exits 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.support.stack import running_stack
from tests.walk.goals import missed
from tests.walk.measure import Walk, measure, summary


async def main(*, stays: bool) -> int:
    """Measure and print; return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_stack(Path(folder)) as stack:
            walks = await measure(stack)
    for walk in walks:
        show(walk, stays=stays)
    problems = [problem for walk in walks for problem in missed(walk)]
    print("\n".join(problems) or "all goals are met")  # what it is for
    return 1 if problems else 0


def show(walk: Walk, *, stays: bool) -> None:
    """Print one walk."""
    figures = ", ".join(f"{number} {name}" for name, number in summary(walk).items())
    print(f"{walk.name}: {figures} ({walk.uncounted})")
    for file, times in walk.flow_files.most_common():
        print(f"  {times:3} {file}")
    if stays:
        print("\n".join(f"    {number:3} {file}" for number, file in enumerate(walk.stays, 1)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.walk", description=__doc__)
    parser.add_argument("--stays", action="store_true", help="print every stay in its order")
    sys.exit(asyncio.run(main(stays=parser.parse_args().stays)))
