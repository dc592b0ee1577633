"""A tenant that lists as much as it may, beside another that reads one payment at a time: is the other slowed down?

Tenant acme has 200 of the largest payments that a create allows. At its full rate it lists them, then creates more;
meanwhile, and in the pauses between, globex reads. Its slowest per cent (p99) beside acme's lists may take three times
what it takes alone; the creates are for information. acme's requests come from a process of their own: reading their
answers must not slow down the reader that is watched.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import yaml

from tests.support.server_process import ServerProcess, running_server_process
from tests.support.stack import GatewayStack, key_of, new_key, psp_body

PAYMENTS = 200
WINDOW = 2.0
"""Seconds of each window; windows alone and beside acme take turns, so that both see the same machine."""

WINDOWS = 5
RATE = {"per_second": 50, "burst": 100}
"""The default of ``rate_limit``."""

MOST = 3.0
"""Greatest allowed ratio of globex's p99 beside acme's lists to its p99 alone."""

ITEM = {"merchant_id": "PJ-1", "name": "N" * 250, "price": "410.00", "quantity": 2, "sku": "S" * 200}
ATTACKS = {
    "lists of 200": ("GET", "/v1/payments?limit=200"),
    "creates of 64 KiB": ("POST", "/v1/payments"),
}


def large_body() -> dict[str, Any]:
    """A create of almost 64 KiB, most of it in what is shown nowhere, and as much as allowed in what lists show."""
    metadata = {f"{number}": "x" * 500 for number in range(20)}
    return psp_body(metadata=metadata, order={"items": [ITEM] * 95})


async def main() -> int:
    """Measure each attack; return 1 if globex was slowed down by the lists, or refused."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_server_process(Path(folder)) as server:
            await server.start()
            await fill(server.stack)
            await at_default_rate(server)
            watched = (await server.stack.create(psp_body(), tenant="globex")).json["id"]
            acme = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __spec__.name, server.stack.url, stdin=PIPE, stdout=PIPE
            )
            kept = [await measure(server.stack, watched, acme, name) for name in ATTACKS]
            await acme.communicate(b"")  # its stdin ends, and so does it
            await server.end()
    print("kept" if kept[0] else "BROKEN")
    return 0 if kept[0] else 1


async def fill(stack: GatewayStack) -> None:
    """Make acme's payments."""
    for _ in range(PAYMENTS):
        reply = await stack.create(large_body())
        assert reply.status == 201, reply.text


async def at_default_rate(server: ServerProcess) -> None:
    """Start the gateway again with acme's rate as it is by default."""
    await server.end()
    settings = yaml.safe_load(server.config.read_text())  # before anything is measured
    settings["tenants"]["acme"]["rate_limit"] = RATE
    server.config.write_text(yaml.safe_dump(settings, sort_keys=False))
    await server.start()


async def measure(stack: GatewayStack, watched: str, acme: Process, name: str) -> bool:
    """Let globex read alone and beside one attack in turns; print the figures."""
    alone: list[float] = []
    beside: list[float] = []
    answers: Counter[str] = Counter()
    assert acme.stdin is not None
    assert acme.stdout is not None
    for _ in range(WINDOWS):
        await read_on(stack, watched, alone)
        acme.stdin.write(f"{name}\n".encode())
        await read_on(stack, watched, beside)
        answers.update(json.loads(await acme.stdout.readline()))
    ratio = percentile(beside, 0.99) / percentile(alone, 0.99)
    print(
        f"{name}: globex alone p50 {percentile(alone, 0.5):.1f} p99 {percentile(alone, 0.99):.1f} ms,"
        f" beside p50 {percentile(beside, 0.5):.1f} p99 {percentile(beside, 0.99):.1f} max {max(beside):.1f} ms,"
        f" p99 x {ratio:.1f}; acme's answers {dict(sorted(answers.items()))}",
        flush=True,
    )
    return ratio <= MOST


async def read_on(stack: GatewayStack, payment_id: str, times: list[float]) -> None:
    """Read one payment again and again for one window; keep how long each took, in milliseconds."""
    end = perf_counter() + WINDOW
    while (began := perf_counter()) < end:
        reply = await stack.call("GET", f"/v1/payments/{payment_id}", tenant="globex")
        assert reply.status == 200, reply.text
        times.append((perf_counter() - began) * 1000)
        await asyncio.sleep(0.002)


async def be_acme(url: str) -> None:
    """For every attack that is named on stdin, ask at acme's rate for one window and print what was answered."""
    async with aiohttp.ClientSession() as http:
        for line in iter(sys.stdin.readline, ""):
            print(json.dumps(await at_full_rate(http, url, *ATTACKS[line.strip()])), flush=True)


async def at_full_rate(http: aiohttp.ClientSession, url: str, method: str, path: str) -> Counter[int]:
    """Send requests at acme's rate for one window, whatever the answers."""
    answers: Counter[int] = Counter()

    async def ask() -> None:
        headers = {"Authorization": f"Bearer {key_of('acme')}", "Idempotency-Key": new_key()}
        async with http.request(
            method, url + path, json=large_body() if method == "POST" else None, headers=headers
        ) as answer:
            answers[answer.status] += 1
            await answer.read()

    async with asyncio.TaskGroup() as group:
        for _ in range(int(WINDOW * RATE["per_second"])):
            group.create_task(ask())
            await asyncio.sleep(1 / RATE["per_second"])
    return answers


def percentile(times: list[float], part: float) -> float:
    """Return a percentile of the times."""
    return sorted(times)[int(part * (len(times) - 1))]


if __name__ == "__main__":
    sys.exit(asyncio.run(be_acme(sys.argv[1]) if sys.argv[1:] else main()))
