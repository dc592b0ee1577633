"""Plugins on the path: what a folder's ``pyproject.toml`` names, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.drivers.installed_plugins import installed, origin_of
from gateway.drivers.plugin_sources import on_path, unreadable
from tests.support.cli import run

PROJECT = (
    '[project]\nname = "gateway-acme"\nversion = "0.3"\n[project.entry-points."gateway.providers"]\nacme = "acme"\n'
)


def test_a_folder_of_sources_is_as_good_as_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entry point is found with name and version; none of its code runs."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.syspath_prepend(tmp_path)
    (point,) = (one for one in installed() if one.name == "acme")
    assert (point.value, origin_of(point)) == ("acme", ("gateway-acme", "0.3"))


def test_what_is_installed_and_on_the_path_is_there_once() -> None:
    """The bundled plugins are installed, and their pyproject.toml is on the path of the tests."""
    names = [point.name for point in installed()]
    assert names.count("creditkey") == 1


@pytest.mark.parametrize("text", ['"gateway.providers" = [', "[project]\n# gateway.providers\n", "[tool.x]\ny = 1\n"])
def test_other_files_say_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken file, and one of another project, are passed over."""
    (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert [point.name for point in on_path() if point.dist and point.dist.locate_file("") == tmp_path] == []


WRONG = [
    ('"gateway.providers" = [', "(at end of document)"),
    ("project = 5 # gateway.providers", '"project" must be a table'),
    ('[project.entry-points]\n"gateway.providers" = 5', '"gateway.providers" must be a table'),
    ('[project.entry-points."gateway.providers"]\nfoo = "../x:y z"', 'foo must be "MODULE" or "MODULE:OBJECT"'),
    ('[project.entry-points."gateway.providers"]\nfoo = 5', 'foo must be "MODULE" or "MODULE:OBJECT"'),
    (b"# \xff gateway.providers", "can't decode byte 0xff"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_why_a_file_is_passed_over(
    text: str | bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start passes it over; who looks for a plugin is told."""
    path = tmp_path / "pyproject.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    monkeypatch.syspath_prepend(tmp_path)
    (line,) = unreadable()
    assert line.startswith(f"{path}: ")
    assert said in line
    assert "foo" not in [point.name for point in on_path()]
    assert line in run("plugins", "check", "foo").stderr
