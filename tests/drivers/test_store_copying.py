"""Copies of whole stores: every row of every table, however often the copy is interrupted, and no gateway on a part."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest

from gateway.core.errors import Unavailable
from gateway.core.secret import Secret
from gateway.drivers.clock import milliseconds
from gateway.drivers.settings import StoreTarget
from gateway.drivers.settings.load_context import LoadContext
from gateway.drivers.settings.store_target import store_url
from gateway.drivers.store import nodes, pending_erasures, personal_data
from gateway.drivers.store.copying import copier, tables
from gateway.drivers.store.copying.comparison import Compared
from gateway.drivers.store.copying.copier import NotCopied, Side, compare
from gateway.drivers.store.copying.offline import alone
from gateway.drivers.store.metadata import COPYING, set_timestamp
from gateway.drivers.store.nodes import NodeRow
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement, Unit
from gateway.drivers.store.store_files import AlreadyRunning
from tests.support.factories.payments import AT
from tests.support.factories.whole_store import ROWS, TENANTS, fill
from tests.support.stores import ENGINES, fresh_url

CONTEXT = LoadContext(folder=Path(), owner=0, environ={}, development=True)

LEAST_KILLS = 20
"""A copy has more than twice as many commits."""


class Killed(Exception):
    """The process ended here."""


class Pair(NamedTuple):
    """A full store, and the place of its copy."""

    source: Side
    target: StoreTarget


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few rows are several batches, with whole statements and with rests."""
    monkeypatch.setattr(tables, "PAGE", 3)
    monkeypatch.setattr(tables, "ROWS_PER_INSERT", 2)


@pytest.fixture(params=[ENGINES, ENGINES[::-1]], ids="-to-".join)
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    """A store with rows everywhere, open, and another that is empty or not there yet, of either engine."""
    async with AsyncExitStack() as opened:
        urls = [
            opened.enter_context(fresh_url(engine, tmp_path / name))
            for engine, name in zip(request.param, ("from", "to"), strict=True)
        ]
        places = [StoreTarget(url=store_url(url, CONTEXT)) for url in urls]
        source = await opened.enter_async_context(alone(places[0], AT, writing=True))
        await fill(source)
        yield Pair(source, places[1])


async def copied(pair: Pair) -> list[Compared]:
    """Copy, as the command does."""
    async with alone(pair.target, AT, writing=True) as target:
        return await copier.copy(pair.source, target, AT, lambda *_: None)


async def killed(pair: Pair, *, after: bool) -> bool:
    """Copy, but end at the second commit, before or ``after`` it was made; False where that never comes."""
    commits = 0
    async with AsyncExitStack() as opened:
        target = await opened.enter_async_context(alone(pair.target, AT, writing=True))
        commit = target.store.commit

        async def counted(tenant: str, unit: Unit) -> None:
            nonlocal commits
            commits += 1
            if commits == 2 and not after:
                raise Killed
            await commit(tenant, unit)
            if commits == 2:
                raise Killed

        target.store.commit = counted  # type: ignore[method-assign]
        try:
            await copier.copy(pair.source, target, AT, lambda *_: None)
        except Killed:
            return True
    return False


def test_every_table_is_copied_or_made_anew() -> None:
    """A new table must be named as one or the other."""
    assert {*tables.KEYS} & tables.MADE_ANEW == set()
    assert {*tables.KEYS} | tables.MADE_ANEW >= {*personal_data.COLUMNS}


@pytest.mark.parametrize("pair", [*itertools.product(ENGINES, repeat=2)], indirect=True, ids="-to-".join)
async def test_a_copy_holds_every_row_of_every_table(pair: Pair) -> None:
    """By counts and hashes of each table and tenant; events keep their order; the mark is gone."""
    found = await copied(pair)
    assert all(one.is_equal for one in found)
    assert {one.table for one in found} == {*tables.KEYS}
    assert sum(one.source.rows for one in found) == ROWS * (len(tables.KEYS) - 1) + 1
    assert [one.tenant for one in found if one.table == "payments"] == [*TENANTS]
    async with alone(pair.target, AT) as target:
        assert await target.store.metadata.unfinished_copy() is None
        places = dict(await target.store.rows("SELECT id, rowid FROM events", ()))
        order = [row[2] async for page in tables.pages(pair.source.store, "events") for row in page]
        assert sorted(order, key=places.__getitem__) == order


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_copy_that_is_killed_anywhere_goes_on(pair: Pair, after: bool) -> None:
    """At one commit after the other, just before it or just after: the next copy begins where the last had come."""
    kills = 0
    while await killed(pair, after=after):
        kills += 1
    assert kills > LEAST_KILLS
    assert all(one.is_equal for one in await copied(pair))


