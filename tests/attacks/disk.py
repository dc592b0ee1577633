"""Who can fill the disk? A tenant with a small budget at its full rate, and a customer with one link.

First acme, which may occupy 5 MB, creates payments of 64 KiB at the default rate until the window is over: the store's
files stay below a small multiple of its budget, and other tenants are served. Then one customer of Credit Key calls its
own link, and any path below the endpoint it knows from it, with as large a head as the gateway takes: 1,000 times each.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp

from gateway.core.signing import make_token
from tests.attacks.lists import RATE, large_body
from tests.support.server_process import ServerProcess, running_server_process
from tests.support.stack import GatewayStack, creditkey_body, psp_body

BUDGET = 5_000_000
WINDOW = 20.0
"""Seconds for which acme creates."""

LOG = 20_000_000
"""Bytes of the write-ahead log, which all tenants share and which is reset by itself."""

LINK = 8_000_000
"""Bytes that one customer's link may leave in the store."""

VISITS = 1000
HEADERS = {f"X-{number}": "x" * 150 for number in range(50)}
"""Almost the largest head that is taken by default, so that each request reaches the store."""


def with_small_budget(settings: dict[str, Any]) -> None:
    settings["limits"] = {"tenant_bytes": BUDGET}
    settings["tenants"]["acme"]["rate_limit"] = RATE


async def main() -> int:
    """Run both attacks; return 1 if one of them left more than allowed."""
    kept = []
    with tempfile.TemporaryDirectory() as folder:
        async with running_server_process(Path(folder), with_small_budget) as server:
            await server.start()
            kept.append(await a_tenant(server.stack))
            await server.end()
    with tempfile.TemporaryDirectory() as folder:
        async with running_server_process(Path(folder)) as server:
            await server.start()
            kept += [await a_link(server, has_token=True), await a_link(server, has_token=False)]
            await server.end()
    print("kept" if all(kept) else "BROKEN")
    return 0 if all(kept) else 1


async def a_tenant(stack: GatewayStack) -> bool:
    """Create at the full rate; measure the files."""
    answers: Counter[str] = Counter()
    before, end = on_disk(stack), perf_counter() + WINDOW
    while perf_counter() < end:
        reply = await stack.create(large_body())
        answers[reply.json.get("code", str(reply.status))] += 1
    grown = on_disk(stack) - before
    other = (await stack.create(psp_body(), tenant="globex")).status
    print(
        f"a tenant with a budget of {mb(BUDGET)}: creates {dict(sorted(answers.items()))} in {WINDOW:.0f} s,"
        f" files grew by {mb(grown)} of which the log may be {mb(LOG)}; another tenant's create: {other}",
        flush=True,
    )
    return grown < 2 * BUDGET + LOG and answers["storage_budget_exceeded"] > 0 and other == 201


async def a_link(server: ServerProcess, *, has_token: bool) -> bool:
    """Call one customer's link, or its endpoint, repeatedly; measure what is left when the gateway has stopped."""
    stack = server.stack
    payment = (await stack.create(creditkey_body())).json
    entry = stack.entry("acme", "creditkey-main")
    link = f"/callbacks/{entry.endpoint_id}"
    if has_token:
        secret = stack.settings.server.secret
        link += f"/complete/{make_token(secret, entry.endpoint_id, payment['id'], 'complete')}"
    before = await at_rest(server)
    answers = await visit(stack.url + link)
    log = on_disk(stack)
    left = await at_rest(server) - before
    print(
        f"one customer's link ({'its token' if has_token else 'no token'}): answers {dict(sorted(answers.items()))},"
        f" left {mb(left)} (with the log while it ran: {mb(log - before)})",
        flush=True,
    )
    return left < LINK and answers[200 if has_token else 404] > 0


async def visit(link: str) -> Counter[int]:
    """Call a link many times, each time with another key."""
    answers: Counter[int] = Counter()
    async with aiohttp.ClientSession() as http:
        for number in range(VISITS):
            url = f"{link}?key={number}{'k' * 4000}" if number % 2 else f"{link}?key=k{number}"
            async with http.post(url, headers=HEADERS, data=b"x" * 60_000) as answer:
                answers[answer.status] += 1
    return answers


async def at_rest(server: ServerProcess) -> int:
    """Stop the gateway, return the bytes of the store, start it again."""
    await server.end()
    size = on_disk(server.stack)
    await server.start()
    return size


def on_disk(stack: GatewayStack) -> int:
    """Return the bytes of the store's files."""
    path = stack.store_file
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def mb(size: int) -> str:
    """Format bytes."""
    return f"{size / 1_000_000:.1f} MB"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
