"""What the first commands of a newcomer install: no more than they run, in either order."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what make looks at, as a fresh clone has it."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tests/tools").mkdir(parents=True)
    shutil.copy(ROOT / "tests/tools/minimums.py", tmp_path / "tests/tools")
    return tmp_path


def would_run(folder: Path, *targets: str) -> str:
    """What make would do, without doing it."""
    command = ["make", "--dry-run", "--no-print-directory", *targets]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout


def done(folder: Path, *marks: str) -> None:
    """Leave the folder as installations leave it."""
    (folder / ".venv").mkdir(exist_ok=True)
    for mark in marks:
        (folder / ".venv" / mark).touch()


@pytest.mark.parametrize("target", ["demo", "serve"])
def test_a_first_look_installs_what_it_runs(clone: Path, target: str) -> None:
    """No tools of tests and checks; what happens is said first."""
    said = would_run(clone, target)
    assert (said.count("pip install"), "[dev]" in said) == (1, False)
    assert said.startswith("echo")
    assert "--quiet" not in said  # each library is named while it comes
    assert would_run(clone, "demo", "serve").count("pip install") == 1


@pytest.mark.parametrize("target", ["test", "check"])
def test_work_on_it_installs_the_tools(clone: Path, target: str) -> None:
    """One installation has everything, also after ``make demo``."""
    for marks in ((), (".installed",)):
        done(clone, *marks)
        said = would_run(clone, target)
        assert (said.count("pip install"), ".[dev]" in said) == (1, True)


def test_benchmarks_bring_what_they_compare_with(clone: Path) -> None:
    """Frameworks and a profiler that nothing else needs."""
    for marks in ((), (".installed", ".ready")):
        done(clone, *marks)
        said = would_run(clone, "bench", "profile")
        assert (said.count("pip install"), ".[bench]" in said) == (1, True)
    done(clone, ".benches")
    assert "pip install" not in would_run(clone, "bench", "profile", "demo")


def test_nothing_is_installed_twice(clone: Path) -> None:
    """The tools' installation has what the demo runs on."""
    done(clone, ".installed", ".ready")
    for target in ("demo", "serve", "test", "check"):
        assert "pip install" not in would_run(clone, target)
