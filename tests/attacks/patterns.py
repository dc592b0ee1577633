"""Bad patterns and bad expressions in the settings, hostile values from customers: how long is the gateway busy?

Each pattern is one account's ``fields.x.pattern``. Where the gateway starts with it, a create brings 255 hostile
characters; then more of them are on their way when SIGTERM comes. What counts is how long the event loop was busy: the
processor time of the gateway's main thread, as Linux tells it (elsewhere the time until the answer).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.support.server_process import ServerProcess, running_server_process
from tests.support.stack import order_of, psp_body

LONGEST_ANSWER = 0.05
"""Seconds a create with a hostile value may keep the gateway busy, at best of several."""

LONGEST_STOP = 10.0
"""Seconds from SIGTERM to the end."""

TRIES = 5

LETTERS = "a" * 254 + "!"
WORDS = "Dana " * 50 + "Reyes"[:4] + "!"
PATTERNS = {
    "(a+)+$": LETTERS,
    "([a-zA-Z]+)*$": LETTERS,
    "(a|aa)+$": LETTERS,
    "(a|a?)+$": LETTERS,
    "(.*a){12}": "a" * 11 + "b" * 244,
    "([A-Za-z]+ ?)+": WORDS,
    "(x+x+)+y": "x" * 255,
    "(a|b)*a(a|b){200}": "ab" * 127 + "c",
    "(?:.{1,15}){1,30}": "\U0001d538" * 255,
    r"(a*)*\1": LETTERS,
    "(?=(a+)+$)a": LETTERS,
    "(?:.{1,30}){1,33}": LETTERS,
}
EXPRESSIONS = {
    "a list doubled 22 times": " | ".join(["order.items", *["[@, @][]"] * 22]),
    "a list held 2^40 times, as text": " | ".join(["order.items", *["[@, @]"] * 40, "to_string(@)"]),
    "a text doubled 30 times": " | ".join(["to_string(order)", *["join('', [@, @])"] * 30]),
    "a text joined by itself": "[to_string(order), order.items[*].name] | join([0], [1])",
    "each item compared with all": "order.items[?" + " || ".join(f"name == '{number}'" for number in range(200)) + "]",
}
ITEM = {"merchant_id": "PJ-1", "name": "Pallet jack", "price": "1.00", "sku": "PJ-1", "quantity": 1}
ORDER = {"order": order_of("500.00") | {"items": [ITEM] * 500}, "amount": "500.00"}


async def main() -> int:
    """Try every pattern and expression; return 1 if one of them kept the gateway busy too long."""
    broken = 0
    for pattern, value in PATTERNS.items():
        broken += await attack(pattern, {"pattern": pattern}, {"fields": {"x": value}})
    for name, expression in EXPRESSIONS.items():
        broken += await attack(name, {"from": expression}, ORDER)
    return 1 if broken else 0


async def attack(name: str, field: dict[str, str], hostile: dict[str, Any]) -> int:
    """Run the gateway with one field and print its figures; return 1 if a limit was exceeded."""

    def with_field(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"]["psp-main"]["fields"] = {"x": field}

    with tempfile.TemporaryDirectory() as folder:
        try:
            async with running_server_process(Path(folder), with_field) as server:
                await server.start()
                took = min([await seconds_of(server, hostile) for _ in range(TRIES)])
                stopped = await stop_during(server, hostile)
        except Exception as refused:
            if "problems" not in vars(refused):  # a SettingsError has them
                raise
            print(f"{name:36} refused at load: {str(refused).rpartition(': pattern ')[2][:90]}")
            return 0
    is_kept = took < LONGEST_ANSWER and stopped < LONGEST_STOP
    print(f"{name:36} {1000 * took:6.1f} ms, SIGTERM {stopped:4.1f} s {'' if is_kept else '  BROKEN'}")
    return 0 if is_kept else 1


async def seconds_of(server: ServerProcess, hostile: dict[str, Any]) -> float:
    """Return the seconds for which one create keeps the gateway busy."""
    began = busy(server)
    reply = await server.stack.create(psp_body(**hostile))
    took = busy(server) - began
    assert reply.status == 201 or "$.fields.x" in reply.text, reply.text
    return took


def busy(server: ServerProcess) -> float:
    """The seconds for which the gateway's main thread has run so far."""
    assert server.process is not None
    schedstat = Path(f"/proc/{server.process.pid}/schedstat")
    return int(schedstat.read_text().split()[0]) / 1e9 if schedstat.exists() else perf_counter()


async def stop_during(server: ServerProcess, hostile: dict[str, Any]) -> float:
    """Seconds from SIGTERM to the end while hostile creates are on their way."""
    creates = [asyncio.create_task(server.stack.create(psp_body(**hostile))) for _ in range(10)]
    await asyncio.sleep(0)
    began = perf_counter()
    code = await server.end()
    took = perf_counter() - began
    assert code == 0, code
    await asyncio.gather(*creates, return_exceptions=True)
    return took


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
