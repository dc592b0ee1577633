"""Plugins on the path: what a folder's ``pyproject.toml`` names, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.drivers.installed_plugins import installed, origin_of
from gateway.drivers.plugin_sources import on_path

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