async def test_a_part_of_a_copy_is_marked(pair: Pair) -> None:
    """No gateway may start on it; and it is taken for what it is by a comparison."""
    assert await killed(pair, after=True)
    async with alone(pair.target, AT) as target:
        assert await target.store.metadata.unfinished_copy() is not None
        assert {one.table for one in await compare(pair.source, target) if not one.is_equal} >= {"events", "moments"}


async def test_a_copy_into_a_copy_changes_nothing(pair: Pair) -> None:
    """Run again when it has ended, as after a kill at its very end, it says that all is equal."""
    first, second = await copied(pair), await copied(pair)
    assert first == second


@pytest.mark.parametrize("table", ["payments", "stored_bytes", "audit_log", "moments"])
async def test_a_store_that_holds_rows_is_no_target(pair: Pair, table: str) -> None:
    """One row of one table is enough; it stays."""
    async with alone(pair.target, AT, writing=True) as target:
        await fill(target, rows=1)
        emptied = [f"DELETE FROM {other}" for other in tables.KEYS if other not in (table, "audit_head")]  # noqa: S608  # ours
        await target.store.commit(
            NO_TENANT, [*target.unguarded, *(Statement(sql, ()) for sql in emptied), *target.guarded]
        )
    with pytest.raises(NotCopied, match=r"holds rows already.*name an empty store"):
        await copied(pair)
    async with alone(pair.target, AT) as target:
        assert await target.store.rows(f"SELECT COUNT(*) FROM {table}", ()) == [(1,)]  # noqa: S608  # ours


async def test_the_copy_of_one_store_is_not_gone_on_with_from_another(pair: Pair) -> None:
    """The first act of a store tells it from others."""
    assert await killed(pair, after=True)
    source = pair.source
    change = [Statement("UPDATE audit_log SET hash = 'other'", ())]
    await source.store.commit(NO_TENANT, [*source.unguarded, *change, *source.guarded])
    with pytest.raises(NotCopied, match="unfinished copy of another store"):
        await copied(pair)


async def test_a_part_of_a_copy_is_not_copied(pair: Pair) -> None:
    """The copy of it would be taken for a whole store."""
    await pair.source.store.commit(NO_TENANT, [set_timestamp(f"{COPYING}{{}}", AT)])
    with pytest.raises(NotCopied, match="is an unfinished copy itself"):
        await copied(pair)


async def test_a_text_that_postgresql_has_no_form_for_is_copied(pair: Pair) -> None:
    """SQLite keeps a zero byte in a text."""
    await pair.source.store.commit(NO_TENANT, [Statement("UPDATE inbox SET detail = ?", ("a\0b",))])
    assert all(one.is_equal for one in await copied(pair))


async def test_a_source_that_changed_is_found(pair: Pair) -> None:
    """What was written behind the copy's back is a difference, and the mark stays."""
    while await killed(pair, after=True):
        async with alone(pair.target, AT) as target:
            if (await target.store.rows("SELECT COUNT(*) FROM payments", ()))[0][0] == ROWS:
                break
    await pair.source.store.commit(
        NO_TENANT, [Statement("UPDATE payments SET doc = 'moved' WHERE tenant = 'globex'", ())]
    )
    for _ in range(2):
        found = [one for one in await copied(pair) if not one.is_equal]
        assert [(one.table, one.tenant) for one in found] == [("payments", "globex")]
        assert found[0].source.rows == found[0].target.rows


async def test_a_hash_is_of_every_column(pair: Pair) -> None:
    """One other value in one column: its table differs and no other."""
    await copied(pair)
    async with alone(pair.target, AT, writing=True) as target:
        for at in range(max(len(tables.columns_of(table)) for table in tables.KEYS)):
            columns = {table: listed[at] for table in tables.KEYS if len(listed := tables.columns_of(table)) > at}
            if columns.get("audit_head") == "id":  # it is always 1
                del columns["audit_head"]
            undo = [await change(target, table, column) for table, column in columns.items()]
            different = {one.table for one in await compare(pair.source, target) if not one.is_equal}
            assert {*columns} <= different <= {*columns, "stored_bytes"}  # triggers count some changes
            await target.store.commit(NO_TENANT, [*target.unguarded, *undo, *target.guarded])


