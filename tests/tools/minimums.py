"""Print every declared dependency at exactly its minimum version, one ``name==version`` a line, as pip's constraints.

``make test-floors`` runs the tests on these: a floor in ``pyproject.toml`` is a promise that somebody tries.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
FLOOR = re.compile(r"(?P<name>[A-Za-z0-9._-]+)>=(?P<version>[0-9][0-9.]*)")


def minimums() -> Iterator[str]:
    """The runtime's and the tests' dependencies. Raises ``ValueError`` for one without a minimum."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    for declared in (*project["dependencies"], *project["optional-dependencies"]["test"]):
        found = FLOOR.fullmatch(declared)
        if found is None:
            raise ValueError(f"{declared}: must be NAME>=VERSION")
        yield f"{found['name']}=={found['version']}"


if __name__ == "__main__":
    print(*minimums(), sep="\n")
