"""``gateway store copy`` and ``gateway store check``: what they print, how they end, and what a copy is good for."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.store import NO_COPY
from gateway.core.payment import State
from gateway.drivers.clock import SystemClock
from gateway.drivers.store.copying.copier import Mark
from gateway.drivers.store.metadata import COPYING, set_timestamp
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.statements import NO_TENANT, Statement
from tests.support.cli import run, running, write
from tests.support.factories.store_units import resolved_payment, stored
from tests.support.server_process import running_server_process
from tests.support.stack import GatewayStack, creditkey_body, psp_body
from tests.support.stores import ENGINES, fresh_url

KEY = "5f0c4f2e-first-request"
ACCOUNT = {"account": "creditkey-main", "provider": "creditkey"}


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """Settings, and a store with a payment on its way and one authorized."""
    path = write(tmp_path)
    store = await open_sqlite(tmp_path / "data" / "gateway.db")
    await stored(store, 1, **ACCOUNT)
    await resolved_payment(store, 2, State.AUTHORIZED, **ACCOUNT)
    await store.close()
    return path


def urls(folder: Path) -> tuple[str, str]:
    """The store of settings, and where its copy goes."""
    return f"sqlite:///{folder / 'data' / 'gateway.db'}", f"sqlite:///{folder / 'copy' / 'gateway.db'}"


def use_copy(config: Path) -> None:
    """Let settings name the copy."""
    config.write_text(config.read_text().replace("data/gateway.db", "copy/gateway.db"))


async def command(*arguments: object) -> Any:
    """Run a command in this process, which has a loop already."""
    return await asyncio.to_thread(run, "store", *arguments)


async def change(url: str, *statements: Statement) -> None:
    """Write into a store that nobody uses."""
    store = await open_sqlite(Path(url.removeprefix("sqlite:///")))
    await store.commit(NO_TENANT, statements)
    await store.close()


async def test_a_copy_is_equal_and_says_so(config: Path) -> None:
    """Both commands print each table of each tenant with rows and hash, and end with 0."""
    copied = await command("copy", *urls(config.parent))
    assert copied.exit_code == 0, copied.output
    assert "payments: 2 rows copied" in copied.stderr
    checked = await command("check", *urls(config.parent))
    assert (checked.exit_code, checked.stdout, checked.stderr) == (0, copied.stdout, "")
    assert checked.stdout.splitlines()[1].split()[:3] == ["payments", "acme", "2"]
    printed = json.loads((await command("check", *urls(config.parent), "--json")).stdout)
    assert printed["is_equal"] is True
    assert printed["data"][0]["source"] == printed["data"][0]["target"]
    assert (printed["data"][0]["table"], printed["data"][0]["tenant"], printed["data"][0]["source"]["rows"]) == (
        "payments",
        "acme",
        2,
    )


async def test_a_difference_is_named(config: Path) -> None:
    """Check ends with 1 and names table and tenant; a copy that is not one is refused the same."""
    source, target = urls(config.parent)
    assert (await command("copy", source, target)).exit_code == 0
    await change(target, Statement("UPDATE payments SET state = 'failed' WHERE id = 'pay_002'", ()))
    checked = await command("check", source, target)
    assert (checked.exit_code, checked.stderr) == (1, "the stores differ in table payments of tenant acme\n")
    copied = await command("copy", source, target)
    assert (copied.exit_code, "holds rows already" in copied.stderr) == (1, True)


async def test_a_copy_of_what_was_used_meanwhile_says_what_to_do(config: Path) -> None:
    """It was interrupted, and a payment that was copied already moved: no gateway starts on it, now or later."""
    source, target = urls(config.parent)
    assert (await command("copy", source, target)).exit_code == 0
    await change(target, set_timestamp(Mark(source="", table="moments").name, SystemClock().now()))  # no gateway yet
    await change(source, Statement("UPDATE payments SET state = 'failed' WHERE id = 'pay_002'", ()))
    await change(target, Statement("DELETE FROM moments WHERE name NOT LIKE 'copying%'", ()))
    for _ in range(2):
        copied = await command("copy", source, target)
        assert copied.exit_code == 1
        assert copied.stderr.splitlines()[-2:] == ["the stores differ in table payments of tenant acme", NO_COPY]
    use_copy(config)
    refused = await asyncio.to_thread(run, "recover", "--config", config)
    assert (refused.exit_code, "gateway store copy again" in refused.stderr) == (4, True)


async def test_a_store_that_a_gateway_runs_on_is_left_alone(stack: GatewayStack) -> None:
    """Whichever of the two it is: 3, and nothing is made."""
    used, other = urls(stack.folder)
    for arguments in (("copy", used, other), ("check", used, other)):
        refused = await command(*arguments)
        assert (refused.exit_code, "another gateway is using" in refused.stderr) == (3, True), refused.output
    assert not (stack.folder / "copy").exists()
    shutil.copytree(stack.folder / "data", stack.folder / "copy")
    for arguments in (("copy", other, used), ("check", other, used)):
        assert (await command(*arguments)).exit_code == 3


async def test_the_list_of_erased_payments_is_not_forgotten(config: Path, database_url: str) -> None:
    """A database has no place beside it: the command says what to do with the file."""
    listed = config.parent / "data" / "gateway.db.erased"
    listed.write_text("acme pay_002\n")
    copied = await command("copy", urls(config.parent)[0], database_url)
    assert (copied.exit_code, f"keep {listed}" in copied.stderr) == (0, True)


@pytest.mark.parametrize("url", ["copy.db", "sqlite:///", "mysql://h/db"])
async def test_what_is_no_url_of_a_store_is_bad_usage(config: Path, url: str) -> None:
    """2, and the argument is named."""
    refused = await command("copy", urls(config.parent)[0], url)
    assert (refused.exit_code, "'TO'" in refused.stderr and "sqlite:///PATH" in refused.stderr) == (2, True)


async def test_a_store_is_not_copied_into_itself(config: Path) -> None:
    """Neither by the same words nor by others: 2."""
    source = urls(config.parent)[0]
    for target in (source, source.replace("/data/", "/copy/../data/")):
        refused = await command("copy", source, target)
        assert (refused.exit_code, "the same store" in refused.stderr) == (2, True)


async def test_there_must_be_something_to_copy(tmp_path: Path) -> None:
    """A store that is not there ends with 4, and neither is made."""
    refused = await command("copy", *urls(tmp_path))
    assert (refused.exit_code, "there is no store" in refused.stderr) == (4, True)
    assert os.listdir(tmp_path) == []


async def test_no_gateway_starts_on_a_part_of_a_copy(config: Path) -> None:
    """Neither serve nor recover, with --restored neither: 4, with what to do."""
    await change(urls(config.parent)[0], set_timestamp(f"{COPYING}{{}}", SystemClock().now()))
    for options in ([], ["--restored"]):
        refused = await asyncio.to_thread(run, "recover", *options, "--config", config)
        assert (refused.exit_code, "gateway store copy again" in refused.stderr) == (4, True)
    with running("serve", "--config", config, lines=0) as process:
        code, errors = process.ended()
    assert (code, "gateway store copy again" in errors) == (4, True)


async def test_what_was_being_sent_is_unknown_in_a_copy(config: Path) -> None:
    """The next start, or recover, resolves it as in the store itself: nothing is sent."""
    source, target = urls(config.parent)
    assert (await command("copy", source, target)).exit_code == 0
    use_copy(config)
    recovered = await asyncio.to_thread(run, "recover", "--json", "--config", config)
    assert json.loads(recovered.stdout)["unknown"] == 1


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_copy_takes_over(tmp_path: Path, engine: str) -> None:
    """After a crash a gateway goes on with the copy: its payments, its audit trail, its keys, new work; and back."""
    with fresh_url(engine, tmp_path / "second") as url:
        async with running_server_process(tmp_path) as server:
            await server.start()
            body = psp_body()
            first = await server.stack.create(body, key=KEY)
            assert first.status == 201
            await server.end(signal.SIGKILL)
            assert (await command("copy", urls(tmp_path)[0], url)).exit_code == 0
            server.config.write_text(server.config.read_text().replace("sqlite:///data/gateway.db", url))
            await server.start()
            again = await server.stack.create(body, key=KEY)
            assert (again.status, again.json["id"]) == (201, first.json["id"])
            assert (await server.stack.create(creditkey_body())).status == 201
            assert (await command("copy", url, urls(tmp_path)[1])).exit_code == 3
            assert await server.end() == 0
            code, printed, errors = await server.run("audit", "verify")
            assert (code, printed.startswith("ok: 2 rows")) == (0, True), errors
            back = await command("copy", url, urls(tmp_path)[1])
            assert back.exit_code == 0, back.stderr
