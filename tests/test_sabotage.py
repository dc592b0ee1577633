"""``make sabotage`` takes minutes. These tests check that every fault can be planted and is in the table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.sabotage.fault import Fault
from tests.sabotage.faults import FAULTS, HARNESSES

ROOT = Path(__file__).resolve().parent.parent
TABLE = (ROOT / "docs" / "sabotage.md").read_text()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_can_be_planted(fault: Fault) -> None:
    """Each of its texts occurs in the code exactly once."""
    for edit in fault.edits:
        assert (ROOT / edit.file).read_text().count(edit.before) == 1, edit
        assert edit.before != edit.after


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_is_in_the_table(fault: Fault) -> None:
    """The table in the docs says which harness caught it."""
    assert f"| {fault.name} | {fault.harness} | caught" in TABLE


def test_every_harness_is_sabotaged() -> None:
    """Each harness has a fault that shows it can fail; names of faults are unique."""
    assert {fault.harness for fault in FAULTS} == set(HARNESSES)
    assert max(Counter(fault.name for fault in FAULTS).values()) == 1
