"""The steps of a move without gateways: every row of every table, killed before each of its commits, and back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, Never

import psycopg
import pytest
import yaml

from gateway.core.errors import Conflict
from gateway.core.secret import Secret
from gateway.drivers.clock import SystemClock
from gateway.drivers.settings import Settings, load_settings
from gateway.drivers.store import moves
from gateway.drivers.store.copying import tables
from gateway.drivers.store.copying.comparison import Contents, contents
from gateway.drivers.store.copying.offline import alone
from gateway.drivers.store.copying.tenant import OF_TENANT, has_rows
from gateway.drivers.store.moves import Move, Moves, Step
from gateway.drivers.store.opening import open_stores
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement, Unit
from gateway.flows import approvals, move_tenant
from gateway.flows.audit import COMMAND_LINE, Act, Actor
from gateway.flows.move_tenant import NotMoved
from gateway.flows.runtime import Gateway
from tests.support.factories.payments import AT
from tests.support.factories.whole_store import fill
from tests.support.stores import ENGINES, fresh_url

ACT = Act(name="tenants.move", by=Actor(key_id=COMMAND_LINE), tenant="acme")

OF_ITS_OWN = ("moments", "audit_log", "audit_head")
"""Tables in which a move writes rows of its own."""


class Killed(BaseException):
    """The process ended here."""


async def send_nothing(*_: object, **__: object) -> Never:
    raise AssertionError("a move sends nothing")


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few rows are several batches."""
    monkeypatch.setattr(tables, "PAGE", 2)


@contextlib.contextmanager
def two_stores(engine: str, folder: Path) -> Iterator[Settings]:
    """Settings with two empty stores; all tenants are in main."""
    with contextlib.ExitStack() as opened:
        stores = {
            name: {"url": opened.enter_context(fresh_url(engine, folder / name))} for name in ("main", "eu", "us")
        }
        server = {"secret": "test-master-secret-of-forty-characters-00", "development": True}
        path = folder / "settings.yaml"
        path.write_text(yaml.safe_dump({"server": server, "stores": stores, "tenants": {"acme": {}, "globex": {}}}))
        yield load_settings(path, providers={}, environ={})


@pytest.fixture(params=ENGINES)
async def gw(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gateway]:
    """On stores of which main has rows everywhere."""
    with two_stores(request.param, tmp_path) as settings:
        async with alone(settings.stores["main"], AT, writing=True) as main:
            await fill(main)
        store = await open_stores(settings)
        yield Gateway(
            settings=settings, store=store, send=send_nothing, clock=SystemClock()
        )  # others write on its server
        await store.close()


async def moved(gw: Gateway, to: str) -> None:
    """Move acme, as the command does."""
    moving, begun = await move_tenant.plan(gw, "acme", to)
    if moving is not None:
        one = await move_tenant.move(gw, moving, begun, ACT, lambda *_: None)
        await move_tenant.clear(gw, moving, one)


async def rows(store: Store) -> Contents:
    """What a store holds, but for what a move itself writes."""
    return await contents(store, tables=[table for table in tables.KEYS if table not in OF_ITS_OWN])


def split(found: Contents) -> tuple[Contents, Contents]:
    """Those of acme, and the others."""
    return (
        {key: value for key, value in found.items() if key[1] == "acme"},
        {key: value for key, value in found.items() if key[1] != "acme"},
    )


async def test_every_row_goes_and_comes_back(gw: Gateway) -> None:
    """By counts and hashes; the rows of the others stay where they are, and nothing of it is in both."""
    main, eu = gw.store.by_name["main"], gw.store.by_name["eu"]
    before = split(await rows(main))
    assert {table for table, _ in before[0]} == {table for table in OF_TENANT if tables.KEYS[table] != ("tenant",)}
    await moved(gw, "eu")
    assert (split(await rows(eu)), split(await rows(main))) == ((before[0], {}), ({}, before[1]))
    await moved(gw, "main")
    assert (split(await rows(main)), split(await rows(eu))) == (before, ({}, {}))


