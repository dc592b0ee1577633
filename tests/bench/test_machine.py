"""CPU time of a process, thread by thread."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.machine import LOAD_CORE, Cpu, process, spent


def test_the_main_thread_is_told_from_the_others() -> None:
    """A thread that began between the readings counts whole, one that ended does not count."""
    before, after = {7: 1_000, 8: 500, 9: 100}, {7: 4_000, 8: 600, 10: 50}
    assert spent(7, before, after) == Cpu(main=3_000, others=150)


def test_work_shows_where_it_was_done() -> None:
    """The figures come from the kernel: a thread that computes is seen as another thread's."""
    code = (
        "import threading; done = threading.Event()\n"
        "def work():\n sum(range(3_000_000)); done.set(); threading.Event().wait()\n"
        "threading.Thread(target=work, daemon=True).start(); done.wait(); print('ready', flush=True)\n"
        "threading.Event().wait()"
    )
    with process([sys.executable, "-c", code], core=LOAD_CORE) as server:
        cpu = spent(server.pid, {}, server.threads())
    assert cpu.others > 0
    assert server.start_memory > 1_000_000


def test_a_server_that_does_not_start_raises(tmp_path: Path) -> None:
    """What it said is shown."""
    with (
        pytest.raises(RuntimeError, match="did not start: Traceback"),
        process([sys.executable, "-c", "1 / 0"], core=LOAD_CORE, log=tmp_path / "log"),
    ):
        pass
