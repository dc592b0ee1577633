"""``gateway backup`` and ``gateway recover``: a whole copy beside a running server, and a way back without doubles."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.core.payment import State
from gateway.drivers.store.metadata import COPIED, RESTORED
from gateway.drivers.store.sqlite import open_sqlite, open_sqlite_to_read
from tests.cli.test_migrate import on_postgresql
from tests.drivers.test_store_migrations import EMPTY
from tests.support.cli import run, running, write
from tests.support.factories.store_units import resolved_payment, stored
from tests.support.scenarios.restored_backup import Client, doubled
from tests.support.server_process import ServerProcess, running_server_process
from tests.support.stack import GatewayStack, creditkey_body, psp_body

ACCOUNT = {"account": "creditkey-main", "provider": "creditkey"}
CLIENTS = 4
STORIES = 12
"""Stories that are begun before the backup, and as many after it."""


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """Settings, and a store with a payment on its way, one authorized and one that has failed."""
    path = write(tmp_path)
    store = await open_sqlite(store_of(path))
    await stored(store, 1, **ACCOUNT)
    await resolved_payment(store, 2, State.AUTHORIZED, **ACCOUNT)
    await resolved_payment(store, 3, State.FAILED, **ACCOUNT)
    await store.close()
    return path


def store_of(config: Path) -> Path:
    """The database of settings."""
    return config.parent / "data" / "gateway.db"


def rows(path: Path, sql: str) -> list[Any]:
    """Read a database that nobody works with."""
    with contextlib.closing(sqlite3.connect(path)) as look:
        return look.execute(sql).fetchall()


def files_in(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(path.name for path in folder.iterdir())


async def command(*arguments: object) -> Any:
    """Run a command in this process, which has a loop already."""
    return await asyncio.to_thread(run, *arguments)


# backup


async def test_a_backup_beside_a_running_server(stack: GatewayStack) -> None:
    """The copy holds every payment, is one whole file for its owner alone, and the server goes on."""
    for body in (psp_body(), creditkey_body()):
        assert (await stack.create(body)).status == 201
    target = stack.folder / "copy.db"
    result = await command("backup", target, "--json", "--config", stack.folder / "settings.yaml")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told == {"path": str(target), "size": target.stat().st_size, "payments": 2, "operations": 2}
    assert oct(target.stat().st_mode & 0o777) == "0o600"
    assert rows(target, "PRAGMA integrity_check") == [("ok",)]
    assert rows(target, "PRAGMA journal_mode") == [("delete",)]
    assert files_in(stack.folder) == ["copy.db", "data", "settings.yaml"]
    assert (await stack.create(psp_body())).status == 201


async def test_a_backup_can_be_read_but_not_served(config: Path) -> None:
    """Reading commands work on a copy; serve ends with 4 and names the command that makes it a store, as check does."""
    assert (await command("backup", config.parent / "copy.db", "--config", config)).exit_code == 0
    (config.parent / "copy.db").replace(store_of(config))
    assert (await command("payments", "list", "--config", config)).exit_code == 0
    with running("serve", "--config", config, lines=0) as process:
        code, errors = process.ended()
    checked = await command("check", "--store", "--config", config)
    assert (code, errors.splitlines()[-1]) == (checked.exit_code, checked.stderr.rstrip())
    assert (code, "gateway recover --restored" in errors) == (4, True)


async def test_the_log_of_a_lost_store_is_not_taken_for_a_backup_s(config: Path) -> None:
    """A -wal file that was left beside a restored copy would ruin it: recover and serve name it and touch nothing."""
    assert (await command("backup", config.parent / "copy.db", "--config", config)).exit_code == 0
    lost = await open_sqlite(store_of(config))
    await resolved_payment(lost, 9, State.FAILED, **ACCOUNT)
    log = store_of(config).with_name("gateway.db-wal")
    left = log.read_bytes()
    await lost.close()
    (config.parent / "copy.db").replace(store_of(config))
    log.write_bytes(left)
    refused = await command("recover", "--restored", "--config", config)
    assert (refused.exit_code, "another database" in refused.stderr) == (4, True)
    log.unlink()
    assert (await command("recover", "--restored", "--config", config)).exit_code == 0


async def test_a_backup_replaces_nothing_unasked(config: Path) -> None:
    """A file that is there stays, unless --force is given; nothing half-made stays either."""
    target = config.parent / "copy.db"
    target.write_text("something dear")
    refused = await command("backup", target, "--config", config)
    assert (refused.exit_code, refused.stdout, target.read_text()) == (1, "", "something dear")
    assert refused.stderr.endswith("copy.db exists already: --force replaces it\n")
    assert (await command("backup", target, "--force", "--config", config)).exit_code == 0
    assert rows(target, "SELECT COUNT(*) FROM payments") == [(3,)]
    assert files_in(config.parent) == ["copy.db", "data", "settings.yaml"]


async def test_a_backup_never_replaces_the_store(config: Path) -> None:
    """Not even with --force."""
    before = store_of(config).read_bytes()
    result = await command("backup", store_of(config), "--force", "--config", config)
    assert (result.exit_code, "is the store itself" in result.stderr) == (1, True)
    assert store_of(config).read_bytes() == before


@pytest.mark.parametrize("place", ["nowhere/copy.db", "settings.yaml/copy.db"])
async def test_a_backup_to_nowhere_fails(config: Path, place: str) -> None:
    """A folder that is not there ends with 1 and one line."""
    result = await command("backup", config.parent / place, "--config", config)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


async def test_a_backup_of_nothing(tmp_path: Path) -> None:
    """Without a store the command ends with 4 and makes none."""
    result = await command("backup", tmp_path / "copy.db", "--config", write(tmp_path))
    assert (result.exit_code, files_in(tmp_path)) == (4, ["settings.yaml"])


# recover


async def test_recover_settles_what_was_on_its_way(config: Path) -> None:
    """Operations in sending become unknown, once, and the numbers are told."""
    first, second = [json.loads((await command("recover", "--json", "--config", config)).stdout) for _ in range(2)]
    assert (first["unknown"], second["unknown"]) == (1, 0)
    assert rows(store_of(config), "SELECT open_operation FROM payments WHERE open_status = 'unknown'") == [("op_001",)]
    assert rows(store_of(config), "SELECT COUNT(*) FROM moments") == [(0,)]


async def test_recover_restored_has_everything_looked_at(config: Path) -> None:
    """What may still move is due at once, what has ended is not; the moment is kept and the copy's mark is gone."""
    assert (await command("backup", config.parent / "copy.db", "--config", config)).exit_code == 0
    (config.parent / "copy.db").replace(store_of(config))
    refused = await command("recover", "--config", config)
    assert (refused.exit_code, "gateway recover --restored" in refused.stderr) == (4, True)
    told = json.loads((await command("recover", "--restored", "--json", "--config", config)).stdout)
    assert told == {"unknown": 1, "due": 2, "erased": 0}
    assert rows(store_of(config), "SELECT id FROM payments WHERE due_at IS NOT NULL ORDER BY 1") == [
        ("pay_001",),
        ("pay_002",),
    ]
    store = await open_sqlite_to_read(store_of(config))
    assert await store.metadata.timestamp(COPIED) is None
    assert await store.metadata.timestamp(RESTORED) is not None
    await store.close()


