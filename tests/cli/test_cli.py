"""The command line: what it prints, on which stream, and with which exit code it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.options import parse_date
from tests.support.cli import SHIPPED, run

BAD = "server: {}\nbogus: 1\n"


# check


MISSING = "none.yaml:1: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("command", ["check", "simulate", "accounts show", "payments list", "payments show pay_1"])
def test_a_missing_settings_file_is_bad_configuration(tmp_path: Path, command: str) -> None:
    """Every command that needs settings ends with 2 and names the file that is not there."""
    result = run(*command.split(), "--config", tmp_path / "none.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", MISSING)


def test_the_environment_names_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GATEWAY_CONFIG stands for --config."""
    (tmp_path / "other.yaml").write_text(BAD)
    monkeypatch.setenv("GATEWAY_CONFIG", str(tmp_path / "other.yaml"))
    assert "other.yaml:1" in run("check").stderr


@pytest.mark.parametrize("arguments", [["nothing"], ["check", "--bogus"], ["keys", "new", "--id", "a b"]])
def test_bad_usage_exits_2(arguments: list[str]) -> None:
    """A command, option or value that is not known ends with 2."""
    assert run(*arguments).exit_code == 2


# the command itself


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["staus"], 'there is no command "staus"; did you mean "status"?'),
        (["payments", "lst"], 'there is no command "lst"; did you mean "list"?'),
        (["zzz"], 'there is no command "zzz"; known are accounts, approvals, '),
        (["audit", "show"], 'there is no command "show"; known are verify'),
    ],
)
def test_an_unknown_command_is_answered_with_the_one_that_was_meant(arguments: list[str], said: str) -> None:
    """In the groups too."""
    result = run(*arguments)
    assert (result.exit_code, f"Error: {said}" in result.stderr) == (2, True)


def test_the_version_is_the_package_s() -> None:
    """--version prints one line."""
    assert re.fullmatch(r"gateway, version [0-9.]+\n", run("--version").stdout)


def every_command(group: click.Group = main, *path: str) -> Iterator[tuple[str, ...]]:
    """All commands and groups, as they are typed."""
    context = click.Context(group)
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        yield (*path, name)
        if isinstance(one, click.Group):
            yield from every_command(one, *path, name)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_help_is_cut_or_shows_codes(columns: int) -> None:
    """Sentences are whole in any window, lists of words are wrapped, and dates are shown by example."""
    found = [(), *every_command()]
    assert ("payments", "review", "settle") in found
    for path in found:
        shown = CliRunner().invoke(main, [*path, "--help"], terminal_width=columns).stdout
        assert "..." not in shown.replace("]...", "").replace("ID...", ""), path
        assert "%" not in shown, path
        assert max(map(len, shown.splitlines())) <= columns, path


def test_gateway_alone_shows_the_way() -> None:
    """Without a command it names what to run first, and that is no mistake."""
    result = run()
    assert result.exit_code == 0
    for command in ("gateway demo", "gateway check", "gateway serve", "gateway keys new", "gateway --help", "docs/"):
        assert command in result.stdout
    assert all(len(line) <= 100 for line in result.stdout.splitlines())


@pytest.mark.parametrize("text", ["31.1.2026", "yesterday", "2026-13-01", "2026-01-31T25:00:00Z", ""])
def test_a_date_that_is_none_is_explained_by_example(text: str) -> None:
    """The message shows dates, not how they are parsed."""
    result = run("inbox", "list", "--since", text, "--config", SHIPPED)
    assert result.exit_code == 2
    assert "2026-01-31T12:00:00Z" in result.stderr
    assert "%" not in result.stderr


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00+0000", "2026-01-31 12:00", "2026-01-31T13:00:00.000+01:00"]
)
def test_a_moment_without_a_zone_is_utc(text: str) -> None:
    """All forms of one moment are the same."""
    assert parse_date(text) == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_help_names_every_command_and_the_exit_codes() -> None:
    """The first page is enough to find the rest."""
    shown = run("--help").stdout
    commands = {"serve", "check", "demo", "simulate", "keys", "accounts", "plugins", "payments"}
    assert commands <= {line.split()[0] for line in shown.splitlines() if line.strip()}
    assert "3 already" in shown
