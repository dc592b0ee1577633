"""``python -m tests.pitr``: payments, a base backup, more payments and refunds, a restore to a time before some.

Everything is then asked for again under its keys, once after ``gateway recover --restored`` and once after a start that
has to notice the restore by itself. Nothing may happen twice.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from gateway.cli.exits import ALREADY_RUNNING
from tests.pitr.restored_database import ArchivedPostgresql
from tests.support.durable_postgresql import DATABASE
from tests.support.scenarios.restored_backup import Client, doubled
from tests.support.server_process import ServerProcess, running_server_process

CLIENTS = 4
STORIES = 12
"""Payments, with what follows, before the base backup, from then to the time that is restored, and after it."""


def main() -> int:
    """Play both; return 1, and keep the folder, where something happened twice or was lost."""
    folder = Path(tempfile.mkdtemp(prefix="pitr-"))
    folder.chmod(0o711)  # PostgreSQL may run as another user
    found = []
    for name, recovers in (("recovered", True), ("started", False)):
        (folder / name).mkdir(mode=0o711)
        found += asyncio.run(play(folder / name, recovers=recovers))
    if not found:
        shutil.rmtree(folder)
        return 0
    print(*found, f"kept: {folder}", sep="\n", file=sys.stderr)
    return 1


async def play(folder: Path, *, recovers: bool) -> list[str]:
    """Pay, back up, pay, restore, ask again; what went wrong."""
    database = await asyncio.to_thread(ArchivedPostgresql, folder)

    def change(settings: dict[str, Any]) -> None:
        settings["store"] = {"url": database.current.url(DATABASE)}
        settings["clocks"] |= {"reconcile": ["100ms", "1s"], "quiet_period": "2s"}

    try:
        async with running_server_process(folder, change) as server:
            await server.start()
            clients = [Client(server.stack, number) for number in range(CLIENTS)]
            until = await lived(clients, database)
            before = await server.stack.provider_orders("creditkey")
            await server.end(signal.SIGKILL)
            return await restored(server, database, until, clients, before, recovers=recovers)
    finally:
        await asyncio.to_thread(database.current.stop)


async def lived(clients: list[Client], database: ArchivedPostgresql) -> str:
    """Let clients pay, ship and refund while the base backup is made and afterwards; the time that is restored."""
    is_over = asyncio.Event()
    async with asyncio.TaskGroup() as work:
        for client in clients:
            work.create_task(client.live(is_over))
        await begun(clients)
        await asyncio.to_thread(database.back_up)
        await begun(clients)
        until = await asyncio.to_thread(database.now)
        await begun(clients)
        is_over.set()
    return until


async def begun(clients: list[Client]) -> None:
    """Wait until ``STORIES`` more have begun."""
    wanted = sum(len(client.journal) for client in clients) + STORIES
    async with asyncio.timeout(120):
        while sum(len(client.journal) for client in clients) < wanted:  # noqa: ASYNC110  # the clients count
            await asyncio.sleep(0.01)


async def restored(
    server: ServerProcess,
    database: ArchivedPostgresql,
    until: str,
    clients: list[Client],
    before: list[Any],
    *,
    recovers: bool,
) -> list[str]:
    """Restore the database, start, ask for everything again, and compare the provider's records."""
    await asyncio.to_thread(database.restore, until)
    ((kept,),) = await asyncio.to_thread(database.current.execute, "SELECT COUNT(*) FROM payments", DATABASE)
    if recovers:
        print(f"gateway recover --restored\n{await recovered(server)}")
    await server.start()
    answers = sum(await asyncio.gather(*(client.repeat() for client in clients)), Counter[str]())
    after = await server.stack.provider_orders("creditkey")
    reviews = await asyncio.to_thread(
        database.current.execute, "SELECT review, COUNT(*) FROM payments WHERE review IS NOT NULL GROUP BY 1", DATABASE
    )
    ended = await server.end()
    name = "recover --restored" if recovers else "a start that notices"
    print(f"{name}: {len(before)} orders, {kept} of them in the restored database, under review: {dict(reviews)}")
    print(f"asked again: {dict(sorted(answers.items()))}\n{len(doubled(after))} doubled, {len(after)} orders now\n")
    findings = [*doubled(after)]
    findings += ["an order was made again, or is gone"] if ids(after) != ids(before) else []
    findings += ["nothing was missing in the restored database"] if not 0 < kept < len(before) else []
    findings += ["no word of the restore"] if not recovers and b"may have been restored" not in server.errors else []
    return [*findings, *([f"the gateway ended with {ended}"] if ended else [])]


async def recovered(server: ServerProcess) -> str:
    """What the command prints; the processes of the restored time seem to live for a while."""
    while True:
        code, printed, errors = await server.run("recover", "--restored")
        if code == 0:
            return printed
        assert code == ALREADY_RUNNING, errors
        await asyncio.sleep(1)


def ids(orders: list[Any]) -> set[str]:
    """The provider's names of orders."""
    return {order["id"] for order in orders}


if __name__ == "__main__":
    sys.exit(main())
