"""``gateway reload`` against a running gateway, and SIGHUP."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import run, running, write
from tests.support.scenarios.inbox import ADMIN_KEY
from tests.support.settings_file import config, rewrite, with_operator
from tests.support.stack import running_stack


@pytest.fixture(autouse=True)
def operators_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the operators' key into the environment."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)


async def test_reload_prints_the_version_and_each_mistake(tmp_path: Path) -> None:
    """Done is 0 with hash and time, keys that need a restart on stderr; a mistake is 1 with its line."""

    def change(settings: dict[str, Any]) -> None:
        settings["egress"] = {"proxy": "http://127.0.0.1:3128"}
        settings["tenants"]["acme"]["name"] = "Acme Tools"

    async with running_stack(tmp_path, change=with_operator) as stack:
        arguments = ("reload", "--admin-url", stack.admin_url)
        rewrite(tmp_path, change)
        loaded = await asyncio.to_thread(run, *arguments)
        assert loaded.exit_code == 0
        now = await config(stack)
        assert loaded.stdout == f"loaded {now['hash']} at {now['loaded_at']}\n"
        assert loaded.stderr == "egress.proxy has changed too, but is not used yet: restart gateway serve\n"
        printed = await asyncio.to_thread(run, *arguments, "--json")
        assert json.loads(printed.stdout).keys() == {"hash", "loaded_at", "needs_restart"}
        rewrite(tmp_path, lambda settings: settings["tenants"]["acme"].update(nmae="Acme"))
        refused = await asyncio.to_thread(run, *arguments)
        assert refused.exit_code == 1
        assert 'tenant acme: nmae: unknown key "nmae"' in refused.stderr


@pytest.mark.parametrize("command", ["reload", "status", "find"])
def test_a_command_that_cannot_read_the_settings_says_what_needs_none(tmp_path: Path, command: str) -> None:
    """A mistake in the file is when an operator wants to see the gateway that runs."""
    (tmp_path / "settings.yaml").write_text("server: 7\n")
    result = run(command, "--config", tmp_path / "settings.yaml")
    first, *_, last = result.stderr.splitlines()
    assert (result.exit_code, first.startswith("settings.yaml:1: server: ")) == (2, True)
    assert last == "--admin-url URL asks the running gateway without these settings"


def test_a_hangup_loads_the_settings_again(tmp_path: Path) -> None:
    """SIGHUP kills nothing: a mistake is logged with its line, a good file with its hash, and SIGTERM still stops."""
    with running("serve", "--config", write(tmp_path)) as process:
        assert process.popen.stderr is not None

        def hang_up(message: str) -> Any:
            process.popen.send_signal(signal.SIGHUP)
            lines = map(json.loads, process.popen.stderr)  # type: ignore[arg-type]  # it is a pipe
            return next(line for line in lines if line["message"] == message)

        first = hang_up("settings loaded")["hash"]
        rewrite(tmp_path, lambda settings: settings["tenants"].update(acme=7))
        assert hang_up("the settings were not reloaded")["problem"].startswith("settings.yaml:")
        rewrite(tmp_path, lambda settings: settings["tenants"].pop("acme"))
        assert hang_up("settings loaded")["hash"] != first
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(timeout=30) == 0
