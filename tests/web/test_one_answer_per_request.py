"""An answer too many is nobody's answer: the short form of ``python -m tests.attacks.answers``."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.answers import KINDS, OTHERS, is_deceived, scene

PAUSE = 0.01


async def test_no_answer_too_many_is_taken_for_an_answer(tmp_path: Path) -> None:
    """Whatever a neighbour's far side says too much, every call of every kind has its own answer."""
    async with scene(tmp_path) as (host, stack):
        deceived = [
            (kind, where)
            for kind in KINDS
            for where, neighbour in OTHERS.items()
            if await is_deceived(host, stack, kind, neighbour, PAUSE, waits=True)
        ]
    assert deceived == []
