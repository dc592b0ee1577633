"""Floods of unverified requests beside honest callers: are honest callers pushed out?

At the default limits, from one address, for as long as the honest callers need: 1,000 bad callbacks a second on a PSP
endpoint beside 100 good ones, and on a Credit Key endpoint beside 100 customers coming back; then 1,000 requests a
second without a good key on each listener, beside honest tenants and operators.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from gateway.web.failure_limits import FAILURE_RATE
from tests.support.clients.psp_callbacks import post, signed_body
from tests.support.server_process import ServerProcess, running_server_process
from tests.support.stack import GatewayStack, Reply, creditkey_body, key_of, psp_body

PER_SECOND = 1000
"""Hostile requests a second, as far as this machine can send them."""

CLIENTS = 16
"""Connections of the flood."""

HONEST = 100
PAUSE = 0.05
"""Seconds between two honest requests: some twenty a second."""

OPERATORS_KEY = "gw_k1_test-key-of-the-operators"

Request = tuple[str, str, dict[str, str], bytes]
"""Method, URL, headers and body of a hostile request."""


def at_default_limits(settings: dict[str, Any]) -> None:
    del settings["server"]["callback_rate"]
    settings["server"]["admin"]["key_sha256"] = hashlib.sha256(OPERATORS_KEY.encode()).hexdigest()


async def main() -> int:
    """Run the floods one after another; return 1 if an honest caller was refused."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_server_process(Path(folder), at_default_limits) as server:
            await server.start()
            began = perf_counter()
            kept = [
                await callbacks_and_returns(server.stack),
                await without_key(server.stack, "tenants", f"{server.stack.url}/v1/payments", key_of("acme")),
                await without_key(
                    server.stack, "operators", f"{server.stack.admin_url}/admin/v1/reviews", OPERATORS_KEY
                ),
            ]
            is_ended = await server.end() == 0
            return 0 if is_ended and all([*kept, said_little(server, perf_counter() - began)]) else 1


async def callbacks_and_returns(stack: GatewayStack) -> bool:
    """Send good callbacks and returning customers while both endpoints are flooded."""
    payments = [(await stack.create(psp_body())).json for _ in range(HONEST)]
    bodies = [signed_body(stack, payment) for payment in payments]
    links = await links_of(stack, [(await stack.create(creditkey_body())).json for _ in range(HONEST)])
    endpoint, below = endpoint_of(stack, "psp-main"), f"{endpoint_of(stack, 'creditkey-main')}/anything"
    wrong = {"crm-pay-token": "wrong", "Content-Type": "application/json"}
    floods = (("POST", endpoint, wrong, bodies[0]), ("GET", below, {}, b""))
    async with flooded(*floods) as seen:
        good, back = await asyncio.gather(
            one_by_one(lambda number: post(stack, bodies[number])),
            one_by_one(lambda number: stack.visit(links[number])),
        )
        again = await post(stack, bodies[0])
    report("bad callbacks", seen)
    print(f"  good callbacks {dict(good)}, customers {dict(back)}, a repetition {again.status}")
    paid = [(await stack.payment(payment["id"]))["state"] for payment in payments].count("captured")
    print(f"  payments captured {paid}")
    return good == {204: HONEST} and back == {303: HONEST} and again.status == 204 and paid == HONEST


async def without_key(stack: GatewayStack, who: str, url: str, key: str) -> bool:
    """Run honest callers of one listener while it is flooded by requests without a good key."""

    async def ask(_: int) -> Reply:
        async with stack.http.get(url, headers={"Authorization": f"Bearer {key}"}) as answer:
            return Reply(answer.status, answer.headers, await answer.text())

    async with flooded(("GET", url, {"Authorization": "Bearer gw_k1_wrong"}, b"")) as seen:
        good = await one_by_one(ask)
    report(f"no good key, {who}", seen)
    print(f"  good keys {dict(good)}")
    return good == {200: HONEST} and set(seen) <= {401, 429} and seen[429] > 0


@contextlib.asynccontextmanager
async def flooded(*requests: Request) -> AsyncIterator[Counter[int]]:
    """Send each of the requests ``PER_SECOND`` times a second for the time of the block; count the answers."""
    seen: Counter[int] = Counter()
    began = perf_counter()
    async with aiohttp.ClientSession() as http:
        clients = [
            asyncio.create_task(flood(http, request, CLIENTS / PER_SECOND, seen))
            for request in requests
            for _ in range(CLIENTS)
        ]
        try:
            yield seen
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
    seen[0] = round(seen.total() / (perf_counter() - began))


async def flood(http: aiohttp.ClientSession, request: Request, every: float, seen: Counter[int]) -> None:
    """Send one request repeatedly, at most at the given rate."""
    method, url, headers, body = request
    due = perf_counter()
    while True:
        async with http.request(method, url, headers=headers, data=body, allow_redirects=False) as answer:
            seen[answer.status] += 1
        due += every
        await asyncio.sleep(max(0.0, due - perf_counter()))


async def one_by_one(ask: Callable[[int], Awaitable[Reply]]) -> Counter[int]:
    """Send the honest requests, each once, at an even pace; count the statuses."""
    seen: Counter[int] = Counter()
    for number in range(HONEST):
        seen[(await ask(number)).status] += 1
        await asyncio.sleep(PAUSE)
    return seen


async def links_of(stack: GatewayStack, payments: list[Any]) -> list[str]:
    """Return the URL each payment's customer returns to."""
    orders = {one["id"]: one["return_url"] for one in await stack.provider_orders("creditkey")}
    paths = [urlsplit(orders[payment["provider_reference"]]).path for payment in payments]
    return [f"{stack.url}{path}" for path in paths]


def endpoint_of(stack: GatewayStack, account: str) -> str:
    return f"{stack.url}/callbacks/{stack.entry('acme', account).endpoint_id}"


def report(name: str, seen: Counter[int]) -> None:
    print(f"{name}: {seen.pop(0)} a second, answered {dict(sorted(seen.items()))}")


def said_little(server: ServerProcess, seconds: float) -> bool:
    """Whether the log holds a bounded number of lines about the floods: five kinds of failures, from one address."""
    lines = [line for line in server.errors.decode().splitlines() if re.search(r'"status": (40[0-9]|429)', line)]
    too_many = sum("too many failing requests" in line for line in lines)
    print(f"log: {len(lines)} lines about failures in {seconds:.0f} s, {too_many} of them that there were too many")
    most = 5 * (FAILURE_RATE.burst + FAILURE_RATE.per_second * seconds)
    return 0 < too_many <= 5 * (seconds / 60 + 2) and len(lines) < most


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
