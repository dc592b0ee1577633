"""``gateway demo`` plays to its end, or ends with 1 at the step that fails."""

from __future__ import annotations

import mmap
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from gateway.cli.demo import steps
from gateway.cli.demo.environment import Environment
from gateway.cli.demo.psp import psp_create, psp_webhook
from gateway.cli.foreground import ENDING, IGNORED
from tests.support.cli import run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_demo_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """A signal in the middle of the demo ends it with 1, and its folder is gone.

    However slow this process is, the demo cannot come to its end meanwhile: its output has too little room.
    """
    command = [sys.executable, "-m", "gateway", "demo"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=PIPE, stderr=PIPE, env=environment, bufsize=0, pipesize=mmap.PAGESIZE
    ) as process:
        assert process.stdout is not None
        while b"1." not in process.stdout.readline():
            pass
        assert list(tmp_path.iterdir())
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Give the test process its signals back after a command that ran in it."""
    kept = {number: signal.getsignal(number) for number in (*ENDING, *IGNORED)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_the_demo_plays_to_its_end() -> None:
    """Every step holds; the output shows the wire body under the tenant's keys, the alerts and all timelines."""
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == f"all {len(steps.STEPS)} steps as expected"
    assert '"sum":162.48' in result.stdout
    assert "order amounts can only be increased by $100" in result.stdout
    assert result.stdout.count("arrived, verified by the reference library") == 7
    assert result.stdout.count("the tenant received a webhook for each") == 4
    for kind, times in {"captured": 2, "partially_refunded": 2, "canceled": 1}.items():
        assert len(re.findall(rf"^ [0-9]+ +\S+Z +payment\.{kind} ", result.stdout, re.MULTILINE)) == times


@pytest.mark.usefixtures("own_signals")
def test_the_demo_ends_with_1_at_the_step_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not as expected ends the demo there, named, and later steps are not played."""

    async def psp_pay(on: Environment) -> None:
        """the customer pays"""
        on.check("state captured", False, "awaiting_customer")

    monkeypatch.setattr(steps, "STEPS", (psp_create, psp_pay, psp_webhook))
    result = run("demo")
    assert result.exit_code == 1
    assert "expected: state captured, seen: awaiting_customer" in result.stdout
    assert result.stdout.splitlines()[-1] == "failed at step 2. the customer pays"
