"""The command line of the benchmarks, and the page about them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.__main__ import GROUPS, main

README = Path(__file__).parents[2] / "bench/README.md"


def test_every_group_of_rows_is_on_the_page() -> None:
    """A reader learns there what a row counts."""
    assert [name for name in GROUPS if f"| `{name}` |" not in README.read_text()] == []


def test_an_unknown_group_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is started."""
    monkeypatch.setattr(sys, "argv", ["bench", "--rows", "throughput,guesses"])
    with pytest.raises(SystemExit):
        main()
    assert "there are no rows guesses" in capsys.readouterr().err
