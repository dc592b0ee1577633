"""Several databases as one ``Store``: reads about one tenant go to its database, reads about all tenants to all.

Imported only where the settings name several stores. Each store has an audit trail, a search index, operators'
webhooks and approvals of its own for its tenants; rows that concern no tenant are in the first store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from heapq import nlargest, nsmallest
from inspect import iscoroutinefunction, signature
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from gateway.core.errors import TenantMoves, Unavailable
from gateway.drivers.settings import Settings
from gateway.drivers.store.approvals import Approvals
from gateway.drivers.store.audit import Audit
from gateway.drivers.store.claimable import Claimable
from gateway.drivers.store.databases import ask_each, unanswered
from gateway.drivers.store.deliveries import Deliveries
from gateway.drivers.store.inbox import Inbox
from gateway.drivers.store.many_audit import newest_acts
from gateway.drivers.store.metadata import Metadata
from gateway.drivers.store.moves import Moves
from gateway.drivers.store.nodes import Nodes
from gateway.drivers.store.pending_erasures import PendingErasures
from gateway.drivers.store.personal_data import PersonalData
from gateway.drivers.store.queues import OpenOperations, Queue, Queues
from gateway.drivers.store.reads import Store
from gateway.drivers.store.refused_requests import RefusedRequests
from gateway.drivers.store.rows import PageRequest
from gateway.drivers.store.search_index import SearchIndex
from gateway.drivers.store.statements import Statement, Unit
from gateway.drivers.store.tenant_map import TenantMap

Answers = Sequence[Any]
Merge = Callable[..., Any]
"""Makes one answer: (the stores' answers, the arguments of the read) -> the answer."""


def _owner_of(row: Any) -> str:
    """The tenant of a row, or of a key, in a store's answer."""
    if isinstance(row, str):
        return row
    return str(row[0] if isinstance(row, tuple) else getattr(getattr(row, "payment", row), "tenant", ""))


def _joined(found: Answers, *_: object) -> list[Any]:
    return [row for rows in found for row in rows]


def _all_keys(found: Answers, *_: object) -> dict[Any, Any]:
    return {key: value for one in found for key, value in one.items()}


def _sum(found: Answers, *_: object) -> int:
    return sum(found)


def _least(found: Answers, *_: object) -> Any:
    return min((one for one in found if one is not None), default=None)


def _greatest(found: Answers, *_: object) -> Any:
    return max((one for one in found if one is not None), default=None)


def _first(found: Answers, *_: object) -> Any:
    """The answer of the one store that has it. A pair of None counts as no answer."""
    return next((one for one in found if one not in (None, (None, None))), found[0])


def _earliest(key: str) -> Merge:
    return lambda found, _, limit: nsmallest(limit, _joined(found), key=attrgetter(key))


def _newest(key: str) -> Merge:
    return lambda found, *asked: nlargest(asked[-1].limit, _joined(found), key=attrgetter(key))


def _oldest(key: str) -> Merge:
    return lambda found, *asked: nsmallest(asked[-1].limit, _joined(found), key=attrgetter(key))


def _queue(found: Answers, *_: object) -> Queue:
    return Queue(count=sum(one.count for one in found), due_since=_least([one.due_since for one in found]))


def _operations(found: Answers, *_: object) -> OpenOperations:
    return OpenOperations(count=sum(one.count for one in found), oldest=_least([one.oldest for one in found]))


def _reviews(found: Answers, *_: object) -> tuple[int, str | None]:
    return sum(count for count, _ in found), _least([oldest for _, oldest in found])


FROM_AVAILABLE: Mapping[str, Merge] = {
    "due_checks": _earliest("due_at"),
    "next_check_due": _least,
    "stored_bytes": _all_keys,
    "inbox.due": _earliest("next_attempt_at"),
    "inbox.next_due": _least,
    "claimable.checks": _joined,
    "claimable.callbacks": lambda found, limit, _: _joined(found)[:limit],
    "queues.schedule": _queue,
    "queues.inbox": _queue,
    "queues.pending_webhooks": _sum,
    "queues.dead_webhooks": _sum,
    "queues.webhooks_due": _all_keys,
    "queues.operations": _operations,
    "queues.unknown_before": _joined,
    "queues.reviews": _reviews,
    "queues.approvals": _queue,
    "queues.erasures": _queue,
    "queues.endpoints": _joined,
    "metadata.count_due_checks": _sum,
    "metadata.database_bytes": _sum,
    "pending_erasures.page": lambda found, _, limit: nsmallest(limit, _joined(found)),
}
"""Reads of workers and the status, made from all stores that answer: a store that is down stops only its tenants."""

FROM_ALL: Mapping[str, Merge] = {
    "accounts_in_use": _joined,
    "reviews": _newest("payment.id"),
    "silent": _newest("payment.id"),
    "open_operations": lambda found, _: sorted(_joined(found), key=attrgetter("id")),
    "list_open_operations": _oldest("id"),
    "open_operation": _first,
    "inbox.find": _first,
    "metadata.timestamp": _greatest,
    "metadata.unfinished_copy": _first,
    "approvals.find": _first,
    "approvals.newest": _newest("id"),
    "audit.asked_about": _first,
    "refused_requests.find": _joined,
    "search.payments_of": _joined,
}
"""Reads for people, made from all stores: without one of them the answer would be wrong, so the read is refused."""

_NOT_FROM_ONE = ("events_of", "payments_of")
"""Reads of the search index that are made from the tenant's store, or from all."""

FROM_ONE = frozenset(
    {
        "inbox.has_any",
        "approvals.has_overdue",
        "approvals.waiting",
        "refused_requests.has_any",
        "metadata.secret_fingerprint",
        "metadata.server",
        "metadata.database",
        "metadata.unchecked",
        "metadata.payments_after",
        "nodes.all",
        "nodes.is_alive",
        "nodes.database_clock",
        "nodes.are_to_look",
        "audit.head",
        "audit.after",
        *(f"moves.{name}" for name in vars(Moves) if not name.startswith("_") and name != "under_way"),
        *(f"search.{name}" for name in {*vars(SearchIndex)} - {*_NOT_FROM_ONE} if not name.startswith("_")),
    }
)
"""Reads that callers make from each store by itself (``parts``). Asked of the whole, they are made from the first."""

MERGED_BY_TIME = "audit.newest"
"""The read whose rows each store numbers by itself, so that they are merged by time (``many_audit.py``)."""

GROUPS: Mapping[str, type] = {
    "claimable": Claimable,
    "inbox": Inbox,
    "metadata": Metadata,
    "moves": Moves,
    "deliveries": Deliveries,
    "audit": Audit,
    "approvals": Approvals,
    "queues": Queues,
    "refused_requests": RefusedRequests,
    "search": SearchIndex,
    "personal_data": PersonalData,
    "pending_erasures": PendingErasures,
    "nodes": Nodes,
}


def reads_of(kind: type) -> list[str]:
    """The names of the reads of a kind."""
    return [name for name, one in vars(kind).items() if iscoroutinefunction(one) and not name.startswith("_")]


class ManyStores(Store):
    """Stores by name. The first has the rows that concern no tenant."""

    def __init__(self, by_name: Mapping[str, Store], settings: Settings) -> None:
        self._by_name = by_name
        self._home = next(iter(by_name.values()))
        self.is_shared = self._home.is_shared
        self.tenants = TenantMap([*by_name], settings)
        for name in {*reads_of(Store)} - {"prove_writable"}:
            setattr(self, name, self._read_method("", name, Store))
        for group, kind in GROUPS.items():
            reads = {name: self._read_method(group, name, kind) for name in reads_of(kind)}
            setattr(self, group, SimpleNamespace(**reads))

    @property
    def by_name(self) -> Mapping[str, Store]:  # type: ignore[override]  # each has one database
        """The stores, one database each."""
        return self._by_name

    def of(self, tenant: str) -> Store:  # type: ignore[override]  # as above
        """The store of a tenant. Raises ``Unavailable`` for one that is not open."""
        return self._opened(self.tenants.store_of(tenant))

    def _opened(self, name: str) -> Store:
        if name not in self._by_name:
            raise Unavailable(f"the store {name} is not open: it was added to the settings after the start")
        return self._by_name[name]

    async def commit(self, tenant: str, unit: Unit) -> None:
        """Write a unit in its tenant's store; without a tenant in the first."""
        await self.of(tenant).commit(tenant, unit)

    async def claim(self, tenant: str, statement: Statement) -> list[tuple[Any, ...]]:
        """Claim something of a tenant's in its store."""
        return await self.of(tenant).claim(tenant, statement)

    async def prove_writable(self, at: datetime, tenant: str | None = None) -> None:
        """Prove that a tenant's store can be written; without a tenant, that at least one store can."""
        if tenant is None:
            await self._ask(lambda _, part: part.prove_writable(at), needs_all=False)
        else:
            await self.of(tenant).prove_writable(at)

    async def keeps_last_units(self) -> bool:
        """Whether all of them still have the units that this process wrote last."""
        return all(await self._ask(lambda _, part: part.keeps_last_units(), needs_all=True))

    async def empty_log(self) -> bool:
        """Empty the log of each."""
        return all(await self._ask(lambda _, part: part.empty_log(), needs_all=True))

    async def close(self) -> None:
        """Close all of them, also where one cannot be closed."""
        for problem in await asyncio.gather(*(part.close() for part in self.parts), return_exceptions=True):
            if problem is not None:
                raise problem

    def _read_method(self, group: str, name: str, kind: type) -> Callable[..., Awaitable[Any]]:
        """Return the method for one read: from the store of its tenant, from all stores, or from the first."""
        key = f"{group}.{name}".lstrip(".")

        def read(part: Store, *args: Any, **named: Any) -> Awaitable[Any]:
            answer: Awaitable[Any] = getattr(getattr(part, group) if group else part, name)(*args, **named)
            return answer

        async def of_tenant(owner: Any, *args: Any, **named: Any) -> Any:
            tenant = getattr(owner, "tenant", owner)
            name = self.tenants.store_of(tenant)
            answer = await read(self._opened(name), owner, *args, **named)
            # Checked after the read: during it the tenant may have been moved, and its rows here deleted.
            if not self.tenants.is_current(name) or self.tenants.store_of(tenant) != name:
                raise TenantMoves(f"tenant {tenant} may have left the store {name} during the read")
            return answer

        async def of_stores(*args: Any, **named: Any) -> Any:
            needs_all = key in FROM_ALL
            merge = FROM_ALL[key] if needs_all else FROM_AVAILABLE[key]
            return merge(await self._ask(partial(self._read_full_page, read, args, named), needs_all=needs_all), *args)

        if key == MERGED_BY_TIME:
            return partial(newest_acts, self.parts)
        about = [*signature(getattr(kind, name)).parameters][1:2]
        if about in (["tenant"], ["payment"]):
            return of_tenant
        if key in FROM_ONE:
            return partial(read, self._home)
        if key not in FROM_ALL and key not in FROM_AVAILABLE:
            raise TypeError(f"{key} must be in one of the tables of {__name__}: how is it read from several stores?")
        return of_stores

    async def _read_full_page(
        self, read: Callable[..., Awaitable[Any]], args: Answers, named: Mapping[str, Any], name: str, part: Store
    ) -> Any:
        """The answer of one store. A full page with rows of moved tenants is read again with twice the limit."""
        asked = args
        while True:
            found = await read(part, *asked, **named)
            counted = self._without_moved(name, found)
            match asked:
                case *before, PageRequest(limit=limit) as last if len(found) == limit and len(counted) < args[-1].limit:
                    asked = (*before, replace(last, limit=2 * limit))
                case _:
                    return counted

    def _without_moved(self, name: str, answer: Any) -> Any:
        """A store's answer without the rows of tenants that have moved to another one. Counts still include them."""
        if not self.tenants.moves_under_way():
            return answer
        if not isinstance(answer, (list, dict)):
            return None if self.tenants.is_elsewhere(name, getattr(answer, "tenant", "")) else answer
        counts = [row for row in answer if not self.tenants.is_elsewhere(name, _owner_of(row))]
        return {key: answer[key] for key in counts} if isinstance(answer, dict) else counts

    async def _ask(self, ask: Callable[[str, Store], Awaitable[Any]], *, needs_all: bool) -> list[Any]:
        """Ask all stores at once. Raises ``Unavailable`` if none answers, or if ``needs_all`` and one does not."""
        found, problems = await ask_each(self._by_name, ask)
        self.down = (*problems,)
        if problems and (needs_all or not found):
            raise unanswered(problems)
        return found
