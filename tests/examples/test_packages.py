"""Each package of ``examples/``: found by its entry point, short, and green in the kit by its own test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES, PROVIDERS, seeing

MOST_LINES = 250
"""Lines of a module that are not empty, its simulator apart."""


def test_they_are_found_by_their_entry_points(installed: Path) -> None:
    """The gateway lists them beside the bundled plugins."""
    command = [sys.executable, "-m", "gateway", "plugins", "list", "--json"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, env=seeing(installed))
    assert {*PROVIDERS, "creditkey", "psp_open_api"} <= set(json.dumps(json.loads(listed.stdout)).split('"'))


def test_they_pass_the_kit(installed: Path, tmp_path: Path) -> None:
    """Their own tests, run as their authors run them: away from this repository's settings."""
    files = [str(EXAMPLES / f"gateway-{name}" / f"test_{name}.py") for name in PROVIDERS]
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null"]
    command = [sys.executable, "-m", "pytest", *options, *files]
    alone = {**seeing(installed), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", PROVIDERS)
def test_they_are_short(name: str) -> None:
    """One module that is read in one sitting."""
    module = EXAMPLES / f"gateway-{name}" / f"gateway_{name}" / "__init__.py"
    assert sum(1 for line in module.read_text().splitlines() if line.strip()) < MOST_LINES
