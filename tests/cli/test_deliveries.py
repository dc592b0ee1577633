"""``gateway deliveries`` against a running gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.support.cli import run
from tests.support.clients.operators import ADMIN_KEY, with_key
from tests.support.clients.psp_callbacks import new_payment
from tests.support.factories.deliveries import rows_when
from tests.support.stack import GatewayStack, running_stack

LONG_AGO = ("--since", "2026-01-01")


@pytest.fixture
async def staffed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayStack]:
    """A running stack, and the operators' key in the environment."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    async with running_stack(tmp_path, change=with_key) as opened:
        yield opened


async def command(stack: GatewayStack, *arguments: str) -> Result:
    """Run a command against the stack, beside it."""
    return await asyncio.to_thread(run, *arguments, "--admin-url", stack.admin_url)


async def printed(stack: GatewayStack, *arguments: str) -> Any:
    """What a command that goes well prints as JSON."""
    result = await command(stack, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def dead_letters(stack: GatewayStack) -> list[str]:
    """Ids of the webhooks that an endpoint which was away has cost; it is back and enabled."""
    stack.webhook_answer = lambda _: 410
    payment = await new_payment(stack)
    rows = await rows_when(stack, payment["id"], lambda rows: bool(rows) and all(row.status == "dead" for row in rows))
    stack.webhook_answer = lambda _: 204
    assert (await command(stack, "endpoints", "enable", "acme")).exit_code == 0
    return [row.id for row in rows]


async def test_a_tenants_dead_letters_are_listed(staffed: GatewayStack) -> None:
    """Whole ids, how many attempts, and what the endpoint last answered."""
    dead = await dead_letters(staffed)
    shown = await command(staffed, "deliveries", "list", "--tenant", "acme", "--status", "dead")
    assert shown.exit_code == 0, shown.output
    assert all(one in shown.stdout for one in dead)
    assert "410" in shown.stdout
    found = (await printed(staffed, "deliveries", "list", "--tenant", "acme", "--status", "dead"))["data"]
    assert sorted(one["id"] for one in found) == sorted(dead)
    assert (await printed(staffed, "deliveries", "list", "--tenant", "globex"))["data"] == []


async def test_the_list_ends_at_its_limit(staffed: GatewayStack) -> None:
    """Also where it takes more than a page of the listener."""
    for _ in range(2):
        await new_payment(staffed)
    assert len((await printed(staffed, "deliveries", "list", "--limit", "1"))["data"]) == 1
    assert len((await printed(staffed, "deliveries", "list", "--limit", "201"))["data"]) > 1


async def test_named_webhooks_are_sent_again(staffed: GatewayStack) -> None:
    """Each of them, at once."""
    dead = await dead_letters(staffed)
    done = await printed(staffed, "deliveries", "redeliver", *dead, "--reason", "the endpoint is back")
    assert [one["id"] for one in done["data"]] == dead
    assert (await printed(staffed, "deliveries", "list", "--status", "dead"))["data"] == []


async def test_a_range_is_counted_before_it_is_sent(staffed: GatewayStack) -> None:
    """Without --apply nothing goes out."""
    dead = await dead_letters(staffed)
    counted = await command(staffed, "deliveries", "redeliver", *LONG_AGO, "--tenant", "acme")
    assert (counted.exit_code, f"{len(dead)} would be sent again" in counted.stderr) == (0, True)
    assert len((await printed(staffed, "deliveries", "list", "--status", "dead"))["data"]) == len(dead)
    done = await printed(staffed, "deliveries", "redeliver", *LONG_AGO, "--apply")
    assert (done["count"], done["dry_run"]) == (len(dead), False)


@pytest.mark.parametrize("arguments", [(), ("dlv_1", *LONG_AGO), (*LONG_AGO, "--status", "pending")])
async def test_what_is_meant_must_be_clear(staffed: GatewayStack, arguments: tuple[str, ...]) -> None:
    """IDs or a range, and a status that can be sent again."""
    assert (await command(staffed, "deliveries", "redeliver", *arguments)).exit_code == 2


async def test_an_unknown_webhook_is_one_line(staffed: GatewayStack) -> None:
    """The listener's words, and 1."""
    result = await command(staffed, "deliveries", "redeliver", "dlv_1")
    assert (result.exit_code, "there is no such delivery" in result.output) == (1, True)
