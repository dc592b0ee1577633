"""A gateway whose settings name a PostgreSQL database: payments, and what operators are told of such a store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.exits import ALREADY_RUNNING
from gateway.cli.operators import KEY
from tests.support.cli import run
from tests.support.postgresql import shut
from tests.support.scenarios.inbox import ADMIN_KEY, admin
from tests.support.settings_file import with_operator
from tests.support.stack import psp_body, running_stack


async def test_what_is_wrong_with_the_only_database_is_told(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which store it is, why it cannot be reached and since when: by ``/readyz``, and by ``gateway status``."""
    monkeypatch.setenv(KEY, ADMIN_KEY)

    def change(settings: dict[str, Any]) -> None:
        settings["store"] = {"url": database_url}
        with_operator(settings)

    async with running_stack(tmp_path, change=change) as stack:
        shut(database_url)
        problem = "no answer"
        while "no answer" in problem:  # a busy machine may need longer than the gateway waits
            [problem] = (await admin(stack, "GET", "/readyz")).json["problems"]
            assert problem.startswith("store main is unavailable since 20")
        assert "is not currently accepting connections" in problem
        asking = ("status", "--config", tmp_path / "settings.yaml", "--admin-url", stack.admin_url)
        said = await asyncio.to_thread(run, *asking)
        assert (said.exit_code, said.stderr) == (1, f"Error: {problem}\n")


async def test_a_payment_the_status_and_commands_beside(tmp_path: Path, database_url: str) -> None:
    """Bytes are the database's, its disk is nobody's here; what reads does so beside the server, ``recover`` waits."""

    def change(settings: dict[str, Any]) -> None:
        settings["store"] = {"url": database_url, "pool": 4, "statement_timeout": "20s"}
        with_operator(settings)

    def command(*arguments: object) -> Any:
        return run(*arguments, "--config", tmp_path / "settings.yaml")

    async with running_stack(tmp_path, change=change) as stack:
        created = await stack.create(psp_body())
        assert created.status == 201, created.text
        assert (await stack.payment(created.json["id"]))["state"] == "awaiting_customer"
        store = (await admin(stack, "GET", "/admin/v1/status")).json["store"]
        assert (store["bytes"] > 1_000_000, store["disk_free"], store["disk_is_low"]) == (True, None, False)
        verified = await asyncio.to_thread(command, "audit", "verify", "--json")
        assert json.loads(verified.stdout)["problems"] == []
        recovered = await asyncio.to_thread(command, "recover")
        assert (recovered.exit_code, "other gateways are using the store" in recovered.stderr) == (
            ALREADY_RUNNING,
            True,
        )
    assert (await asyncio.to_thread(command, "recover")).exit_code == 0
    backed_up = await asyncio.to_thread(command, "backup", tmp_path / "copy.db")
    assert (backed_up.exit_code, "pg_basebackup" in backed_up.stderr) == (2, True)
    assert (await asyncio.to_thread(command, "check")).exit_code == 0
