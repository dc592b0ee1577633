"""``gateway audit``: the trail through a running gateway, and its check in the store beside it."""

from __future__ import annotations

import asyncio
import getpass
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import Result

from gateway.drivers.store.sqlite import open_sqlite, open_sqlite_to_read
from tests.flows.test_audit_chain import edit
from tests.support.cli import run, write
from tests.support.scenarios.inbox import ADMIN_KEY, admin
from tests.support.settings_file import with_operator
from tests.support.stack import GatewayStack, running_stack


@pytest.fixture(autouse=True)
def operators_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the operators' key into the environment."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack whose settings were loaded again twice."""
    async with running_stack(tmp_path, change=with_operator) as opened:
        for _ in range(2):
            await admin(opened, "POST", "/admin/v1/reload")
        yield opened


async def command(stack: GatewayStack, *arguments: object) -> Result:
    """Run a command on the stack's settings."""
    return await asyncio.to_thread(run, "audit", *arguments, "--config", stack.folder / "settings.yaml")


async def test_the_trail_is_listed(stack: GatewayStack) -> None:
    """Newest first, every page of it, chosen by key and time."""
    through = ("--admin-url", stack.admin_url)
    listed = await command(stack, *through)
    assert listed.exit_code == 0, listed.output
    header, *lines = [re.split(r"  +", line) for line in listed.stdout.splitlines()]
    assert header[:4] == ["at", "key_id", "approved_by", "act"]
    who = [("operator", "reload"), ("operator", "reload"), ("the gateway", "start")]
    assert [(line[1], line[3]) for line in lines] == who
    printed = json.loads(
        (await command(stack, *through, "--key", "operator", "--since", "2026-01-01", "--json")).stdout
    )
    assert [row["act"] for row in printed["data"]] == ["reload", "reload"]
    assert json.loads((await command(stack, *through, "--until", "2026-01-01", "--json")).stdout) == {"data": []}


async def test_the_check_ends_with_0_and_prints_the_head(stack: GatewayStack) -> None:
    """Beside the running gateway and without a key; a head that was kept is looked for."""
    checked = await command(stack, "verify")
    assert (checked.exit_code, checked.stdout.split(" head ")[0]) == (0, "ok: 3 rows,")
    head = checked.stdout.split(" head ")[1].strip()
    await admin(stack, "POST", "/admin/v1/reload")
    printed = await command(stack, "verify", "--head", head, "--json")
    assert printed.exit_code == 0, printed.output
    found = json.loads(printed.stdout)
    assert (found["rows"], found["problems"], found["head"][:2]) == (4, [], "4:")
    assert (await command(stack, "verify", "--head", f"3:{'0' * 64}")).exit_code == 1
    assert (await command(stack, "verify", "--head", "3")).exit_code == 2


async def test_an_edited_row_ends_it_with_1(stack: GatewayStack) -> None:
    """Each problem is a line on stderr, or in the list that programs read."""
    edit(stack.store_file, "UPDATE audit_log SET key_id = 'nobody' WHERE sequence = 2")
    checked = await command(stack, "verify")
    assert (checked.exit_code, checked.stdout[:6]) == (1, "wrong:")
    assert checked.stderr == "row 2 or the keyed hash of the row before was changed\n"
    printed = await command(stack, "verify", "--json")
    assert (printed.exit_code, json.loads(printed.stdout)["problems"]) == (1, [checked.stderr.strip()])


@pytest.mark.parametrize("options", [[], ["--restored"]])
async def test_recovering_is_in_the_trail(tmp_path: Path, options: list[str]) -> None:
    """Commands that write the store themselves need no key; the row says so, and who called them."""
    config = write(tmp_path)
    assert (await asyncio.to_thread(run, "audit", "verify", "--config", config)).exit_code == 4
    await (await open_sqlite(tmp_path / "data" / "gateway.db")).close()
    assert (await asyncio.to_thread(run, "recover", *options, "--config", config)).exit_code == 0
    store = await open_sqlite_to_read(tmp_path / "data" / "gateway.db")
    [row] = await store.audit.after(0, 10)
    await store.close()
    assert (row.act, row.key_id) == ("recover", "command line")
    details = json.loads(row.details)
    assert (details["actor"], details["restored"]) == (getpass.getuser(), bool(options))
    assert (await asyncio.to_thread(run, "audit", "verify", "--config", config)).exit_code == 0
