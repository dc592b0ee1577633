"""Copy a store into an empty one, in batches of a transaction each: a copy that is killed goes on where it was.

The target is marked from its first row on: the mark says how far the copy is, moves in the transaction of each batch,
and keeps gateways from starting. It goes when both stores were read again and hold the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from gateway.core.errors import GatewayError
from gateway.drivers.settings import StoreTarget
from gateway.drivers.store.copying.comparison import Compared, compared, contents
from gateway.drivers.store.copying.tables import KEYS, Row, inserted, pages
from gateway.drivers.store.metadata import COPYING, delete_timestamp, rename_timestamp, set_timestamp
from gateway.drivers.store.opening import refuse_living_nodes
from gateway.drivers.store.pending_erasures import erased_file, note_in_file, noted_in_file
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement, Unit

OTHER_COPY = "another copy goes into this store at the same time"
"""The conflict where another process has moved the mark."""


class NotCopied(GatewayError):
    """The target is not a copy: it holds something else, or the stores are not equal afterwards."""


class Side(NamedTuple):
    """A store that nobody else uses, what to call it, and where it is.

    ``unguarded`` and ``guarded``: before and after rows that go into the audit trail as they were, with its triggers
    out of their way; in the transaction of these rows, so that nobody else finds it so.
    """

    name: str
    store: Store
    place: StoreTarget
    unguarded: Unit
    guarded: Unit


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a copy is: the table, and the key of the last row. ``source``: the store that is copied."""

    source: str
    table: str = next(iter(KEYS))
    after: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """The mark as the name of a moment."""
        return COPYING + msgspec.json.encode(self).decode()


Tell = Callable[[str, int], None]
"""Called after each table with its name and how many of its rows were copied."""


async def copy(source: Side, target: Side, at: datetime, tell: Tell) -> list[Compared]:
    """Copy, or go on copying, and compare. Raises ``NotCopied`` for a target that holds something else."""
    if await source.store.metadata.unfinished_copy() is not None:
        raise NotCopied(f"{source.name} is an unfinished copy itself: finish that first")
    mark = await _begun(source, target, at)
    if mark is None:
        return await _refused_unless_equal(source, target)
    await refuse_living_nodes(target.store, at)  # one that joined before there was a mark
    for table in _left(mark.table):
        rows = 0
        async for page in pages(source.store, table, mark.after if table == mark.table else ()):
            moved = replace(mark, table=table, after=page[-1][: len(KEYS[table])])
            move_mark = rename_timestamp(mark.name, moved.name, OTHER_COPY)
            await target.store.commit(NO_TENANT, _batch(target, table, page, move_mark))
            mark, rows = moved, rows + len(page)
        tell(table, rows)
    _note_erased(source, target)
    found = await compare(source, target)
    await refuse_living_nodes(source.store, at)  # one that joined since
    if all(one.is_equal for one in found):
        await target.store.commit(NO_TENANT, [delete_timestamp(mark.name)])
    return found


async def compare(source: Side, target: Side) -> list[Compared]:
    """Read both whole."""
    return compared(*await asyncio.gather(contents(source.store), contents(target.store)))


async def _begun(source: Side, target: Side, at: datetime) -> Mark | None:
    """The mark of the target, made where it is empty; None where it holds rows and no mark."""
    identity = await _identity(source.store)
    noted = await target.store.metadata.unfinished_copy()
    if noted is None:
        if not await _is_empty(target.store):
            return None
        mark = Mark(source=identity)
        await target.store.commit(NO_TENANT, [set_timestamp(mark.name, at)])
        return mark
    mark = msgspec.json.decode(noted, type=Mark)
    if mark.source != identity:
        raise NotCopied(f"{target.name} is the unfinished copy of another store than {source.name}")
    return mark


async def _refused_unless_equal(source: Side, target: Side) -> list[Compared]:
    """A copy that is run again when it has ended finds its work done."""
    if await _identity(source.store) == await _identity(target.store):
        found = await compare(source, target)
        if all(one.is_equal for one in found):
            return found
    raise NotCopied(f"{target.name} holds rows already, and they are not a copy of {source.name}: name an empty store")


async def _identity(store: Store) -> str:
    """What tells a store from others: the hash of its first act, which is its first start."""
    rows = await store.audit.after(0, 1)
    return rows[0].hash if rows else ""


async def _is_empty(store: Store) -> bool:
    """Whether it is as it was made: ``audit_head`` has its row then."""
    for table in KEYS:
        async for _ in pages(store, table):
            if table != "audit_head":
                return False
    return True


def _left(table: str) -> Sequence[str]:
    return list(KEYS)[list(KEYS).index(table) :]


def _note_erased(source: Side, target: Side) -> None:
    """Bring the list along that lies beside a database: a restored backup of the target erases by it again."""
    here, there = erased_file(source.place), erased_file(target.place)
    if here is None or there is None:
        return
    known = {*noted_in_file(there)}
    missing = [one for one in noted_in_file(here) if one not in known]
    if missing:
        note_in_file(there, missing)


def _batch(target: Side, table: str, rows: Sequence[Row], move_mark: Statement) -> Unit:
    """One transaction. What triggers write beside an act is copied from where they wrote it."""
    unit = [*inserted(table, rows), move_mark]
    if table == "audit_head":
        return [Statement("DELETE FROM audit_head", ()), *unit]
    return [*target.unguarded, *unit, *target.guarded] if table == "audit_log" else unit
