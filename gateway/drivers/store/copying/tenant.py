"""One tenant's rows in a store: copied into another beside those of others, compared, and deleted.

Nobody writes them meanwhile (``moves.py``), but for retention, which deletes old rows of all tenants. A table that is
not equal is copied again: so a copy that was killed can be continued, and leaves no row twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from gateway.core.errors import Unavailable
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import approvals, moves, search_index
from gateway.drivers.store.approvals import Approval
from gateway.drivers.store.copying import tables
from gateway.drivers.store.copying.comparison import Content, contents
from gateway.drivers.store.copying.tables import KEYS, inserted, pages
from gateway.drivers.store.moves import Move
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement

OF_TENANT = tuple(table for table, key in KEYS.items() if "tenant" in key)
"""The tables whose rows move, in the order they are copied; ``stored_bytes`` after what it counts.

The audit trail stays, which is a chain, and with it the approvals that were decided. Those that wait come along: whose
they are only the trails say, so that callers name them.
"""

TRIES = 3
"""How often a table is copied that is not equal afterwards."""

SEARCHED = 200
"""Payments that are taken out of the search index in one transaction."""

Tell = Callable[[str, int], None]
"""Called after each table with its name and how many of its rows are in the target."""

_ANY = "SELECT 1 FROM {} WHERE tenant = ? LIMIT 1"
_LIVES = "EXISTS (SELECT 1 FROM nodes n WHERE n.id = claims.node AND n.alive_until > ?)"


async def copy_tenant(
    source: Store, target: Store, move: Move, asked: Sequence[Approval], now: datetime, tell: Tell
) -> None:
    """Copy what is missing in the target, and what is not equal. Raises ``Unavailable`` where it stays so.

    ``asked``: the acts on the tenant that wait for their approval.
    """
    for table in OF_TENANT:
        tell(table, await _equal(source, target, table, move))
    known = approvals.delete([one.id for one in asked])
    await target.commit(NO_TENANT, [moves.arrives_still(move), known, *map(approvals.insert, asked)])
    if source.is_shared:
        await _copy_claims(source, target, move, now)


async def _equal(source: Store, target: Store, table: str, move: Move) -> int:
    """Make a table equal; the number of its rows."""
    tenant, arrives = move.tenant, moves.arrives_still(move)
    for is_copied in (False, *[True] * TRIES):
        if is_copied or await target.rows(_ANY.format(table), (tenant,)):
            there, wanted = await asyncio.gather(*(_content(one, table, tenant) for one in (target, source)))
            if there == wanted:
                return wanted.rows
        await _delete_rows(target, table, tenant, arrives)
        async for page in pages(source, table, tenant=tenant):
            await target.commit(NO_TENANT, [arrives, *inserted(table, page)])
    raise Unavailable(f"table {table} of tenant {tenant} is not equal in both stores: run the command again")


async def _content(store: Store, table: str, tenant: str) -> Content:
    return (await contents(store, tables=[table], tenant=tenant)).get((table, tenant), Content())


async def _copy_claims(source: Store, target: Store, move: Move, now: datetime) -> None:
    """What living processes have under way stays theirs: they store its outcome in the other store."""
    tenant = move.tenant
    of_living = f"SELECT kind, id, node FROM claims WHERE tenant = ? AND {_LIVES}"  # noqa: S608  # our own words
    claimed = await source.rows(of_living, (tenant, milliseconds(now)))
    looked_up = await source.rows("SELECT payment_id, at FROM lookups WHERE tenant = ?", (tenant,))
    await target.commit(
        NO_TENANT,
        [
            moves.arrives_still(move),
            *_delete_claims(tenant),
            *(
                Statement("INSERT INTO claims (tenant, kind, id, node) VALUES (?, ?, ?, ?)", (tenant, *row))
                for row in claimed
            ),
            *(
                Statement("INSERT INTO lookups (tenant, payment_id, at) VALUES (?, ?, ?)", (tenant, *row))
                for row in looked_up
            ),
        ],
    )


async def has_rows(store: Store, tenant: str) -> bool:
    """Whether a store has rows of a tenant that ``copy_tenant`` would write; a sum of deleted rows does not count."""
    for table in {*OF_TENANT} - {"stored_bytes"}:
        if await store.rows(_ANY.format(table), (tenant,)):
            return True
    return False


async def delete_tenant(store: Store, tenant: str, condition: Statement) -> None:
    """Delete all that ``copy_tenant`` copies, and what was made of it. ``condition`` goes ahead in each unit."""
    for table in OF_TENANT:
        await _delete_rows(store, table, tenant, condition)
    while found := await store.rows("SELECT place FROM search_payments WHERE tenant = ? LIMIT ?", (tenant, SEARCHED)):
        forgotten = search_index.delete_payments(tenant, [place for (place,) in found])
        await store.commit(NO_TENANT, [condition, *forgotten])
    if store.is_shared:
        await store.commit(NO_TENANT, [condition, *_delete_claims(tenant)])


def _delete_claims(tenant: str) -> Sequence[Statement]:
    return [Statement(f"DELETE FROM {table} WHERE tenant = ?", (tenant,)) for table in ("claims", "lookups")]  # noqa: S608  # our own words


async def _delete_rows(store: Store, table: str, tenant: str, condition: Statement) -> None:
    """Delete a tenant's rows of a table, in batches: others are served beside it."""
    if table == "stored_bytes":
        emptied = ("growth", table) if store.is_shared else (table,)
        sums = [Statement(f"DELETE FROM {one} WHERE tenant = ?", (tenant,)) for one in emptied]  # noqa: S608  # our own words
        await store.commit(NO_TENANT, [condition, *sums])
        return
    key = ", ".join(KEYS[table])
    some = f"SELECT {key} FROM {table} WHERE tenant = ? LIMIT {tables.PAGE}"  # noqa: S608  # our own words
    batch = Statement(f"DELETE FROM {table} WHERE tenant = ? AND ({key}) IN ({some})", (tenant, tenant))  # noqa: S608  # our own words
    ahead = [search_index.step_back(tenant)] if table == "events" else []
    while await store.rows(_ANY.format(table), (tenant,)):
        await store.commit(NO_TENANT, [condition, *ahead, batch])
