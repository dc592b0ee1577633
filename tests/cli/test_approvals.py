"""``gateway approvals``: one operator asks by a command, another approves or rejects by one, each with an own key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.support.cli import run
from tests.support.scenarios.operators_acts import REASON, flagged
from tests.support.stack import GatewayStack, running_stack
from tests.web.admin.test_approvals import KEYS, with_two


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack under four eyes."""
    async with running_stack(tmp_path, change=with_two) as opened:
        yield opened


@pytest.fixture
def person(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command with the key of one operator."""

    async def command(key: str, *arguments: str) -> Result:
        monkeypatch.setenv("GATEWAY_ADMIN_KEY", KEYS[key])
        return await asyncio.to_thread(run, *arguments, "--admin-url", stack.admin_url)

    return command


async def test_two_operators_resolve_a_review(stack: GatewayStack, person: Any) -> None:
    """The command that asks ends with 0 and the id; the list shows what was asked for; the same key cannot approve."""
    payment = await flagged(stack)
    resolve = ("payments", "review", "resolve", payment["id"], "--reason", REASON, "--actor", "Kim")
    asked = await person("kim", *resolve)
    assert asked.exit_code == 0, asked.output
    assert asked.stdout.startswith("another operator must approve this: gateway approvals approve apr_")
    identifier = asked.stdout.split()[-1]
    listed = (await person("dana", "approvals", "list", "--wide")).stdout
    for shown in (identifier, payment["id"], "reviews.resolve", "kim", REASON):
        assert shown in listed
    refused = await person("kim", "approvals", "approve", identifier)
    assert (refused.exit_code, "somebody else must" in refused.stderr) == (1, True)
    done = await person("dana", "approvals", "approve", identifier, "--json")
    assert (done.exit_code, json.loads(done.stdout)["review"]) == (0, None)
    assert (await stack.payment(payment["id"]))["review"] is None
    assert json.loads((await person("dana", "approvals", "list", "--json")).stdout) == {"data": []}


async def test_a_rejection(stack: GatewayStack, person: Any) -> None:
    """With ``--json`` the asking command prints the whole approval; the one who asked may take it back."""
    payment = await flagged(stack)
    asked = await person("kim", "payments", "review", "resolve", payment["id"], "--reason", REASON, "--json")
    made = json.loads(asked.stdout)["approval"]
    assert (asked.exit_code, made["status"], made["body"]["reason"]) == (0, "open", REASON)
    told = await person("kim", "approvals", "reject", made["id"], "--reason", "a mistake")
    assert told.exit_code == 0, told.output
    assert "rejected" in told.stdout
    [ended] = json.loads((await person("kim", "approvals", "list", "--status", "rejected", "--json")).stdout)["data"]
    assert (ended["id"], ended["decided_by"], ended["body"]) == (made["id"], "kim", None)
    assert (await person("dana", "approvals", "approve", made["id"])).exit_code == 1
