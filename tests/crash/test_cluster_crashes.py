"""Two nodes of two workers on one PostgreSQL, parts of which are killed: nothing is lost or doubled.

``make crashes-cluster`` runs the same for longer, ``make failover`` lets a standby take over.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.checks import sentences
from tests.crash.cluster.crashes import run_cluster_crashes

KILLS = 3


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user may enter, as whom PostgreSQL may run."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


async def test_nothing_is_lost_or_doubled_where_parts_of_a_cluster_die(folder: Path) -> None:
    """Records, ledgers, journals and what webhooks arrived from whom agree."""
    figures = await run_cluster_crashes(folder, seed="1", kills=KILLS, stops=0, lease=3.0)
    print(figures)
    assert not any(figures.findings.values()), sentences(figures.findings)
    assert figures.kills == KILLS
