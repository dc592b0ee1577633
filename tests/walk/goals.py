"""How far one create and one callback may wander through the code."""

from __future__ import annotations

from tests.walk.measure import Walk

GOALS = {"create": (28, 85), "callback": (24, 60)}
"""The most files and the most stays of each walk."""

MOST_STAYS_IN_A_FLOW_FILE = 5


def missed(walk: Walk) -> list[str]:
    """Say which goals a walk misses."""
    most_files, most_stays = GOALS[walk.name]
    problems = []
    if len(walk.files) > most_files:
        problems.append(f"{walk.name}: {len(walk.files)} files, at most {most_files} wanted")
    if len(walk.stays) > most_stays:
        problems.append(f"{walk.name}: {len(walk.stays)} stays, at most {most_stays} wanted")
    for file, times in walk.flow_files.items():
        if times > MOST_STAYS_IN_A_FLOW_FILE:
            problems.append(f"{walk.name}: {file} is entered {times} times, at most 5 wanted")
    return problems
