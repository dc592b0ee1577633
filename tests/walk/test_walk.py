"""The walk of a create and of a callback stays short."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.walk.goals import missed
from tests.walk.measure import ROOT, Walk


def test_the_walks_stay_short() -> None:
    """A create and a callback of a PSP enter few files and change them seldom.

    In a process of its own: what other tests have left in caches changes the way.
    """
    measured = subprocess.run(
        [sys.executable, "-m", "tests.walk"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert measured.returncode == 0, measured.stdout + measured.stderr
    assert {line.split(":")[0] for line in measured.stdout.splitlines() if " stays" in line} == {"create", "callback"}


@pytest.mark.parametrize(
    ("stays", "problem"),
    [
        (tuple(f"gateway/{number}.py" for number in range(25)), "25 files"),
        (("gateway/a.py", "gateway/b.py") * 31, "62 stays"),
        (("gateway/flows/a.py", "gateway/b.py") * 6, "entered 6 times"),
    ],
)
def test_a_longer_walk_is_found(stays: tuple[str, ...], problem: str) -> None:
    """Each of the three limits of a callback can be passed."""
    assert [problem in text for text in missed(Walk("callback", stays, ""))] == [True]
