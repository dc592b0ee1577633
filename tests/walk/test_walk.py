"""The walk of a create and of a callback stays short."""

from __future__ import annotations

import pytest

from tests.support.stack import GatewayStack
from tests.walk.goals import missed
from tests.walk.measure import Walk, measure


async def test_the_walks_stay_short(stack: GatewayStack) -> None:
    """A create and a callback of a PSP enter few files and change them seldom; see ``python -m tests.walk``."""
    walks = await measure(stack)
    assert [problem for walk in walks for problem in missed(walk)] == []
    assert all("gateway/web/middleware.py" in walk.files and len(walk.stays) > 20 for walk in walks)


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