async def test_events_keep_their_order(gw: Gateway) -> None:
    """The search index reads them in it."""
    eu = gw.store.by_name["eu"]
    here = [row[2] async for page in tables.pages(gw.store.by_name["main"], "events", tenant="acme") for row in page]
    await moved(gw, "eu")
    assert [row[2] async for page in tables.pages(eu, "events", tenant="acme") for row in page] == here


async def test_a_move_is_killed_before_each_of_its_commits(gw: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """And run again: there and back, all rows are in one place, once."""
    parts = gw.store.by_name
    before, places = split(await rows(parts["main"])), ["main", "eu"]
    last = 0
    for number in range(1, 1000, 7 if gw.store.is_shared else 3):
        async with killed_at(number, parts, monkeypatch) as died:
            await moved(gw, places[1])
        await moved(gw, places[1])
        there, here = await rows(parts[places[1]]), await rows(parts[places[0]])
        assert split(there)[0] == before[0], number
        assert split(here)[0] == {}, number
        places.reverse()
        if not died:
            break
        last = number
    assert last > len(OF_TENANT)
    assert (split(await rows(parts["main"]))[1], split(await rows(parts["eu"]))[1]) == (before[1], {})


@contextlib.asynccontextmanager
async def killed_at(
    number: int, parts: Mapping[str, Store], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[int]]:
    """End the block before its commit of this number; yields a list that is empty where that never comes."""
    counted: list[int] = []
    died: list[int] = []

    def killing(commit: Any) -> Any:
        async def commit_or_die(tenant: str, unit: Unit) -> None:
            counted.append(1)
            if len(counted) >= number:
                died.append(number)
                raise Killed
            await commit(tenant, unit)

        return commit_or_die

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        for part in parts.values():
            patch.setattr(part, "commit", killing(part.commit))
        yield died


async def test_what_is_changed_meanwhile_is_copied_again(gw: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """As retention deletes old rows of all tenants."""
    main, eu = gw.store.by_name["main"], gw.store.by_name["eu"]
    commit, is_first = eu.commit, [True]

    async def beside(tenant: str, unit: Unit) -> None:
        await commit(tenant, unit)
        if any("INSERT INTO hints" in one.sql for one in unit) and is_first:
            is_first.clear()
            await main.commit(NO_TENANT, [Statement("DELETE FROM hints WHERE tenant = ?", ("acme",))])

    monkeypatch.setattr(eu, "commit", beside)
    await moved(gw, "eu")
    assert await eu.rows("SELECT * FROM hints", ()) == []


async def test_a_sum_without_rows_is_no_row(gw: Gateway) -> None:
    """Deletions are added to it now and then, perhaps just after it was deleted itself."""
    for part in gw.store.parts[1:]:
        await part.commit(NO_TENANT, [Statement("INSERT INTO stored_bytes (tenant, bytes) VALUES ('acme', -5)", ())])
    before = split(await rows(gw.store.by_name["main"]))[0]
    await moved(gw, "eu")
    assert split(await rows(gw.store.by_name["eu"]))[0] == before


async def test_rows_in_both_stores_are_not_touched(gw: Gateway) -> None:
    """Whose they are, a person must say."""
    parts = gw.store.by_name
    hint = Statement(
        "INSERT INTO hints (tenant, payment_id, provider_reference, received_at, due) VALUES (?, ?, ?, ?, ?)",
        ("acme", "pay_1", "x", 1, 0),
    )
    await parts["eu"].commit(NO_TENANT, [hint])
    with pytest.raises(NotMoved, match="eu has rows of tenant acme already"):
        await moved(gw, "eu")
    assert await has_rows(parts["eu"], "acme")
    assert await parts["main"].moves.all() == []


@pytest.mark.parametrize("to", ["eu", "main"])
async def test_a_store_that_was_restored_brings_no_old_rows(gw: Gateway, to: str) -> None:
    """It says that a move is under way which has ended since: neither ending it nor giving it up touches new rows."""
    parts = gw.store.by_name
    old = Move(tenant="acme", to="eu", step=Step.BARRED, at=1)
    await moved(gw, "eu")
    (over,) = await parts["main"].moves.all()
    await parts["main"].commit(NO_TENANT, [moves.delete(over), moves.announce(old)])
    before = split(await rows(parts["eu"]))[0]
    moving, begun = await move_tenant.plan(gw, "acme", to)
    assert moving is not None
    assert begun == old
    on = move_tenant.move(gw, moving, begun, ACT, lambda *_: None)
    back = move_tenant.give_up(gw, moving, begun, ACT)
    wanted, other = (on, back) if to == "eu" else (back, on)
    other.close()
    with pytest.raises(NotMoved, match="eu has rows of tenant acme already"):
        await wanted
    assert split(await rows(parts["eu"]))[0] == before


async def test_a_move_that_was_begun_is_given_up(gw: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """By naming the store that is left: the tenant is served there again, and nothing is left in the other."""
    parts = gw.store.by_name
    before = await rows(parts["main"])
    async with killed_at(12, parts, monkeypatch) as died:
        await moved(gw, "eu")
    assert died
    with pytest.raises(NotMoved, match="is being moved to eu: finish that first"):
        await moved(gw, "us")
    for number in (1, 2, 3, 5, 1000):
        async with killed_at(number, parts, monkeypatch) as died:
            moving, begun = await move_tenant.plan(gw, "acme", "main")
            assert moving is not None
            assert begun is not None
            await move_tenant.give_up(gw, moving, begun, ACT)
        assert bool(died) is (number < 1000)
    assert await move_tenant.plan(gw, "acme", "main") == (None, None)
    await parts["main"].commit("acme", [])
    assert (await rows(parts["main"]), await rows(parts["eu"])) == (before, {})
    for part in parts.values():
        assert await part.rows("SELECT name FROM moments WHERE name LIKE '%acme%'", ()) == []


async def test_a_second_command_takes_the_move_over(gw: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one, which had found a table equal that the second deletes, ends nothing: no row would be there."""
    before, eu = split(await rows(gw.store.by_name["main"]))[0], gw.store.by_name["eu"]
    is_half, is_equal, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    commit = eu.commit

    async def in_turn(tenant: str, unit: Unit) -> None:
        is_first, sql = asyncio.current_task() is first, " ".join(one.sql for one in unit)
        if is_first and "INSERT INTO operations" in sql:
            is_equal.set()
            await may_end.wait()
        elif not is_first and "DELETE FROM payments" in sql:
            is_half.set()
            await is_equal.wait()
        await commit(tenant, unit)
        if is_first and "INSERT INTO payments" in sql and not is_half.is_set():
            second.append(asyncio.create_task(moved(gw, "eu")))
            await asyncio.wait([*second, asyncio.create_task(is_half.wait())], return_when=asyncio.FIRST_COMPLETED)
        elif not is_first and "DELETE FROM payments" in sql:
            may_end.set()
            await asyncio.wait([first])

    second: list[asyncio.Task[None]] = []
    with monkeypatch.context() as patch:
        patch.setattr(eu, "commit", in_turn)
        first = asyncio.create_task(moved(gw, "eu"))
        await asyncio.wait([first])
        is_equal.set()
        await asyncio.wait(second)
    assert [type(one.exception()) for one in (first, *second)] == [Conflict, type(None)]
    assert split(await rows(eu))[0] == before


async def test_a_way_back_is_given_up(gw: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant stays where it is, also for gateways whose settings name the store that it was to come back to."""
    await moved(gw, "eu")
    async with killed_before(Step.MOVED, gw.store.by_name["eu"], monkeypatch):
        await moved(gw, "main")
    moving, begun = await move_tenant.plan(gw, "acme", "eu")
    assert moving is not None
    assert begun is not None
    await move_tenant.give_up(gw, moving, begun, ACT)
    await gw.store.read_moves()
    assert gw.store.tenants.store_of("acme") == "eu"


@contextlib.asynccontextmanager
async def killed_before(step: Step, source: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """End the block when it would bring a move so far."""
    commit = source.commit

    async def commit_or_die(tenant: str, unit: Unit) -> None:
        if any(one.sql.startswith("UPDATE moments") and f'"{step}"' in one.params[0] for one in unit):
            raise Killed
        await commit(tenant, unit)

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(source, "commit", commit_or_die)
        yield
        raise AssertionError("it was not brought so far")


async def test_what_waits_for_approval_comes_along(gw: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, back, and where a move is given up: it is in one store, and can be decided there."""
    parts = gw.store.by_name
    act = Act(name="approvals.request", by=Actor(key_id="kim"), tenant="acme", payment_id="pay_1")
    made = await approvals.request(gw, act, method="POST", path="/reviews/{id}/resolve", target="pay_1", body=b"{}")
    for to in ("eu", "main"):
        await moved(gw, to)
        assert [name for name, part in parts.items() if await part.approvals.find(made.id)] == [to]
    async with killed_before(Step.MOVED, parts["main"], monkeypatch):
        await moved(gw, "eu")
    assert await parts["eu"].approvals.find(made.id) == made
    moving, begun = await move_tenant.plan(gw, "acme", "main")
    assert moving is not None
    assert begun is not None
    await move_tenant.give_up(gw, moving, begun, ACT)
    assert await parts["eu"].approvals.find(made.id) is None
    await gw.store.read_moves()
    ended = await approvals.end(gw, made, "rejected", Act(name="approvals.reject", by=Actor(key_id="dana")))
    assert ended.status == "rejected"


async def test_a_tenant_that_is_there_is_not_moved(gw: Gateway) -> None:
    """Nothing is written."""
    assert await move_tenant.plan(gw, "acme", "main") == (None, None)
    await moved(gw, "eu")
    assert await move_tenant.plan(gw, "acme", "eu") == (None, None)


async def test_the_act_is_on_record(gw: Gateway) -> None:
    """In the trail of the store that is left, which goes on behind its last row."""
    main = gw.store.by_name["main"]
    await moved(gw, "eu")
    (row,) = [one for one in await main.audit.after(0, 1000) if one.act == ACT.name]
    assert (row.tenant, row.key_id) == ("acme", COMMAND_LINE)


async def test_a_unit_under_way_is_copied_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that looked for the bar before it was set, and is committed after that."""
    looked, have_ended = asyncio.Event(), Moves.have_ended

    async def look(self: Moves, begun: set[str]) -> bool:
        has_ended = await have_ended(self, begun)
        looked.set()
        return has_ended

    monkeypatch.setattr(Moves, "have_ended", look)
    with two_stores("postgresql", tmp_path) as settings:
        store, url = await open_stores(settings), settings.stores["main"].url
        gw = Gateway(settings=settings, store=store, send=send_nothing, clock=SystemClock())
        assert isinstance(url, Secret)
        async with await psycopg.AsyncConnection.connect(url.reveal()) as beside:
            await beside.execute("INSERT INTO hints VALUES ('acme', 'pay_1', 'x', 1, 0)")
            with monkeypatch.context() as patch:
                patch.setattr(move_tenant, "WRITTEN_WITHIN", 0.0)
                moving = asyncio.create_task(moved(gw, "eu"))
                waiting = asyncio.create_task(looked.wait())
                await asyncio.wait((moving, waiting), return_when=asyncio.FIRST_COMPLETED)
                with pytest.raises(NotMoved, match="end it"):
                    await moving
            await beside.commit()
        waiting.cancel()
        await moved(gw, "eu")
        for name, found in (("main", []), ("eu", [("pay_1",)])):
            assert await gw.store.by_name[name].rows("SELECT payment_id FROM hints", ()) == found
        await store.close()
