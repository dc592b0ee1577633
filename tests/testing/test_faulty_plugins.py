"""Sabotage: each fault that an author makes turns the kit red, with the rule that says what it is."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.testing import Report, check_plugin
from gateway.testing.rules import FIXES
from tests.support.docs_pages import ROOT
from tests.testing.faulty_plugins import FAULTS, Fault

SOUND = ROOT / "tests" / "testing" / "soundpay"
Check = Callable[[str], Report]

MOST_SECONDS = 20
CONFORM = frozenset({"simulator", "story", "ledger", "sent-twice", "unresolved", "mutant"})
UNPLANTED = frozenset({"samples", "wire-unknown", "busy-time"}) | CONFORM
"""Rules about what samples lack, about this machine, and of a whole gateway."""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Check the plugin with another source, freshly imported."""

    def run(source: str) -> Report:
        folder = tmp_path / "plugin"
        shutil.copytree(SOUND, folder)
        (folder / "soundpay.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "soundpay", raising=False)
        return check_plugin("soundpay", replays=tmp_path / "replays")

    return run


@pytest.fixture
def sound() -> str:
    """The source of the sound plugin."""
    return (SOUND / "soundpay.py").read_text()


def test_the_sound_plugin_is_sound(check: Check, sound: str) -> None:
    """Nothing to find: each fault below is the only one."""
    report = check(sound)
    assert str(report) == "soundpay: nothing is wrong"


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_is_named(check: Check, sound: str, fault: Fault) -> None:
    """The rule is reported, with what to do about it, in seconds."""
    assert fault.old in sound
    began = time.monotonic()
    report = check(with_names(sound.replace(fault.old, fault.new)))
    assert fault.rule in [finding.rule for finding in report.findings], str(report)
    assert time.monotonic() - began < MOST_SECONDS


def test_every_rule_has_its_fault() -> None:
    """A rule that nothing breaks proves nothing."""
    assert FIXES.keys() - UNPLANTED == {fault.rule for fault in FAULTS}


def with_names(source: str) -> str:
    """The source with what faults keep between calls."""
    return source.replace("\nSTAGES = {", "\nSESSIONS, KEYS, COUNTED = {}, {}, []\nSTAGES = {", 1)
