"""``gateway customers`` against a running gateway: export, a dry run, an erasure, and the same again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.test_review import KEY_VARIABLE
from tests.flows.customers.test_erase import MAIL, paid
from tests.support.cli import run
from tests.support.stack import GatewayStack, psp_body, running_stack
from tests.web.admin.test_reviews import with_key


@pytest.fixture
async def staffed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayStack]:
    """A running stack that operators have a key for."""
    monkeypatch.setenv(KEY_VARIABLE, "operators-test-key")
    async with running_stack(tmp_path, change=with_key) as opened:
        yield opened


async def customers(stack: GatewayStack, *arguments: str) -> Result:
    """Run a command against the stack, beside it."""
    return await asyncio.to_thread(run, "customers", *arguments, "--admin-url", stack.admin_url)


async def printed(stack: GatewayStack, *arguments: str) -> Any:
    """What a command that goes well prints as JSON."""
    result = await customers(stack, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_an_export_holds_every_payment(staffed: GatewayStack) -> None:
    """Of all tenants, the open ones too; without --json it is the same JSON."""
    payments = [await paid(staffed), (await staffed.create(psp_body(), tenant="globex")).json]
    found = await printed(staffed, "export", "--email", MAIL)
    assert {one["payment"]["id"] for one in found["data"]} == {one["id"] for one in payments}
    captured = next(one for one in found["data"] if one["payment"]["state"] == "captured")
    assert captured["purchase"]["customer"]["email"] == MAIL
    assert MAIL in captured["callbacks"][0]["body"]
    assert [one["body"]["data"]["payment"]["metadata"] for one in captured["webhooks"]]
    plain = await customers(staffed, "export", "--customer-id", "C-88")
    assert json.loads(plain.stdout) == found


async def test_an_export_goes_on_page_by_page(staffed: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many payments there are."""
    made = [(await staffed.create(psp_body())).json["id"] for _ in range(3)]
    monkeypatch.setattr("gateway.cli.customers.PAGE", 2)
    found = await printed(staffed, "export", "--email", MAIL)
    assert [one["payment"]["id"] for one in found["data"]] == made


async def test_erasing_is_a_dry_run_unless_applied(staffed: GatewayStack) -> None:
    """It says what would be erased, then erases it, then finds nothing more; each time it ends with 0."""
    payment = await paid(staffed)
    await staffed.create(psp_body())
    dry = await customers(staffed, "erase", "--email", MAIL)
    assert dry.exit_code == 0, dry.output
    assert "nothing was changed: --apply erases from 1 payments; 1 wait until they have ended" in dry.stdout
    assert (await staffed.payment(payment["id"]))["metadata"] != {}
    done = await printed(staffed, "erase", "--email", MAIL, "--apply", "--reason", "asked by letter")
    assert (done["applied"], done["payments"], done["waiting"]) == (True, 1, 1)
    assert [one["tenant"] for one in done["tenants"]] == ["acme"]
    assert (await staffed.payment(payment["id"]))["metadata"] == {}
    again = await printed(staffed, "erase", "--email", MAIL, "--apply")
    assert (again["payments"], again["callbacks"], again["waiting"]) == (0, 0, 1)
    assert "nothing to erase; 1 wait" in (await customers(staffed, "erase", "--email", MAIL)).stdout


@pytest.mark.parametrize("who", [[], ["--email", "a@b.example", "--phone", "1"]])
async def test_one_name_is_needed(staffed: GatewayStack, who: list[str]) -> None:
    """Not none, and not two."""
    result = await customers(staffed, "erase", *who)
    assert (result.exit_code, "by one of --email, --phone, --customer-id" in result.output) == (2, True)


async def test_a_restored_backup_is_erased_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backup holds what was erased since; ``recover --restored`` erases it before a gateway starts on it."""
    monkeypatch.setenv(KEY_VARIABLE, "operators-test-key")
    copy = tmp_path / "copy.db"
    async with running_stack(tmp_path / "stack", change=with_key) as stack:
        config, store = stack.settings.source, stack.store_file
        payment = await paid(stack)
        waiting = (await stack.create(psp_body())).json
        assert run("backup", copy, "--config", config).exit_code == 0
        assert (await printed(stack, "erase", "--email", MAIL, "--apply"))["payments"] == 1
    assert MAIL.encode() in copy.read_bytes()
    for file in store.parent.glob(f"{store.name}-*"):
        file.unlink()
    shutil.copyfile(copy, store)
    recovered = await asyncio.to_thread(run, "recover", "--restored", "--config", config, "--json")
    assert (recovered.exit_code, json.loads(recovered.stdout)["erased"]) == (0, 1), recovered.output
    with contextlib.closing(sqlite3.connect(store)) as look:
        found = look.execute("SELECT id FROM payments WHERE purchase LIKE ?", (f"%{MAIL}%",)).fetchall()
        left = look.execute("SELECT payment_id FROM pending_erasures").fetchall()
    assert found == left == [(waiting["id"],)]
    assert payment["id"].encode() in store.read_bytes()
