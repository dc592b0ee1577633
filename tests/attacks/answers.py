"""A provider that answers twice: is the second answer ever taken for the answer to another call?

``python -m tests.attacks.answers [ROUNDS]``. One request of a tenant is answered twice, the second time at once or 10,
50, 500 ms later. Then another tenant, or the same one, calls the same host: in even rounds once the second answer is
there, in odd ones without waiting for it. The result of this call must be what was answered to it: the request
arrived, and nothing of the surplus answer is in it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.support.server_process import running_server_process
from tests.support.servers.answering_twice import NO, PAGE, PATIENCE, POISON, TAKEN, Host, hostile_host, lead_all_to
from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body

PAUSES = (0.0, 0.01, 0.05, 0.5)
ROUNDS = 5
VICTIM = "acme"
OTHERS = {"across tenants": "globex", "within one": VICTIM}

Call = Callable[[], Awaitable[str]]
"""A call of the victim; returns its result."""


async def create(stack: GatewayStack) -> Call:
    """Create a payment at the PSP."""

    async def call() -> str:
        return (await stack.create(psp_body())).text

    return call


async def change(stack: GatewayStack, verb: str) -> Call:
    """Change a Credit Key payment that its customer has accepted."""
    payment = (await stack.create(creditkey_body())).json
    await stack.visit(await stack.approve(payment))
    await _until(lambda: stack.payment(payment["id"]), lambda now: now["state"] == "authorized")
    if verb == "refunds":
        await stack.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=new_key())

    async def call() -> str:
        reply = await stack.call("POST", f"/v1/payments/{payment['id']}/{verb}", {}, key=new_key())
        return reply.text

    return call


async def webhook(stack: GatewayStack) -> Call:
    """Send a webhook, with one attempt."""

    async def call() -> str:
        sent = (await stack.call("POST", "/v1/webhooks/test", {}, key=new_key())).json

        async def read() -> Any:
            listed = (await stack.call("GET", "/v1/webhooks/deliveries")).json["data"]
            return next(one for one in listed if one["id"] == sent["id"])

        return str(await _until(read, lambda one: bool(one["attempts"])))

    return call


async def _until(read: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not holds(found := await read()):  # noqa: ASYNC110  # it is the gateway that is waited for, over HTTP
            await asyncio.sleep(0.01)
        return found


KINDS: dict[str, tuple[Callable[[GatewayStack], Awaitable[Call]], str, bytes, str]] = {
    "create": (create, "/psp/", PAGE, "awaiting_customer"),
    "capture": (lambda stack: change(stack, "capture"), "/creditkey/", NO, "'state': 'captured'"),
    "refund": (lambda stack: change(stack, "refunds"), "/creditkey/", NO, "succeeded"),
    "lookup": (lambda stack: change(stack, "sync"), "/creditkey/", NO, "authorized"),
    "webhook": (webhook, "/hooks/acme", TAKEN, "'status_code': 500"),
}
"""What the victim does; the path of its call; the surplus answer; a word of the true answer."""


async def is_deceived(host: Host, stack: GatewayStack, kind: str, other: str, pause: float, *, waits: bool) -> bool:
    """Let another tenant's call be answered twice, make the victim's call, and check its result.

    A call that never arrives, or whose result makes no sense, got an older answer: it was deceived as well.
    """
    try:
        return await _is_deceived(host, stack, kind, other, pause, waits=waits)
    except (TimeoutError, LookupError, ValueError):
        return True


async def _is_deceived(host: Host, stack: GatewayStack, kind: str, other: str, pause: float, *, waits: bool) -> bool:
    prepare, path, surplus, truth = KINDS[kind]
    call = await prepare(stack)
    host.receivers = dict.fromkeys(OTHERS.values(), 200)
    if kind == "webhook":
        host.answer_twice(f"/hooks/{other}", pause, surplus)
        await stack.call("POST", "/v1/webhooks/test", {}, tenant=other, key=new_key())
        await host.has_been_asked()
        host.receivers[VICTIM] = 500
    else:
        host.answer_twice("/psp/", pause, surplus)
        await stack.create(psp_body(), tenant=other)
    if waits:
        await host.has_said_too_much()
    before = host.count(path)
    result = await call()
    await host.has_said_too_much()
    return (
        POISON in result or host.count(path) == before or truth not in result.replace('"', "'").replace("':'", "': '")
    )


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[tuple[Host, GatewayStack]]:
    """A gateway process whose providers and receivers are all at the hostile host."""
    async with hostile_host() as host, running_server_process(folder, change=lead_all_to(host)) as server:
        host.ports = {side: server.stack.ports[side] for side in ("psp", "creditkey")}
        await server.start()
        yield host, server.stack


async def attack(rounds: int) -> int:
    """Run all rounds and print the table; return the number of calls that were deceived."""
    table = Table("call", *(f"{where}, {pause * 1000:.0f} ms" for where in OTHERS for pause in PAUSES))
    deceived = 0
    with tempfile.TemporaryDirectory() as folder:
        async with scene(Path(folder)) as (host, stack):
            for kind in KINDS:
                cells = []
                for other in OTHERS.values():
                    for pause in PAUSES:
                        taken = [
                            await is_deceived(host, stack, kind, other, pause, waits=number % 2 == 0)
                            for number in range(rounds)
                        ]
                        cells.append(f"{sum(taken)} of {rounds}")
                        deceived += sum(taken)
                table.add_row(kind, *cells)
    Console(width=160).print(table)
    print(f"taken for an answer: {deceived} of {rounds * len(KINDS) * len(PAUSES) * len(OTHERS)}")
    return deceived


if __name__ == "__main__":
    sys.exit(bool(asyncio.run(attack(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))))
