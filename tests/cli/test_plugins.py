"""``gateway plugins list``: what is installed, blocked and not allowed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import run, write


def test_plugins_list_what_is_installed() -> None:
    """Both bundled plugins, where they come from and what they offer; settings are not needed."""
    found = json.loads(run("plugins", "list", "--json", "--config", "none.yaml").stdout)["data"]
    assert [(one["name"], one["distribution"], one["providers"]) for one in found] == [
        ("creditkey", "tenant-payment-gateway", ["creditkey"]),
        ("psp_open_api", "tenant-payment-gateway", ["psp_open_api"]),
    ]


def test_plugins_list_says_what_each_can_do(tmp_path: Path) -> None:
    """Of each provider: API, commands, optional members, and the rules of its first account, as far as there is one."""
    found = json.loads(run("plugins", "list", "--json", "--config", write(tmp_path)).stdout)["data"]
    (creditkey,), (psp,) = (one["capabilities"] for one in found)
    assert creditkey["commands"] == ["create", "complete", "capture", "cancel", "update", "refund", "lookup"]
    assert (psp["api_version"], psp["logs_in"], psp["commands"]) == ("1.0", False, ["create"])
    assert "explain" in psp["optional"]
    assert "advice" not in creditkey["optional"]
    assert creditkey["rules"]["currencies"] == ["USD"]
    without = json.loads(run("plugins", "list", "--json", "--config", "none.yaml").stdout)["data"]
    assert [one["rules"] for plugin in without for one in plugin["capabilities"]] == [None, None]


def test_plugins_list_says_so_in_a_table(tmp_path: Path) -> None:
    """A line per provider; settings that cannot be loaded leave the rules out."""
    path = write(tmp_path)
    lines = run("plugins", "list", "--config", path).stdout.splitlines()
    assert "create complete capture cancel update refund lookup" in lines[1]
    assert lines[1].endswith("partial capture")
    path.write_text(path.read_text() + "surprise: true\n")
    assert "partial capture" not in run("plugins", "list", "--config", path).stdout


def test_plugins_list_leaves_out_blocked_ones(tmp_path: Path) -> None:
    """A blocked plugin is not loaded and is named as blocked."""
    (tmp_path / "settings.yaml").write_text("plugins: {blocked: [creditkey]}\n")
    shown = run("plugins", "list", "--config", tmp_path / "settings.yaml").stdout
    assert shown.splitlines()[-1] == "blocked: creditkey"
    assert [line.split()[0] for line in shown.splitlines()[1:-1]] == ["psp_open_api"]


@pytest.mark.parametrize("command", ["check", "plugins list", "accounts show"])
def test_a_misspelt_plugin_is_bad_configuration(tmp_path: Path, command: str) -> None:
    """The line has place and the right name, and nothing was loaded."""
    path = write(tmp_path)
    path.write_text(path.read_text() + "plugins: {blocked: [Creditkey]}\n")
    result = run(*command.split(), "--config", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(': plugins.blocked[0]: unknown plugin "Creditkey"; did you mean "creditkey"?\n')


def test_plugins_list_names_those_that_are_not_allowed(tmp_path: Path) -> None:
    """With a list of allowed plugins the others are named and not loaded."""
    (tmp_path / "settings.yaml").write_text("plugins: {allowed: [psp_open_api]}\n")
    shown = run("plugins", "list", "--config", tmp_path / "settings.yaml").stdout
    assert [line.split()[0] for line in shown.splitlines()[1:-1]] == ["psp_open_api"]
    assert shown.splitlines()[-1] == "not allowed: creditkey"
