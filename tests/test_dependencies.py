"""What the gateway depends on: declared, with a minimum that is tried, and on the page that says why."""

from __future__ import annotations

import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.docs_pages import text_of
from tests.test_import_order import ROOT, imports, modules
from tests.tools import minimums
from tests.tools.audit import report

PAGE = "docs/dependencies.md"
DECLARED = dict(line.split("==") for line in minimums.minimums())


def test_every_minimum_is_explained() -> None:
    """Each dependency has a row with the minimum that pyproject.toml declares, and no row is left over."""
    rows = re.findall(r"^\| (`[^|]+`) \| [^|]+ \| (`[^|]+`) \| [^|]{4,} \|", text_of(PAGE), re.MULTILINE)
    told = {
        name: version
        for names, versions in rows
        for name, version in zip(re.findall(r"`([^`]+)`", names), re.findall(r"`([^`]+)`", versions), strict=True)
    }
    assert told == DECLARED


@pytest.mark.parametrize(("folder", "least"), [("gateway", 9), ("plugins", 2)])
def test_every_imported_library_is_declared(folder: str, least: int) -> None:
    """What comes only because something else needs it may go at any time."""
    known = modules(ROOT)
    found = {
        one.imported.partition(".")[0]
        for name, path in modules(ROOT, folder).items()
        for one in imports(name, path, known)
    }
    foreign = found - sys.stdlib_module_names - {"gateway", "gateway_creditkey", "gateway_psp_open_api"}
    owners = packages_distributions()
    undeclared = {
        name for name in foreign if not {owner.lower().replace("_", "-") for owner in owners[name]} & DECLARED.keys()
    }
    assert (undeclared, len(foreign) >= least) == (set(), True)


@pytest.mark.parametrize("declared", ["aiohttp", "aiohttp>3", "aiohttp>=3,<4", "aiohttp==3.14.1", "aiohttp>=3.x"])
def test_a_dependency_without_a_minimum_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    """Only a plain minimum can be tried exactly."""
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\ndependencies = ["click>=8.2.0", "{declared}"]\n[project.optional-dependencies]\ntest = []\n'
    )
    monkeypatch.setattr(minimums, "PYPROJECT", tmp_path / "pyproject.toml")
    with pytest.raises(ValueError, match="must be NAME>=VERSION"):
        list(minimums.minimums())


SKIPPED = {"name": "a", "skip_reason": "Dependency not found on PyPI"}
SOUND = {"name": "b", "version": "1.0", "vulns": []}
WEAK = {"name": "c", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND, SKIPPED], 0, "1 packages audited, 1 not, 0 known weaknesses"),
        ([SOUND, WEAK], 1, "c 1.0: PYSEC-1, fixed in 1.1\n2 packages audited, 0 not, 1 known weaknesses"),
        ([SKIPPED], 2, "PyPI's advisory service did not answer here: nothing was audited"),
        ([], 2, "PyPI's advisory service did not answer here: nothing was audited"),
    ],
)
def test_an_audit_says_what_it_could_not_ask(
    capsys: pytest.CaptureFixture[str], packages: list[dict[str, object]], code: int, said: str
) -> None:
    """Nothing known and nobody asked are told apart."""
    assert (report(packages), capsys.readouterr().out) == (code, f"{said}\n")
