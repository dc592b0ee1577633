"""This process as one of those that share the store. A process with a store of its own needs no lease or claims."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import datetime

from gateway.drivers.clock import Clock, milliseconds
from gateway.drivers.installed_plugins import own_version
from gateway.drivers.store import claims, moves, nodes
from gateway.drivers.store.claims import Claimant
from gateway.drivers.store.databases import ask_each, unanswered
from gateway.drivers.store.moves import Step
from gateway.drivers.store.nodes import NodeRow
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement


class _Lease:
    """From when to when a node holds what it has claimed of one database."""

    def __init__(self, at: datetime) -> None:
        self.since = self.until = at
        self.is_begun = False


class Node:
    """A process. What it has claimed is its own as long as it renews its row in time (``background/nodes.py``)."""

    def __init__(self, store: Store, clock: Clock, identifier: str) -> None:
        self.id, self.is_shared = identifier, store.is_shared
        self._store, self._clock = store, clock
        self.started_at = clock.now()
        self._leases = {part: _Lease(self.started_at) for part in store.parts}
        self._renewing = asyncio.Lock()
        self.host, self.pid = socket.gethostname(), os.getpid()
        self.sends_as = identifier if store.is_shared else None
        """What an operation says of the process that sends it; None where there is only one."""
        store.tenants.is_current = self._knows_moves

    def claimant(self) -> Claimant:
        """Who claims something now."""
        return Claimant(self.id, self._clock.now())

    def may_begin(self, tenant: str, claimed_at: datetime) -> bool:
        """Whether what was claimed of a tenant's at a time is this node's still; asked before each attempt and call.

        It is not where a renewal came late since then: another node may have taken it over, and done it.
        """
        if not self.is_shared:
            return True
        lease = self._leases[self._store.of(tenant)]
        return lease.since <= claimed_at and self._clock.now() < lease.until - nodes.MARGIN

    async def does(self, job: str) -> bool:
        """Whether this process does a job of the gateway's own, which one of them does as long as it lives."""
        if not self.is_shared:
            return True
        by = self.claimant()
        return bool(await self._store.claim(NO_TENANT, claims.claim_job(job, by))) and self.may_begin(NO_TENANT, by.at)

    async def is_alive(self, tenant: str, node: str) -> bool:
        """Whether a process lives that sent something of a tenant's."""
        return await self._store.of(tenant).nodes.is_alive(node, self._clock.now())

    async def renew(self, settings_hash: str, url: str) -> None:
        """Join, or stay alive for another ``LEASE``. Raises ``Unavailable``, after renewing wherever it can be."""
        async with self._renewing:  # of two at once the earlier might be written last
            await self._in_each(lambda name, part: self._renew(name, part, settings_hash, url))

    async def _renew(self, name: str, part: Store, settings_hash: str, url: str) -> None:
        began = self._clock.now()
        seen = await self._read_moves(name, part)
        asked, theirs = self._clock.now(), await part.nodes.database_clock()
        ahead = milliseconds(asked + (self._clock.now() - asked) / 2) - theirs
        await part.commit(NO_TENANT, [nodes.renew(self.row(settings_hash, url, began, ahead=ahead)), *seen])
        ended, lease = self._clock.now(), self._leases[part]
        if ended >= lease.until - nodes.MARGIN:
            lease.since = ended  # too late for what was claimed before
        lease.until, lease.is_begun = began + nodes.LEASE, True

    async def _read_moves(self, name: str, part: Store) -> list[Statement]:
        """Follow the moves of tenants out of a database, and return what acknowledges them.

        The command that moves a tenant waits until all living nodes have acknowledged its step.
        """
        if len(self._leases) == 1:
            return []
        found = await part.moves.all()
        self._store.tenants.note_moves(name, found)
        return [moves.acknowledge(one, self.id) for one in found if one.step is not Step.CLEARED]

    def _knows_moves(self, name: str) -> bool:
        """Whether the moves of a store were read within the lease: not where a renewal is late."""
        lease = self._leases[self._store.by_name[name]]
        return not (self.is_shared and lease.is_begun) or self._clock.now() < lease.until - nodes.MARGIN

    async def leave(self) -> None:
        """Leave: what is claimed is free at once, and nothing is begun any more. Raises ``Unavailable``."""
        for lease in self._leases.values():
            lease.until = lease.since
        await self._in_each(lambda _, part: part.commit(NO_TENANT, [nodes.leave(self.id)]))

    async def _in_each(self, act: Callable[[str, Store], Awaitable[None]]) -> None:
        """Do something in every database, then raise what went wrong in one. Raises ``Unavailable``."""
        _, problems = await ask_each(self._store.by_name, act)
        self._store.note_outages(problems, self._clock.now())
        if problems:
            raise unanswered(problems)

    def row(self, settings_hash: str, url: str, at: datetime, *, ahead: int = 0) -> NodeRow:
        """This process as others are shown it; ``ahead``: of the database's clock, in milliseconds."""
        return NodeRow(
            id=self.id,
            host=self.host,
            pid=self.pid,
            version=own_version(),
            settings_hash=settings_hash,
            url=url,
            started_at=milliseconds(self.started_at),
            renewed_at=milliseconds(at),
            alive_until=milliseconds(at + nodes.LEASE),
            clock_ahead=ahead,
        )
