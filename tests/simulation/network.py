"""The network between the gateway and every server, with faults drawn from the seed.

A request that has left may arrive after its process is dead. The network never duplicates a request, but a proxy may;
then both arrivals count as the proxy's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.core.errors import NotSent, OutcomeUnknown
from gateway.core.urls import url_for_log
from gateway.core.wire import HttpRequest, HttpResponse
from tests.simulation.environment import Environment
from tests.simulation.process import Process

LATEST_ARRIVAL = 14.0
"""Seconds after which a request can no longer arrive. The settings' ``quiet_period`` is longer."""

HTML = (("Content-Type", "text/html"),)
JSON = (("Content-Type", "application/json"),)
GARBLED: dict[str, Callable[[HttpResponse], HttpResponse]] = {
    "truncated": lambda answer: msgspec.structs.replace(answer, body=answer.body[: len(answer.body) // 2]),
    "html": lambda _: HttpResponse(status=200, headers=HTML, body=b"<html>one moment</html>"),
    "bad gateway": lambda _: HttpResponse(status=502, headers=HTML, body=b"<html>bad gateway</html>"),
    "error": lambda _: HttpResponse(status=500, headers=JSON, body=b'{"result":"internal error"}'),
    "elsewhere": lambda _: HttpResponse(status=302, headers=(("Location", "https://elsewhere.example/"),)),
    "conflict": lambda _: HttpResponse(status=409, headers=JSON, body=b'{"result":"conflict"}'),
    "html not found": lambda _: HttpResponse(status=404, headers=HTML, body=b"<html>not found</html>"),
}
"""Responses that prove nothing, made from the real one."""


class RequestFault(msgspec.Struct, frozen=True, kw_only=True):
    """``arrives``: how many times. ``late``: only after the sender has given up. ``answer``: ``whole``, ``silence``,
    ``reset``, ``refused`` (no connection), ``limited`` (429), or one of ``GARBLED``."""

    arrives: int = 1
    late: bool = False
    answer: str = "whole"
    changing: bool = True


NO_FAULT = RequestFault()
REQUEST_FAULTS = (
    (4, RequestFault(arrives=0, answer="refused")),
    (2, RequestFault(arrives=0, answer="limited")),
    (3, RequestFault(arrives=0, answer="silence")),
    (2, RequestFault(arrives=0, answer="reset")),
    (4, RequestFault(answer="silence")),
    (3, RequestFault(answer="reset")),
    (4, RequestFault(late=True, answer="silence")),
    (2, RequestFault(late=True, answer="reset")),
    *((1, RequestFault(answer=kind)) for kind in GARBLED),
    *((1, RequestFault(arrives=0, answer=kind)) for kind in GARBLED if kind != "truncated"),
    (1, RequestFault(arrives=2)),
)
"""(weight, fault)"""

FALSE_SUCCESS = "html"
"""A success made up on the way. It cannot pass for a provider's answer, but it does for a tenant's."""

NOT_IDEMPOTENT = ("begin_standalone_checkout", "refund")
"""Calls that the provider cannot deduplicate: a copy would make a second order or refund."""


class Server(Protocol):
    """A server. ``admit`` sees each attempt, ``handle`` serves what arrives, with the tag that ``admit`` returned."""

    def admit(self, request: HttpRequest, *, leaves: bool) -> str:
        """Check a request and return a tag for its effects. ``leaves`` is false when no connection is made."""
        ...

    def handle(self, request: HttpRequest, tag: str) -> HttpResponse:
        """Serve a request."""
        ...


class Network:
    """Carries requests to ``hosts``: host name -> (server, name of its rate in ``FaultRates``)."""

    def __init__(self, env: Environment, hosts: dict[str, tuple[Server, str]]) -> None:
        self._env = env
        self._hosts = hosts
        self._dice = env.dice("network")

    def send_of(self, process: Process) -> Callable[..., object]:
        """Return the ``send`` of one process."""

        async def send(request: HttpRequest, *, total: float, connect: float, owner: str) -> HttpResponse:
            process.boundary("send")
            answered = self._carry(request, total, connect)
            answer = await answered
            process.boundary("sent")
            return answer

        return send

    def _carry(self, request: HttpRequest, total: float, connect: float) -> asyncio.Future[HttpResponse]:
        host = request.url.split("/")[2]
        server, rate = self._hosts[host]
        fault = self._draw_fault(request, rate)
        tag = server.admit(request, leaves=fault.answer != "refused")
        self._env.note(f"-> {url_for_log(request.url)} {tag} {msgspec.json.encode(fault).decode()}")
        answered: asyncio.Future[HttpResponse] = self._env.loop.create_future()
        self._env.spawn(self._travel(request, tag, server, fault, answered, total=total, connect=connect))
        return answered

    def _draw_fault(self, request: HttpRequest, rate: str) -> RequestFault:
        if self._dice.random() >= getattr(self._env.rates, rate):
            return NO_FAULT
        fault = self._dice.choices([fault for _, fault in REQUEST_FAULTS], [weight for weight, _ in REQUEST_FAULTS])[0]
        self._env.figures["faults"] += 1
        cannot_tell = fault.arrives == 2 and request.url.endswith(NOT_IDEMPOTENT)
        is_believed = rate == "webhook" and fault.answer == FALSE_SUCCESS
        return NO_FAULT if cannot_tell or is_believed else fault

    async def _travel(
        self,
        request: HttpRequest,
        tag: str,
        server: Server,
        fault: RequestFault,
        answered: asyncio.Future[HttpResponse],
        *,
        total: float,
        connect: float,
    ) -> None:
        latency = self._latency(total)
        gives_up_after = total if fault.answer == "silence" else self._dice.uniform(0.01, connect)
        real: HttpResponse | None = None
        if fault.answer in ("silence", "reset", "refused"):
            self._env.spawn(self._give_up(fault, answered, gives_up_after))
        if fault.arrives:
            await asyncio.sleep(self._dice.uniform(gives_up_after, LATEST_ARRIVAL) if fault.late else latency)
            real, *_ = [server.handle(request, tag) for _ in range(fault.arrives)]
            await asyncio.sleep(self._dice.uniform(0.001, 0.02))
        else:
            await asyncio.sleep(latency)
        answer = self._answer(fault, real)
        if answer is not None and not answered.done():
            answered.set_result(answer)

    async def _give_up(self, fault: RequestFault, answered: asyncio.Future[HttpResponse], seconds: float) -> None:
        await asyncio.sleep(seconds)
        if answered.done():
            return
        if fault.answer == "refused":
            answered.set_exception(NotSent("connect_failed", connection=True))
        else:
            answered.set_exception(OutcomeUnknown("timeout" if fault.answer == "silence" else "connection_lost"))

    def _answer(self, fault: RequestFault, real: HttpResponse | None) -> HttpResponse | None:
        if fault.answer == "whole":
            return real
        if fault.answer == "limited":
            return HttpResponse(status=429, headers=(*JSON, ("Retry-After", "2")), body=b'{"result":"slow down"}')
        garble = GARBLED.get(fault.answer)
        return garble(real or HttpResponse(status=200)) if garble is not None else None

    def _latency(self, total: float) -> float:
        """Draw the seconds until a request arrives: mostly short, now and then close to the timeout."""
        slow = self._dice.random() < self._env.rates.slow
        return self._dice.uniform(total / 2, total * 0.9) if slow else self._dice.uniform(0.005, 0.2)
