"""A running gateway: one process at a time on one database, started, crashed, stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from gateway.core.errors import Unavailable
from gateway.core.wire import Callback, HttpResponse
from gateway.drivers.settings import Settings
from gateway.drivers.store.reads import Store
from gateway.flows.background import nodes, startup
from gateway.flows.background.workers import workers
from gateway.flows.nodes import Node
from gateway.flows.runtime import Gateway
from tests.simulation import api
from tests.simulation.environment import Environment
from tests.simulation.invariants import InvariantChecker
from tests.simulation.network import Network
from tests.simulation.process import Clock, Ids, Process
from tests.simulation.store_engine import StoreEngine

T = TypeVar("T")

MakeEngine = Callable[..., StoreEngine]
"""Makes the engine of a process: (process, refuses=, committed=), as ``StoreEngine`` takes them."""

PATIENCE = 12.0
"""Seconds a caller waits for an answer."""


class Deployment:
    """The gateway as its callers see it. A call returns None when no answer arrives.

    ``make_engine``: opens the store for a process. ``node``: which of how many ``nodes`` on the store this is.
    """

    def __init__(
        self,
        env: Environment,
        make_engine: MakeEngine,
        settings: Settings,
        network: Network,
        invariants: InvariantChecker,
        *,
        node: int = 0,
        nodes: int = 1,
    ) -> None:
        self._env = env
        self._make_engine = make_engine
        self._node, self._nodes = node, nodes
        self._settings = settings
        self._network = network
        self._invariants = invariants
        self._dice = env.dice(f"site {node}" if node else "site")
        self._listening: Gateway | None = None
        self._workers: list[asyncio.Task[Any]] = []
        self._answering: dict[asyncio.Task[Any], None] = {}
        self.process = Process(env, 0)
        self.engine: StoreEngine | None = None
        self.outage: Mapping[str, float] = {}
        """Probability that the store refuses now, by ``read``, ``write`` and ``move``."""

    @property
    def connection(self) -> sqlite3.Connection:
        """The database connection of the running process."""
        assert self.engine is not None
        return self.engine.connection

    async def run(self) -> None:
        """Run one process after another until the history has finished: after each end there is a new start."""
        starts = 0
        while True:
            starts += 1
            self.process = Process(self._env, starts * self._nodes + self._node)
            self.process.spawn(self._start(self.process))
            await self.process.died
            self._listening = None
            if self.engine is not None:
                self.engine.release()
            if self._env.figures["finished"]:
                return
            await asyncio.sleep(self._dice.choice((0.01, 0.5, 5.0, 30.0)))

    async def stop(self) -> None:
        """Stop as on SIGTERM: refuse requests, drain, close."""
        gw, process = self._listening, self.process
        if gw is None:
            return
        self._env.note(f"p{process.number} stops")
        self._env.figures["stops"] += 1
        gw.current.stop()
        work = process.spawn(self._wind_down(gw))
        await asyncio.wait({work, process.died}, return_when=asyncio.FIRST_COMPLETED)

    def cut_power(self) -> None:
        """Crash the process."""
        self.process.crash("without power")

    async def send_request(self, request: api.Request) -> api.Reply | None:
        """Send a tenant's request."""

        async def handle(gw: Gateway) -> api.Reply:
            reply = await api.serve(gw, request)
            self._invariants.after_answer(self.connection, request, reply)
            return reply

        return await self._call(handle, f"{request.kind} {request.key}")

    async def send_callback(self, path: str, callback: Callback) -> HttpResponse | None:
        """Send a provider's callback or a browser's visit; ``path`` begins below ``/callbacks/``."""

        async def handle(gw: Gateway) -> HttpResponse:
            answer = await api.handle_callback(gw, path, callback)
            self._invariants.after_callback(self.connection, callback, answer)
            return answer

        return await self._call(handle, "callback")

    async def _call(self, handle: Callable[[Gateway], Coroutine[Any, Any, T]], name: str) -> T | None:
        rates = self._env.rates
        await asyncio.sleep(self._dice.choice((0.001, 0.001, 0.003, 0.05)))
        gw, process = self._listening, self.process
        if gw is None or not process.alive or self._dice.random() < rates.caller:
            return None
        lag = self._dice.uniform(0.05, 0.6) if self._dice.random() < rates.lag else 0.0
        task = process.spawn(self._guarded(process, gw, handle, name), lag=lag)
        self._answering[task] = None
        task.add_done_callback(lambda done: self._answering.pop(done, None))
        await asyncio.wait({task, process.died}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() or task.cancelled() or self._dice.random() < rates.caller:
            return None
        answer: T | None = task.result()
        return answer

    async def _guarded(
        self, process: Process, gw: Gateway, handle: Callable[[Gateway], Coroutine[Any, Any, T]], name: str
    ) -> T | None:
        try:
            answer = await handle(gw)
        except Exception as fault:
            self._env.violated(f"{name} failed with {type(fault).__name__}: {fault}")
            return None
        process.boundary("answer")
        return answer

    async def _start(self, process: Process) -> None:
        try:
            await self._run(process)
        except Unavailable:
            process.crash("without a store")
        except Exception as fault:
            self._env.violated(f"a start failed with {type(fault).__name__}: {fault}")

    async def _run(self, process: Process) -> None:
        """Do what ``web/server.py`` does: open the store, recover, listen, start the workers."""
        self._env.note(f"p{process.number} starts")
        self._env.figures["starts"] += 1
        self._workers = []
        self.engine = self._make_engine(process, refuses=self._refuses, committed=self._invariants.after_commit)
        clock = Clock(process)
        send: Any = self._network.send_of(process)
        gw = Gateway(settings=self._settings, store=Store(self.engine), send=send, clock=clock)
        gw.new_id = Ids(clock, process).new
        if gw.store.is_shared:
            gw.node = Node(gw.store, clock, gw.new_id("node"))
            await nodes._renew(gw)
            self._workers = [process.spawn(nodes._keep_renewing(gw.current))]
        await startup.begin(gw)
        self._listening = gw
        self._workers += [process.spawn(worker) for worker in workers(gw.current)]

    def _refuses(self, verb: str) -> bool:
        return verb in self.outage and self._dice.random() < self.outage[verb]

    async def _wind_down(self, gw: Gateway) -> None:
        renewing, working = self._workers[: gw.store.is_shared], self._workers[gw.store.is_shared :]
        for worker in working:
            worker.cancel()
        if self._answering:
            await asyncio.wait(set(self._answering), timeout=5.0)
        await gw.tasks.drain(10.0)
        for worker in renewing:
            worker.cancel()
            with contextlib.suppress(Unavailable):
                await gw.node.leave()
        await gw.store.close()
        self._env.note("stopped")
        self.process.end()
