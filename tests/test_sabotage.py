"""``make sabotage`` takes minutes; that it still can be run, and that its table tells of every fault, takes none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.sabotage.faults import FAULTS, HARNESSES, Fault

ROOT = Path(__file__).resolve().parent.parent
TABLE = (ROOT / "docs" / "sabotage.md").read_text()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_can_be_planted(fault: Fault) -> None:
    """Each of its texts stands in the code exactly once."""
    for edit in fault.edits:
        assert (ROOT / edit.file).read_text().count(edit.before) == 1, edit
        assert edit.before != edit.after


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_is_in_the_table(fault: Fault) -> None:
    """The docs say that it was caught, and by what."""
    assert f"| {fault.name} | {fault.harness} | caught" in TABLE


def test_every_harness_is_sabotaged() -> None:
    """A harness without a fault is not shown able to fail; a fault has one name."""
    assert {fault.harness for fault in FAULTS} == set(HARNESSES)
    assert max(Counter(fault.name for fault in FAULTS).values()) == 1
