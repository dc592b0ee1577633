"""A store that other users may open: refused by every command that would use it outside development."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import yaml

from gateway.cli.exits import BAD_SETTINGS, STORE_UNUSABLE
from tests.support.cli import run


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Production settings whose store an older gateway made under the umask 022."""
    monkeypatch.setenv("MASTER", secrets.token_urlsafe(40))
    server = {"secret": "env:MASTER", "public_url": "https://pay.example", "host": "127.0.0.1", "port": 0}
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({"server": server, "store": {"url": "sqlite:///data/gateway.db"}, "tenants": {}}))
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "data" / "gateway.db").write_bytes(b"SQLite format 3\0")
    (tmp_path / "data" / "gateway.db").chmod(0o644)
    return path


@pytest.mark.parametrize(
    ("command", "code"), [("check", BAD_SETTINGS), ("serve", STORE_UNUSABLE), ("recover", STORE_UNUSABLE)]
)
def test_a_wide_store_is_refused(config: Path, command: str, code: int) -> None:
    """With the commands that close it."""
    result = run(command, "--config", config)
    assert result.exit_code == code, result.output
    for way_out in (f"chmod 700 {config.parent}/data", f"chmod 600 {config.parent}/data/gateway.db"):
        assert way_out in result.output


def test_once_closed_it_is_no_mistake(config: Path) -> None:
    """The commands that were named are enough."""
    (config.parent / "data").chmod(0o700)
    (config.parent / "data" / "gateway.db").chmod(0o600)
    result = run("check", "--config", config)
    assert (result.exit_code, result.stdout.split("\n")[0]) == (0, "ok")
