"""``gateway status`` against a running gateway: one screen, and an exit code."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.status import _store
from gateway.flows.status.shape import StoreStatus
from tests.support.cli import run
from tests.support.clients.psp_callbacks import change_store
from tests.support.scenarios.inbox import ADMIN_KEY
from tests.support.settings_file import with_operator
from tests.support.several_gateways import several_gateways
from tests.support.stack import psp_body, running_stack

FLAG = """UPDATE payments SET review = 'amount',
    doc = json_set(doc, '$.review', json('{"reason": "amount", "since": "2026-11-29T03:04:05Z"}'))"""


async def test_it_ends_with_1_when_something_needs_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that is well ends with 0; a payment under review is said with its command, and ends with 1."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    async with running_stack(tmp_path, change=with_operator) as stack:
        arguments = ("status", "--admin-url", stack.admin_url)
        well = await asyncio.to_thread(run, *arguments)
        assert (well.exit_code, well.stdout.splitlines()[-1]) == (0, "nothing needs a person")
        assert max(map(len, well.stdout.splitlines())) < 150
        payment = (await stack.create(psp_body())).json
        await change_store(stack, FLAG)
        unwell = await asyncio.to_thread(run, *arguments)
        assert unwell.exit_code == 1
        assert unwell.stdout.splitlines()[-1] == (
            "- 1 payment is under review, the oldest since 2026-11-29T03:04:05.000Z: gateway payments review list"
        )
        printed = await asyncio.to_thread(run, *arguments, "--json")
        found = json.loads(printed.stdout)
        assert (printed.exit_code, found["reviews"]["count"]) == (1, 1)
        assert found["config"]["hash"] == stack.gateway.settings.digest
        assert payment["id"] not in printed.stdout


async def test_several_nodes_are_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each, where it listens and under which settings it works; not where there is one process."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    async with several_gateways(tmp_path, change=with_operator) as stacks:
        for stack in stacks:
            await stack.gateway.node.renew(stack.settings.shared_digest, stack.url)
        shown = await asyncio.to_thread(run, "status", "--admin-url", stacks[1].admin_url)
        assert shown.exit_code == 0
        for stack in stacks:
            node = stack.gateway.node
            [line] = [one for one in shown.stdout.splitlines() if one.startswith(node.id)]
            assert {f"{node.host} {node.pid}", stack.url, stack.settings.shared_digest[:12]} <= set(
                re.split(r" {2,}", line)
            )


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"bytes": 181_000_000, "disk_free": 41_700_000_000}, "181 MB, 41.7 GB free on its disk, schema 4"),
        ({"bytes": 1, "disk_free": 2, "disk_is_low": True}, "1 B, 2 B free on its disk, almost full, schema 4"),
        ({"bytes": 9_100_000}, "9.1 MB, schema 4"),
        ({}, "of unknown size, schema 4"),
    ],
    ids=["file", "full disk", "database", "database out of reach"],
)
def test_of_a_store_only_what_is_known_is_said(known: dict[str, Any], said: str) -> None:
    """Of a database not how much room its disk has."""
    members = {"bytes": None, "disk_free": None, "disk_is_low": False, "schema_version": 4, "budgets": [], **known}
    assert _store(StoreStatus(**members)) == said
