"""The story: providers quote, callers misplace, strangers write secrets wherever a text can stand; then a look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.promises.canary_callers import careless_operators, careless_tenants, strangers
from tests.promises.canary_providers import misplaced_in_callbacks, proved_callbacks, quoting_providers, sessions
from tests.promises.canary_work import all_of
from tests.promises.canary_world import World


async def play(world: World) -> None:
    """Everything, then a look from every side."""
    await sessions(world)
    await all_of(quoting_providers(world))
    await all_of(careless_tenants(world))
    await all_of(careless_operators(world))
    await all_of(strangers(world))
    await all_of(misplaced_in_callbacks(world))
    await all_of(proved_callbacks(world))
    await look(world)


async def look(world: World) -> None:
    """Read everything that can be read: as tenant, as operator, as a stranger, on the command line, from a backup."""
    for path in (
        "/openapi.json",
        "/docs",
        "/problems/not_found",
        "/v1/accounts",
        "/v1/deposit-methods",
        "/v1/webhooks",
    ):
        await world.call("GET", path, key="acme's key")
    await _read_list(
        world, "/v1/payments?limit=200", lambda one: [f"/v1/payments/{one['id']}", f"/v1/payments/{one['id']}/events"]
    )
    await _read_list(world, "/v1/webhooks/deliveries?limit=200", lambda _: [])
    await _read_list(world, "/admin/v1/inbox?limit=200", lambda one: [f"/admin/v1/inbox/{one['id']}"], admin=True)
    for path in ("reviews", "operations", "deliveries?limit=200"):
        await world.call("GET", f"/admin/v1/{path}", key="operators' key", admin=True)
    await commands(world)


async def _read_list(world: World, path: str, more: Callable[[Any], list[str]], *, admin: bool = False) -> None:
    key, cursor = ("operators' key" if admin else "acme's key"), ""
    while True:
        _, page = await world.call("GET", path + cursor, key=key, admin=admin)
        await all_of(world.call("GET", one, key=key, admin=admin) for row in page["data"] for one in more(row))
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


async def commands(world: World) -> None:
    """The command line, beside the running server."""
    listed = json.loads(await world.command("inbox", "list", "--limit", "3000", "--json"))
    rows = listed["data"] if isinstance(listed, dict) else listed
    some = [row["id"] for row in rows[:: max(1, len(rows) // 2)]][:2]
    await asyncio.gather(
        world.command("inbox", "list", "--limit", "3000"),
        world.command("payments", "list", "--json"),
        world.command("plugins", "list"),
        world.command("check"),
        world.command("accounts", "show"),
        world.command("backup", str(world.folder / "data" / "copy.db")),
    )
    for one in some:
        await world.command("inbox", "show", one)
        await world.command("callback", "explain", one)
