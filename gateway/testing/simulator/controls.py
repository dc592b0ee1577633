"""The routes below ``/_sim``, by which tests and people see and steer a simulator."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal

import msgspec
from aiohttp import web

import gateway
from gateway.testing.simulator.base import SimulatorBase
from gateway.testing.simulator.ledger import EffectState, Refusal

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Action(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the customer of a payment does, by the gateway's id of it or the provider's."""

    payment_id: str
    does: Literal["pay", "pay_less", "decline", "pend", "abandon"]


class Advance(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How far the clock is moved ahead, such as ``30d``, ``12h`` or ``90s``."""

    advance: str


class Resolution(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How a pending capture or refund ended."""

    id: str
    state: EffectState


class Dispatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is done with callbacks. ``release`` sends those that are held, all or ``numbers`` in their order; ``repeat``
    sends some again byte for byte, ``forge`` forged copies of them, of the last one where no ``numbers`` are given."""

    do: Literal["release", "repeat", "forge"]
    numbers: list[int] | None = None


def controls(simulator: SimulatorBase[Any]) -> list[web.RouteDef]:
    """The routes of one simulator."""
    shown: dict[str, Callable[[], Any]] = {
        "requests": lambda: simulator.requests,
        "orders": simulator.orders,
        "ledger": lambda: [simulator.line(payment) for payment in simulator.ledger],
        "callbacks": lambda: simulator.outbox.callbacks,
        "clock": lambda: shown_clock(simulator),
    }
    steps: dict[tuple[str, str], Callable[[SimulatorBase[Any], bytes], Awaitable[Any]]] = {
        ("PUT", "faults"): set_faults,
        ("PUT", "clock"): move_clock,
        ("POST", "customer"): act,
        ("POST", "effects"): resolve,
        ("POST", "callbacks"): dispatch,
    }
    return [
        *(web.get(f"/_sim/{name}", _showing(simulator, show)) for name, show in shown.items()),
        *(web.route(method, f"/_sim/{name}", _doing(simulator, step)) for (method, name), step in steps.items()),
    ]


async def set_faults(simulator: SimulatorBase[Any], body: bytes) -> Any:
    """Replace the faults."""
    return simulator.faults.replace(body)


async def move_clock(simulator: SimulatorBase[Any], body: bytes) -> Any:
    """Move the clock ahead."""
    simulator.clock.advance(period(msgspec.json.decode(body, type=Advance).advance))
    return shown_clock(simulator)


def shown_clock(simulator: SimulatorBase[Any]) -> dict[str, Any]:
    """The time, and by how many seconds the clock was moved."""
    return {"now": simulator.clock.now().isoformat(), "ahead": simulator.clock.ahead.total_seconds()}


async def act(simulator: SimulatorBase[Any], body: bytes) -> Any:
    """Let a customer do something."""
    action = msgspec.json.decode(body, type=Action)
    found = simulator.ledger.find(payment_id=action.payment_id)
    return await simulator.customer(found or simulator.ledger.get(action.payment_id), action.does)


async def resolve(simulator: SimulatorBase[Any], body: bytes) -> Any:
    """End a pending effect, and send the callback about it."""
    resolution = msgspec.json.decode(body, type=Resolution)
    payment = simulator.ledger.resolve(resolution.id, resolution.state)
    kind = next(one.kind for one in payment.effects if one.id == resolution.id)
    return {**simulator.line(payment), "callbacks": await simulator.notify(payment, kind)}


async def dispatch(simulator: SimulatorBase[Any], body: bytes) -> Any:
    """Release, repeat or forge callbacks; says how each was answered."""
    step, outbox = msgspec.json.decode(body, type=Dispatch), simulator.outbox
    if step.do == "release":
        return await outbox.release(step.numbers)
    numbers = step.numbers if step.numbers is not None else [len(outbox.callbacks) - 1]
    if step.do == "repeat":
        return [await outbox.send(number) for number in numbers]
    return [answer for number in numbers for answer in await outbox.forge(number)]


def period(text: str) -> timedelta:
    """Read a period such as ``30d``. Raises ``ValueError``."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if found is None:
        raise ValueError(f'"{text}" must be a number and one of s, m, h, d, such as 30d')
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _showing(simulator: SimulatorBase[Any], show: Callable[[], Any]) -> Callable[[web.Request], Any]:
    async def handler(_: web.Request) -> web.Response:
        await simulator.sent()
        return json_answer(show())

    return handler


def _doing(
    simulator: SimulatorBase[Any], step: Callable[[SimulatorBase[Any], bytes], Awaitable[Any]]
) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.Response:
        try:
            return json_answer(await step(simulator, await request.read()))
        except (ValueError, msgspec.DecodeError) as problem:  # one is the other only in newer versions of msgspec
            return json_answer({"error": str(problem)}, 400)
        except Refusal as refusal:
            return json_answer({"error": refusal.code}, refusal.status)

    return handler


def json_answer(value: Any, status: int = 200) -> web.Response:
    """A JSON value; numbers and amounts are written as they are."""
    return web.Response(body=gateway.dumps(value), status=status, content_type="application/json")
