"""Histories of the whole gateway under a virtual clock, checked against independent ledgers and journals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.core.facts import Declined
from gateway.drivers.store import claims
from gateway.flows.payments import submit
from tests.simulation.__main__ import explained
from tests.simulation.history import run_history
from tests.simulation.seed_corpus import failing_seeds

BLOCK = 25
FIRST_SEEDS = range(0, 200, BLOCK)
HAPPENS = ("operations", "crashes", "faults", "stops", "answers", "acquirer refund", "acquirer capture")
"""What each block of seeds must have had."""

PRINT_FINGERPRINT = "from tests.simulation.history import run_history; print(run_history({seed}).fingerprint)"


@pytest.mark.parametrize("seed", failing_seeds())
def test_a_history_that_once_failed_keeps_every_promise(seed: int) -> None:
    """A bug that was found once does not come back."""
    outcome = run_history(seed)
    assert not outcome.violations, explained(outcome)


@pytest.mark.parametrize("first", FIRST_SEEDS)
def test_every_promise_is_kept(first: int) -> None:
    """Nothing is lost, doubled or left unresolved, whatever fails and whenever the process dies."""
    figures: Counter[str] = Counter()
    for seed in range(first, first + BLOCK):
        outcome = run_history(seed)
        assert not outcome.violations, explained(outcome)
        figures.update(outcome.figures)
    assert min(figures[name] for name in HAPPENS) > 0


def test_a_seed_is_a_history() -> None:
    """The same seed gives the same history, to the last line."""
    assert run_history(7).trace == run_history(7).trace


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_is_the_same_history_everywhere(hash_seed: str) -> None:
    """Another process, with another order of sets, gives the same history."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", PRINT_FINGERPRINT.format(seed=7)]
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed}
    printed = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert printed.stdout.strip() == run_history(7).fingerprint


def test_a_broken_gateway_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that takes a timeout for a refusal breaks an invariant."""
    monkeypatch.setattr(submit, "Unknown", lambda message: Declined(code="silent", message=message))
    assert any(run_history(seed).violations for seed in range(10))


TAKES_ANYTHING = " ON CONFLICT (tenant, kind, id) DO UPDATE SET node = excluded.node WHERE ? > 0 RETURNING tenant, id"


@pytest.mark.parametrize(("engine", "seeds"), [("sqlite", range(4)), ("postgresql", range(4, 5))])
def test_two_nodes_keep_every_promise(engine: str, seeds: range) -> None:
    """On one store, each with a clock of its own, whichever is called and whenever one dies: its work is taken over."""
    figures: Counter[str] = Counter()
    for seed in seeds:
        outcome = run_history(seed, 2, engine)
        assert not outcome.violations, explained(outcome)
        figures.update(outcome.figures)
    assert min(figures[name] for name in ("operations", "crashes", "faults", "answers")) > 0


def test_work_that_two_nodes_do_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that claims what another holds, and holds still, sends what the other sends."""
    monkeypatch.setattr(claims, "_TAKE_OVER", TAKES_ANYTHING)
    assert any("was sent" in violation for seed in range(5, 8) for violation in run_history(seed, 2).violations)
