"""``make sabotage``: plant one fault at a time in a copy of the code, and check that a harness turns red.

A harness that stays green on a planted fault proves nothing. Prints a table, and ends with 1 when a fault was not
caught.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.sabotage.fault import Fault
from tests.sabotage.faults import FAULTS, HARNESSES

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("gateway", "plugins", "tests", "docs", "pyproject.toml", "settings.yaml", "README.md")
PATIENCE = 600
"""Seconds after which a harness that is still running counts as red: it normally ends long before."""


_FOUND = re.compile(r"^(violated at |lost: |doubled: |unresolved: |E  +|FAILED )")
"""Beginnings of the lines in which a harness reports what it found."""

_TEST = re.compile(r"FAILED \S*/(\w+\.py)::(\w+).*")

_IDS = re.compile(r"\b[a-z]+_[0-9a-f]{32}\b|[0-9a-f-]{32,}|\bat [0-9.]+ ")


class Run(NamedTuple):
    """One run of a harness: whether it succeeded, its seconds, and what it found."""

    is_green: bool
    seconds: float
    last: str


def main() -> int:
    """Run the harnesses on the unchanged code, then on each fault; print a table. Return 1 if a row is wrong."""
    options = _options()
    chosen = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    print("| fault | harness | result | seconds |\n| --- | --- | --- | --- |", flush=True)
    wrong = sum(_row("none", name, None) for name in HARNESSES if any(fault.harness == name for fault in chosen))
    wrong += sum(_row(fault.name, fault.harness, fault) for fault in chosen)
    print(f"\n{len(chosen)} faults, {wrong} wrong rows")
    return 1 if wrong else 0


def _row(name: str, harness: str, fault: Fault | None) -> bool:
    """Print one row; return whether it is wrong."""
    run = _try(harness, fault)
    is_wrong = run.is_green is not (fault is None)
    result = "green" if run.is_green else f"caught: {run.last}"
    print(f"| {name} | {harness} | {'WRONG, ' if is_wrong else ''}{result} | {run.seconds:.0f} |", flush=True)
    return is_wrong


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sabotage", description=__doc__)
    parser.add_argument("--only", action="append", metavar="FAULT", help="only this fault; may be repeated")
    return parser.parse_args()


def _try(harness: str, fault: Fault | None) -> Run:
    """Run a harness on a copy of the code, with a planted fault or without."""
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(source, copy / name, ignore=ignored) if source.is_dir() else shutil.copy(source, copy)
        if fault is not None:
            fault.plant(copy)
        return _run(HARNESSES[harness], copy)


def _run(command: tuple[str, ...], folder: Path) -> Run:
    path = os.pathsep.join((str(folder), str(folder / "plugins")))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Run(False, time.monotonic() - began, f"did not end in {PATIENCE} s")
    return Run(done.returncode == 0, time.monotonic() - began, _last_words(done.stdout + done.stderr))


def _last_words(said: str) -> str:
    """Return the first line that reports a finding, without ids."""
    lines = [line.strip() for line in said.splitlines()]
    found = [_IDS.sub("… ", _TEST.sub(r"\1, `\2`", line)).replace("  ", " ") for line in lines if _FOUND.match(line)]
    return (found[0] if found else (lines or [""])[-1])[:120].replace("|", "/")


if __name__ == "__main__":
    sys.exit(main())
