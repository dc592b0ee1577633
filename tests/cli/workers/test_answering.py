"""Several processes on one port and one PostgreSQL: who asks one of them hears of all."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.scenarios.inbox import admin
from tests.support.server_process import ServerProcess, running_server_process
from tests.support.settings_file import reload, with_operator
from tests.support.stack import new_key, psp_body

COUNT = 3
ALONE = {"Connection": "close"}
"""A header that gives each request a connection of its own, which any process may accept."""


@asynccontextmanager
async def workers(folder: Path, database_url: str) -> AsyncIterator[ServerProcess]:
    """A gateway of three processes."""

    def change(settings: dict[str, Any]) -> None:
        with_operator(settings)
        settings["store"]["url"] = database_url

    async with running_server_process(folder, change) as server:
        server.options = ("--workers", str(COUNT))
        await server.start()
        yield server


async def metric(server: ServerProcess, name: str) -> float:
    """One number of a scrape."""
    async with server.stack.http.get(f"{server.stack.admin_url}/metrics", headers=ALONE) as answer:
        text = await answer.text()
    found = re.search(f"^{re.escape(name)} (.+)$", text, re.MULTILINE)
    return float(found[1]) if found is not None else 0.0


async def until(server: ServerProcess, name: str, is_so: Callable[[float], bool]) -> None:
    """Wait until a number of the scrapes is so."""
    async with asyncio.timeout(30):
        while not is_so(await metric(server, name)):  # each look waits for an answer
            pass


async def uses(server: ServerProcess) -> list[int]:
    """How often the keys of a tenant were used."""
    return [key["uses"] for key in (await admin(server.stack, "GET", "/admin/v1/keys?tenant=acme")).json["data"]]


async def acts(server: ServerProcess, name: str) -> list[Any]:
    """What the audit trail has of one kind."""
    listed = (await admin(server.stack, "GET", "/admin/v1/audit")).json["data"]
    return [one for one in listed if one["act"] == name]


def processes(server: ServerProcess) -> list[int]:
    """The ids of the workers."""
    assert server.process is not None
    pid = server.process.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_one_answers_for_all(tmp_path: Path, database_url: str) -> None:
    """Counts and uses of keys are those of all, also after one was killed; a reload is for all, then and later."""
    listed = 'gateway_requests_total{method="GET",route="/v1/payments",status="200"}'
    async with workers(tmp_path, database_url) as server:
        stack = server.stack
        read = [stack.call("GET", "/v1/payments", headers=ALONE) for _ in range(40)]
        assert {one.status for one in await asyncio.gather(*read)} == {200}
        assert [await metric(server, listed) for _ in range(COUNT)] == [40] * COUNT
        assert await uses(server) == [40]

        loaded = await reload(stack, lambda settings: settings["tenants"]["acme"].update(name="Acme Tools"))
        assert loaded.status == 200, loaded.text
        assert await metric(server, "gateway_settings_version") == 2

        first, *others = processes(server)
        os.kill(first, signal.SIGKILL)
        await until(server, "gateway_workers_silent", lambda silent: silent == 1)
        assert await metric(server, listed) == 40
        await until(server, "gateway_workers", lambda answered: answered == COUNT)
        assert set(others) < set(processes(server))
        assert await metric(server, listed) == 40
        assert await uses(server) == [40]
        assert len(await acts(server, "reload")) == 1  # the new process has begun with what the others have loaded
        assert await server.end(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in server.errors.splitlines()]
    assert [line["reason"] for line in lines if line["message"] == "a worker has ended"] == ["signal 9"]
    stopped = [line.get("worker") for line in lines if line["message"] == "stopped"]
    assert (sorted(stopped[:-1]), stopped[-1]) == ([1, 2, 3], None)


async def test_nothing_acknowledged_is_lost_with_a_worker(tmp_path: Path, database_url: str) -> None:
    """It is killed under load: callers of the others notice nothing, and what it had answered is stored."""
    async with workers(tmp_path, database_url) as server:
        stack, acknowledged, broken = server.stack, set(), []

        async def pay() -> None:
            try:
                made = await stack.call("POST", "/v1/payments", psp_body(), key=new_key(), headers=ALONE)
            except aiohttp.ClientError as problem:
                broken.append(problem)
            else:
                assert made.status in (201, 202), made.text
                acknowledged.add(made.json["id"])

        paying = {asyncio.create_task(pay()) for _ in range(60)}
        left = paying
        while len(acknowledged) < 10:
            _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        os.kill(processes(server)[-1], signal.SIGKILL)
        await asyncio.gather(*paying)
        assert len(acknowledged) + len(broken) == 60
        stored = [(await stack.payment(one))["id"] for one in sorted(acknowledged)]
        assert stored == sorted(acknowledged)
        assert await server.end() == 0
