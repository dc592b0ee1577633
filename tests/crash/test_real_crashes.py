"""The real server, killed and paused under load: nothing acknowledged is lost or doubled, and everything is resolved.

``python -m tests.crash --kills 200`` (or ``make crashes``) runs the same for longer.
"""

from __future__ import annotations

from pathlib import Path

from tests.crash.checks import sentences
from tests.crash.runner import run_crashes

KILLS, STOPS = 20, 1


async def test_nothing_is_lost_or_doubled_by_crashes(tmp_path: Path) -> None:
    """Records, ledgers and journals agree after kills at random crash points, pauses and provider faults."""
    figures = await run_crashes(tmp_path, seed="1", kills=KILLS, stops=STOPS)
    print(figures)
    assert not any(figures.findings.values()), sentences(figures.findings)
    assert (figures.kills, figures.stops) == (KILLS, STOPS)
    assert figures.in_flight > 0, "no operation was in flight at any kill: this run proves nothing"
