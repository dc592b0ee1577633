"""Several gateways on one store, and what is before them: each call goes to one of them, whether it runs or not."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping

from gateway.core.wire import Callback, HttpResponse
from tests.simulation import api
from tests.simulation.deployment import Deployment
from tests.simulation.environment import Environment


class Cluster:
    """The deployments of all nodes, as their callers see them: as one."""

    def __init__(self, env: Environment, nodes: list[Deployment]) -> None:
        self._nodes = nodes
        self._dice = env.dice("cluster")

    @property
    def connection(self) -> sqlite3.Connection:
        """The database connection that a node uses; all see the same."""
        return next(node.connection for node in self._nodes if node.engine is not None)

    @property
    def outage(self) -> Mapping[str, float]:
        """What the store refuses now, to all alike; as ``Deployment.outage``."""
        return self._nodes[0].outage

    @outage.setter
    def outage(self, outage: Mapping[str, float]) -> None:
        for node in self._nodes:
            node.outage = outage

    async def run(self) -> None:
        """Run every node until the history has finished."""
        await asyncio.gather(*(node.run() for node in self._nodes))

    async def stop(self) -> None:
        """Stop one node as on SIGTERM; it starts again."""
        await self._one().stop()

    def cut_power(self) -> None:
        """Crash one node."""
        self._one().cut_power()

    def end(self) -> None:
        """End every process."""
        for node in self._nodes:
            node.process.end()

    async def send_request(self, request: api.Request) -> api.Reply | None:
        """Send a tenant's request to one node."""
        return await self._one().send_request(request)

    async def send_callback(self, path: str, callback: Callback) -> HttpResponse | None:
        """Send a callback or a visit to one node."""
        return await self._one().send_callback(path, callback)

    def _one(self) -> Deployment:
        return self._dice.choice(self._nodes)