@pytest.mark.parametrize("options", [[], ["--restored"]])
async def test_recover_needs_the_store_for_itself(stack: GatewayStack, options: list[str]) -> None:
    """Beside a running server it ends with 3 and does nothing."""
    result = await command("recover", *options, "--config", stack.folder / "settings.yaml")
    assert (result.exit_code, result.stdout) == (3, "")
    assert await stack.gateway.store.metadata.timestamp(RESTORED) is None


async def test_recover_without_a_store(tmp_path: Path) -> None:
    """There is nothing to recover: 4, and no store is made."""
    result = await command("recover", "--config", write(tmp_path))
    assert (result.exit_code, (tmp_path / "data").exists()) == (4, False)


def test_recover_makes_no_tables(tmp_path: Path, database_url: str) -> None:
    """An empty database is the wrong one, where something is to be recovered."""
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute(EMPTY)
        result = run("recover", "--restored", "--config", on_postgresql(tmp_path, database_url))
        assert (result.exit_code, result.stdout, "there is no store in the database" in result.stderr) == (4, "", True)
        assert server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


async def test_recover_names_a_damaged_store(config: Path) -> None:
    """A database that is not whole ends with 4, and nothing in it is changed."""
    path = store_of(config)
    data = bytearray(path.read_bytes())
    (page,) = rows(path, "SELECT rootpage FROM sqlite_master WHERE name = 'payments_by_reference'")[0]
    data[(page - 1) * 4096 + 8 : (page - 1) * 4096 + 200] = b"\xff" * 192
    path.write_bytes(data)
    result = await command("recover", "--config", config)
    assert result.exit_code == 4, result.output


# the whole way, with processes


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A gateway in a process of its own, which settles quickly what is open."""

    def change(settings: dict[str, Any]) -> None:
        settings["clocks"] |= {"reconcile": ["100ms", "1s"], "quiet_period": "2s"}

    async with running_server_process(tmp_path, change) as opened:
        await opened.start()
        yield opened


async def test_a_restored_backup_doubles_nothing(server: ServerProcess) -> None:
    """A backup under load, more work, the folder lost, the backup restored, every request repeated: 0 doubled."""
    clients, is_over = [Client(server.stack, number) for number in range(CLIENTS)], asyncio.Event()
    target = server.stack.folder / "copy.db"
    async with asyncio.TaskGroup() as work:
        for client in clients:
            work.create_task(client.live(is_over))
        await begun(clients, STORIES)
        code, _, errors = await server.run("backup", str(target))
        assert code == 0, errors
        await begun(clients, sum(len(client.journal) for client in clients) + STORIES)
        is_over.set()
    before = await server.stack.provider_orders("creditkey")
    kept = len(rows(target, "SELECT id FROM payments"))
    await server.end(signal.SIGKILL)
    await restore(server, target)
    answers = sum(await asyncio.gather(*(client.repeat() for client in clients)), Counter())
    after = await server.stack.provider_orders("creditkey")
    print(
        f"\n{len(before)} orders, {kept} in the backup, {dict(sorted(answers.items()))}, {len(doubled(after))} doubled"
    )
    assert 0 < kept < len(before)
    assert doubled(before) == []
    assert doubled(after) == []
    assert {order["id"] for order in after} == {order["id"] for order in before}
    assert await server.end() == 0


async def begun(clients: list[Client], number: int) -> None:
    """Wait until so many stories have begun."""
    async with asyncio.timeout(60):
        while sum(len(client.journal) for client in clients) < number:  # noqa: ASYNC110  # the clients count
            await asyncio.sleep(0.01)


async def restore(server: ServerProcess, backup: Path) -> None:
    """Lose the data folder, put the backup in its place, recover, start."""
    path = server.stack.store_file
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    shutil.copy(backup, path)
    code, _, errors = await server.run("recover", "--restored")
    assert code == 0, errors
    await server.start()
