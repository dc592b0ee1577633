"""The canary scenario: providers quote secrets, callers misplace them, strangers send them; then everything is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.security.canary_callers import careless_operators, careless_tenants, strangers
from tests.security.canary_gateway import ObservedGateway
from tests.security.canary_providers import misplaced_in_callbacks, proved_callbacks, quoting_providers, sessions
from tests.security.canary_requests import run_all


async def run_scenario(observed: ObservedGateway) -> None:
    """Run all parts, then read everything."""
    await sessions(observed)
    await run_all(quoting_providers(observed))
    await run_all(careless_tenants(observed))
    await run_all(careless_operators(observed))
    await run_all(strangers(observed))
    await run_all(misplaced_in_callbacks(observed))
    await run_all(proved_callbacks(observed))
    await read_everything(observed)


async def read_everything(observed: ObservedGateway) -> None:
    """Read everything readable: as tenant, as operator, as a stranger, on the command line, from a backup."""
    for path in (
        "/openapi.json",
        "/docs",
        "/problems/not_found",
        "/v1/accounts",
        "/v1/deposit-methods",
        "/v1/webhooks",
    ):
        await observed.call("GET", path, key="acme's key")
    await _read_list(
        observed,
        "/v1/payments?limit=200",
        lambda one: [f"/v1/payments/{one['id']}", f"/v1/payments/{one['id']}/events"],
    )
    await _read_list(observed, "/v1/webhooks/deliveries?limit=200", lambda _: [])
    await _read_list(observed, "/admin/v1/inbox?limit=200", lambda one: [f"/admin/v1/inbox/{one['id']}"], admin=True)
    for path in ("reviews", "operations", "deliveries?limit=200"):
        await observed.call("GET", f"/admin/v1/{path}", key="operators' key", admin=True)
    await commands(observed)


async def _read_list(
    observed: ObservedGateway, path: str, more: Callable[[Any], list[str]], *, admin: bool = False
) -> None:
    key, cursor = ("operators' key" if admin else "acme's key"), ""
    while True:
        _, page = await observed.call("GET", path + cursor, key=key, admin=admin)
        await run_all(observed.call("GET", one, key=key, admin=admin) for row in page["data"] for one in more(row))
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


async def commands(observed: ObservedGateway) -> None:
    """Run the commands beside the running server."""
    listed = json.loads(await observed.command("inbox", "list", "--limit", "3000", "--json"))
    rows = listed["data"] if isinstance(listed, dict) else listed
    some = [row["id"] for row in rows[:: max(1, len(rows) // 2)]][:2]
    await asyncio.gather(
        observed.command("inbox", "list", "--limit", "3000"),
        observed.command("payments", "list", "--json"),
        observed.command("plugins", "list"),
        observed.command("check"),
        observed.command("accounts", "show"),
        observed.command("backup", str(observed.folder / "data" / "copy.db")),
    )
    for one in some:
        await observed.command("inbox", "show", one)
        await observed.command("callback", "explain", one)