async def change(side: Side, table: str, column: str) -> Statement:
    """Change one value of a column wherever it is; return what undoes it."""
    ((value,),) = await side.store.rows(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 1", ())  # noqa: S608  # ours
    other = value + (b"." if isinstance(value, bytes) else "." if isinstance(value, str) else 99)
    sql = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"  # noqa: S608  # ours
    await side.store.commit(NO_TENANT, [*side.unguarded, Statement(sql, (other, value)), *side.guarded])
    return Statement(sql, (value, other))


@pytest.mark.parametrize("pair", [("sqlite", "sqlite")], indirect=True)
async def test_the_list_of_erased_payments_comes_along(pair: Pair) -> None:
    """Once each, however often the copy is run."""
    pending_erasures.note_in_file(erased_list(pair.source.place), [("acme", "pay_1"), ("globex", "pay_2")])
    for _ in range(2):
        await copied(pair)
    assert erased_list(pair.target).read_text().split() == ["acme", "pay_1", "globex", "pay_2"]


def erased_list(place: StoreTarget) -> Path:
    """Where a store's list of what was erased is."""
    file = pending_erasures.erased_file(place)
    assert file is not None
    return file


async def test_the_audit_trail_is_guarded_again(pair: Pair) -> None:
    """After a copy its rows can neither be changed nor removed, as before."""
    await copied(pair)
    async with alone(pair.target, AT, writing=True) as target:
        for sql in ("UPDATE audit_log SET at = 0", "DELETE FROM audit_log"):
            with pytest.raises(Unavailable):
                await target.store.commit(NO_TENANT, [Statement(sql, ())])


@pytest.mark.parametrize("writing", [False, True], ids=["read", "written"])
async def test_a_store_in_use_is_left_alone(pair: Pair, writing: bool) -> None:
    """A file has a lock, a database has living nodes; those that have ended do not matter."""
    alive = nodes.LEASE + timedelta(seconds=1)
    await join(pair.source.store, "node_ended", AT - alive)
    if pair.source.store.is_shared:
        async with alone(pair.source.place, AT, writing=writing):
            pass
        await join(pair.source.store, "node_alive", AT)
    with pytest.raises(AlreadyRunning):
        async with alone(pair.source.place, AT, writing=writing):
            pass


@pytest.mark.parametrize("pair", [ENGINES], indirect=True)
async def test_a_role_that_does_not_own_the_tables_copies_nothing(pair: Pair) -> None:
    """Only their owner may add an audit trail as it is: said before the first row."""
    assert isinstance(pair.target.url, Secret)
    url = pair.target.url.reveal()
    role = "node_of_" + urlsplit(url).path.removeprefix("/")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}".encode())
        try:
            with pytest.raises(Unavailable, match="as the owner of its tables"):
                await copied(pair._replace(target=StoreTarget(url=Secret(url.replace("gateway@", f"{role}@")))))
            assert owner.execute("SELECT * FROM moments").fetchall() == []
        finally:
            owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


async def test_a_gateway_that_joined_before_the_mark_is_found(pair: Pair) -> None:
    """It began on an empty store, which then is no target."""
    async with alone(pair.target, AT, writing=True) as target:
        await join(target.store, "node_alive", AT)
        if target.store.is_shared:
            with pytest.raises(AlreadyRunning):
                await copier.copy(pair.source, target, AT, lambda *_: None)


async def test_a_gateway_that_joined_the_source_since_is_found(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has written may be missing though all that was read is equal: the mark stays."""

    async def joined(source: Side, target: Side) -> list[Compared]:
        await join(source.store, "node_alive", AT)
        return await compare(source, target)

    monkeypatch.setattr(copier, "compare", joined)
    if pair.source.store.is_shared:
        with pytest.raises(AlreadyRunning):
            await copied(pair)
        async with alone(pair.target, AT) as target:
            assert await target.store.metadata.unfinished_copy() is not None


async def join(store: Store, node: str, at: datetime) -> None:
    """Let a gateway be alive from a time on; on SQLite nobody notes it."""
    if store.is_shared:
        times = {"started_at": milliseconds(at), "renewed_at": milliseconds(at)}
        row = NodeRow(
            **{"id": node, "host": "h", "pid": 1, "version": "1", "settings_hash": "s", "url": "u", "clock_ahead": 0},
            **times,
            alive_until=milliseconds(at + nodes.LEASE),
        )
        await store.commit(NO_TENANT, [nodes.renew(row)])
