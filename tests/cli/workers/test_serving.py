"""``gateway serve --workers N``: where it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import run, running, write


def test_sqlite_takes_one_process(tmp_path: Path) -> None:
    """The sentence says what to use instead, and why."""
    with running("serve", "--workers", 2, "--config", write(tmp_path), lines=0) as process:
        code, errors = process.ended()
    assert code == 2
    assert all(word in errors for word in ("--workers", "SQLite", "PostgreSQL", "store.url", "one process"))


@pytest.mark.parametrize("option", ["--with-simulators", "--listen"])
def test_what_needs_one_process_is_refused(tmp_path: Path, option: str) -> None:
    """Simulators and the viewer live in the gateway's own process."""
    ended = run("serve", "--workers", 2, option, "--config", write(tmp_path))
    assert (ended.exit_code, option in ended.stderr) == (2, True)


def test_no_worker_is_refused(tmp_path: Path) -> None:
    """At least one."""
    assert run("serve", "--workers", 0, "--config", write(tmp_path)).exit_code == 2
