"""Keep why tenants' requests were refused, a batch at a time: no answer waits for it.

A process that is killed loses what came in its last second; one that stops keeps all.
"""

from __future__ import annotations

import asyncio
from itertools import groupby
from operator import attrgetter

from gateway.core.errors import Unavailable
from gateway.drivers.store import refused_requests
from gateway.drivers.store.reads import Store
from gateway.drivers.store.refused_requests import RefusedRequest
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.tasks import Tasks, log

PAUSE_SECONDS = 1.0
"""How long one waits for others."""

MAX_WAITING = 1000
"""How many may wait; what comes beyond is only in the log."""

TRIMMED_EACH = 1000
"""After how many rows those of all tenants are trimmed, which costs milliseconds."""


class RefusedRequests:
    """Collects them, and writes them after a pause."""

    def __init__(self, store: Store, tasks: Tasks) -> None:
        self._store, self._tasks = store, tasks
        self._waiting: list[RefusedRequest] = []
        self._untrimmed = TRIMMED_EACH  # of earlier processes

    def note(self, refused: RefusedRequest) -> None:
        """Keep one soon."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(refused)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._begin)

    async def write(self) -> None:
        """Write those that wait."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        tenant_of = attrgetter("tenant")
        by_tenant = groupby(sorted(waiting, key=tenant_of), tenant_of)
        units = [self._store.commit(tenant, refused_requests.insert([*own])) for tenant, own in by_tenant]
        self._untrimmed += len(waiting)
        if self._untrimmed >= TRIMMED_EACH:
            self._untrimmed = 0
            trim = [refused_requests.trim_all()]
            units += [part.commit(NO_TENANT, trim) for part in self._store.reachable]
        try:
            await asyncio.gather(*units)
        except Unavailable:  # they are in the log
            log.warning("refused requests could not be kept", extra={"repeated": len(waiting)})

    def _begin(self) -> None:
        self._tasks.start("refused requests", self.write())
